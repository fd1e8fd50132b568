using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;

namespace Vmm.Management.Json;

/// <summary>
/// Finds the messages in a stream of bytes that comes in pieces of any size. Messages are JSON values, with or without line ends between
/// them (QEMU's qobject/json-streamer). Bytes that are no JSON give one error and are skipped.
/// </summary>
public sealed class JsonMessageReader
{
    /// <summary>The largest size in bytes of all tokens of a message. QEMU allows 64 MiB.</summary>
    public const int LargestMessage = 1 << 20;

    /// <summary>The largest depth of nested objects and arrays, as in QEMU.</summary>
    public const int DeepestNesting = 1024;

    // The number of characters of stray text that an answer repeats.
    private const int LongestQuote = 64;

    private readonly JsonLexer _lexer = new(LargestMessage);
    private readonly List<JsonToken> _tokens = [];
    private List<byte> _text = [];
    private int _braces;
    private int _brackets;

    /// <summary>Whether a message is half read.</summary>
    public bool HasPart => _tokens.Count > 0 || !_lexer.Idle;

    /// <summary>Takes bytes. Gives the messages that they complete, and an error for each part that is no message.</summary>
    public IEnumerable<(JsonNode? Message, JsonMessageException? Error)> Feed(ReadOnlyMemory<byte> bytes)
    {
        int next = 0;
        while (next < bytes.Length)
        {
            JsonLexer.Outcome outcome = _lexer.Take(bytes.Span[next]);
            if (outcome != JsonLexer.Outcome.TokenBefore)
            {
                next++;
            }

            JsonNode? message = null;
            JsonMessageException? error = null;
            bool complete = outcome switch
            {
                JsonLexer.Outcome.Token or JsonLexer.Outcome.TokenBefore => Push(out message, out error),
                JsonLexer.Outcome.Stray => Fail($"JSON parse error, stray '{Quote()}'", out error),
                JsonLexer.Outcome.TooLarge => Fail("JSON token size limit exceeded", out error),
                _ => false,
            };
            if (complete)
            {
                yield return (message, error);
            }
        }
    }

    private string Quote() =>
        Encoding.Latin1.GetString(CollectionsMarshal.AsSpan(_lexer.Text)[..Math.Min(_lexer.Text.Count, LongestQuote)]);

    private bool Push(out JsonNode? message, out JsonMessageException? error)
    {
        message = null;
        error = null;
        switch (_lexer.Kind)
        {
            case JsonTokenKind.ObjectStart:
                _braces++;
                break;
            case JsonTokenKind.ObjectEnd:
                _braces--;
                break;
            case JsonTokenKind.ArrayStart:
                _brackets++;
                break;
            case JsonTokenKind.ArrayEnd:
                _brackets--;
                break;
        }

        if (_text.Count + _lexer.Text.Count > LargestMessage)
        {
            return Fail("JSON token size limit exceeded", out error);
        }

        if (_braces + _brackets > DeepestNesting)
        {
            return Fail("JSON nesting depth limit exceeded", out error);
        }

        _tokens.Add(new JsonToken(_lexer.Kind, _text.Count, _lexer.Text.Count));
        _text.AddRange(_lexer.Text);
        if ((_braces > 0 || _brackets > 0) && _braces >= 0 && _brackets >= 0)
        {
            return false;
        }

        try
        {
            message = new JsonMessageParser(_tokens, CollectionsMarshal.AsSpan(_text)).Parse();
        }
        catch (JsonMessageException e)
        {
            error = e;
        }

        Clear();
        return true;
    }

    private bool Fail(string reason, out JsonMessageException error)
    {
        error = new JsonMessageException(reason);
        _lexer.Recover();
        Clear();
        return true;
    }

    private void Clear()
    {
        _tokens.Clear();
        _text.Clear();

        // The memory that a large message took is given back.
        if (_text.Capacity > 1 << 16)
        {
            _text = [];
            _tokens.Capacity = 0;
        }

        _braces = _brackets = 0;
    }
}
