using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace Vmm.Management.Json;

/// <summary>Builds the value of a message from its tokens. Errors are in the words of QEMU's qobject/json-parser.</summary>
internal ref struct JsonMessageParser(List<JsonToken> tokens, ReadOnlySpan<byte> text)
{
    private static readonly UTF8Encoding s_utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly List<JsonToken> _tokens = tokens;
    private readonly ReadOnlySpan<byte> _text = text;
    private int _next;

    /// <returns>The value; null for the JSON null.</returns>
    /// <exception cref="JsonMessageException">The tokens are no JSON value.</exception>
    public JsonNode? Parse()
    {
        JsonNode? value = Value();
        return _next == _tokens.Count ? value : throw Error("stray token");
    }

    private static JsonMessageException Error(string what) => new($"JSON parse error, {what}");

    private JsonToken Pop() => _next < _tokens.Count ? _tokens[_next++] : throw Error("premature EOI");

    private readonly bool NextIs(JsonTokenKind kind) => _next < _tokens.Count && _tokens[_next].Kind == kind;

    private readonly ReadOnlySpan<byte> TextOf(JsonToken token) => _text.Slice(token.Start, token.Length);

    private JsonNode? Value()
    {
        JsonToken token = Pop();
        return token.Kind switch
        {
            JsonTokenKind.ObjectStart => Object(),
            JsonTokenKind.ArrayStart => Array(),
            JsonTokenKind.String => JsonValue.Create(String(TextOf(token))),
            JsonTokenKind.Integer or JsonTokenKind.Float => Number(token.Kind, TextOf(token)),
            JsonTokenKind.Keyword => Keyword(TextOf(token)),
            _ => throw Error("expecting value"),
        };
    }

    private JsonObject Object()
    {
        var result = new JsonObject();
        if (NextIs(JsonTokenKind.ObjectEnd))
        {
            _next++;
            return result;
        }

        while (true)
        {
            if (_next < _tokens.Count && _tokens[_next].Kind is JsonTokenKind.ObjectEnd or JsonTokenKind.ArrayEnd or JsonTokenKind.Colon
                or JsonTokenKind.Comma)
            {
                throw Error("expecting value");
            }

            // A key that is no string is read as a value first: an error within it counts before the error that it is no string.
            if (!NextIs(JsonTokenKind.String))
            {
                Value();
                throw Error("key is not a string in object");
            }

            string key = String(TextOf(Pop()));
            if (Pop().Kind != JsonTokenKind.Colon)
            {
                throw Error("missing : in object pair");
            }

            JsonNode? value = Value();
            if (!result.TryAdd(key, value))
            {
                throw Error("duplicate key");
            }

            JsonToken after = Pop();
            if (after.Kind == JsonTokenKind.ObjectEnd)
            {
                return result;
            }

            if (after.Kind != JsonTokenKind.Comma)
            {
                throw Error("expected separator in dict");
            }
        }
    }

    private JsonArray Array()
    {
        var result = new JsonArray();
        if (NextIs(JsonTokenKind.ArrayEnd))
        {
            _next++;
            return result;
        }

        while (true)
        {
            result.Add(Value());
            JsonToken after = Pop();
            if (after.Kind == JsonTokenKind.ArrayEnd)
            {
                return result;
            }

            if (after.Kind != JsonTokenKind.Comma)
            {
                throw Error("expected separator in list");
            }
        }
    }

    private static JsonValue? Keyword(ReadOnlySpan<byte> word)
    {
        if (word.SequenceEqual("null"u8))
        {
            return null;
        }

        return word.SequenceEqual("true"u8) ? JsonValue.Create(true)
            : word.SequenceEqual("false"u8) ? JsonValue.Create(false)
            : throw Error($"invalid keyword '{Encoding.ASCII.GetString(word.Length > 64 ? word[..64] : word)}'");
    }

    // A number is a signed integer if it fits, then an unsigned integer, then a floating-point number, as in QEMU.
    private static JsonValue Number(JsonTokenKind kind, ReadOnlySpan<byte> digits)
    {
        if (kind == JsonTokenKind.Integer)
        {
            if (Utf8Parser.TryParse(digits, out long signed, out int used) && used == digits.Length)
            {
                return JsonValue.Create(signed);
            }

            if (Utf8Parser.TryParse(digits, out ulong unsigned, out used) && used == digits.Length)
            {
                return JsonValue.Create(unsigned);
            }
        }

        double value = double.Parse(digits, NumberStyles.Float, CultureInfo.InvariantCulture);
        return double.IsFinite(value) ? JsonValue.Create(value) : throw Error("number out of range");
    }

    private static string String(ReadOnlySpan<byte> token)
    {
        ReadOnlySpan<byte> body = token[1..^1];
        var result = new StringBuilder(body.Length);
        while (!body.IsEmpty)
        {
            int plain = body.IndexOf((byte)'\\');
            ReadOnlySpan<byte> run = plain < 0 ? body : body[..plain];
            try
            {
                result.Append(s_utf8.GetString(run));
            }
            catch (DecoderFallbackException)
            {
                throw Error("invalid UTF-8 sequence in string");
            }

            body = body[run.Length..];
            if (!body.IsEmpty)
            {
                body = Escape(body, result);
            }
        }

        return result.ToString();
    }

    private static ReadOnlySpan<byte> Escape(ReadOnlySpan<byte> body, StringBuilder result)
    {
        char plain = (char)body[1] switch
        {
            'b' => '\b',
            'f' => '\f',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '"' or '\'' or '\\' or '/' => (char)body[1],
            'u' => '\0',
            _ => throw Error("invalid escape sequence in string"),
        };
        if (plain != '\0')
        {
            result.Append(plain);
            return body[2..];
        }

        int unit = Hexadecimal(body[2..]);
        int length = 6;
        if (unit >= 0 && char.IsHighSurrogate((char)unit) && body.Length >= 8 && body[6] == '\\' && body[7] == 'u'
            && Hexadecimal(body[8..]) is >= 0xDC00 and <= 0xDFFF and int low)
        {
            result.Append((char)unit).Append((char)low);
            return body[12..];
        }

        if (unit < 0 || char.IsSurrogate((char)unit))
        {
            throw Error(unit < 0 ? "invalid escape sequence in string"
                : $"{Encoding.ASCII.GetString(body[..6])} is not a valid Unicode character");
        }

        result.Append((char)unit);
        return body[length..];
    }

    // Returns the value of four hexadecimal digits; -1 if they are none.
    private static int Hexadecimal(ReadOnlySpan<byte> digits) =>
        digits.Length >= 4 && ushort.TryParse(digits[..4], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ushort unit)
            ? unit : -1;
}
