namespace Vmm.Management.Json;

/// <summary>
/// Cuts bytes into tokens as QEMU's qobject/json-lexer does: by RFC 8259, with strings in single quotes too, and <c>\'</c> in both kinds of
/// strings. After bytes that begin no token it skips to a control character, 0xFE, 0xFF or one of <c>{}[]:,</c>. QEMU's clients send 0xFF
/// to get a lexer back into step.
/// </summary>
/// <param name="largest">The largest size of a token in bytes.</param>
internal sealed class JsonLexer(int largest)
{
    private enum State
    {
        Start,
        Recovery,
        String,
        StringEscape,
        Minus,
        Zero,
        Digits,
        Point,
        Fraction,
        Exponent,
        ExponentSign,
        ExponentDigits,
        Keyword,
    }

    /// <summary>The result of one byte.</summary>
    public enum Outcome
    {
        /// <summary>No token has ended: the byte is within one, or is skipped.</summary>
        More,

        /// <summary>The byte ends a token.</summary>
        Token,

        /// <summary>A token has ended before the byte, which must be given again.</summary>
        TokenBefore,

        /// <summary>The bytes so far are no token.</summary>
        Stray,

        /// <summary>The token is too large.</summary>
        TooLarge,
    }

    private readonly List<byte> _text = [];
    private State _state = State.Start;
    private byte _quote;

    /// <summary>The kind of the token that has ended.</summary>
    public JsonTokenKind Kind { get; private set; }

    /// <summary>The text of the token that has ended. It is valid until the next byte.</summary>
    public List<byte> Text => _text;

    /// <summary>Whether no token is half read.</summary>
    public bool Idle => _state is State.Start or State.Recovery;

    public Outcome Take(byte b)
    {
        if (_state == State.Start)
        {
            _text.Clear();
        }

        if (_state == State.Recovery)
        {
            bool structural = b is (byte)'{' or (byte)'}' or (byte)'[' or (byte)']' or (byte)':' or (byte)',';
            if (!structural && b is >= 0x20 and < 0xFE)
            {
                return Outcome.More;
            }

            _text.Clear();
            _state = State.Start;
            if (!structural)
            {
                return Outcome.More;
            }
        }

        if (_state == State.Start && (b is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n'))
        {
            return Outcome.More;
        }

        if (EndsBefore(b))
        {
            _state = State.Start;
            return Outcome.TokenBefore;
        }

        _text.Add(b);
        if (_text.Count > largest)
        {
            return Fail(Outcome.TooLarge);
        }

        return _state == State.Start ? Begin(b) : Continue(b);
    }

    /// <summary>Skips the following bytes, as after bytes that begin no token.</summary>
    public void Recover() => _state = State.Recovery;

    // A number or a keyword ends before a byte that cannot continue it.
    private bool EndsBefore(byte b) => _state switch
    {
        State.Zero => !IsDigit(b) && b != '.',
        State.Digits => !IsDigit(b) && b is not ((byte)'.' or (byte)'e' or (byte)'E'),
        State.Fraction => !IsDigit(b) && b is not ((byte)'e' or (byte)'E'),
        State.ExponentDigits => !IsDigit(b),
        State.Keyword => b is < (byte)'a' or > (byte)'z',
        _ => false,
    };

    private Outcome Begin(byte b)
    {
        switch (b)
        {
            case (byte)'{':
                return End(JsonTokenKind.ObjectStart);
            case (byte)'}':
                return End(JsonTokenKind.ObjectEnd);
            case (byte)'[':
                return End(JsonTokenKind.ArrayStart);
            case (byte)']':
                return End(JsonTokenKind.ArrayEnd);
            case (byte)':':
                return End(JsonTokenKind.Colon);
            case (byte)',':
                return End(JsonTokenKind.Comma);
            case (byte)'"' or (byte)'\'':
                _quote = b;
                return Go(State.String, JsonTokenKind.String);
            case (byte)'-':
                return Go(State.Minus, JsonTokenKind.Integer);
            case (byte)'0':
                return Go(State.Zero, JsonTokenKind.Integer);
            case >= (byte)'1' and <= (byte)'9':
                return Go(State.Digits, JsonTokenKind.Integer);
            case >= (byte)'a' and <= (byte)'z':
                return Go(State.Keyword, JsonTokenKind.Keyword);
            default:
                return Fail(Outcome.Stray);
        }
    }

    private Outcome Continue(byte b)
    {
        switch (_state)
        {
            case State.String when b == _quote:
                return End(JsonTokenKind.String);
            case State.String when b == '\\':
                return Go(State.StringEscape, Kind);
            case State.String or State.StringEscape when b is >= 0x20 and < 0xFE:
                return Go(State.String, Kind);
            case State.Minus when b == '0':
                return Go(State.Zero, Kind);
            case State.Minus or State.Digits when IsDigit(b):
                return Go(State.Digits, Kind);
            case State.Zero or State.Digits when b == '.':
                return Go(State.Point, JsonTokenKind.Float);
            case State.Digits or State.Fraction when b is (byte)'e' or (byte)'E':
                return Go(State.Exponent, JsonTokenKind.Float);
            case State.Point or State.Fraction when IsDigit(b):
                return Go(State.Fraction, Kind);
            case State.Exponent when b is (byte)'+' or (byte)'-':
                return Go(State.ExponentSign, Kind);
            case State.Exponent or State.ExponentSign or State.ExponentDigits when IsDigit(b):
                return Go(State.ExponentDigits, Kind);
            case State.Keyword:
                return Outcome.More;
            default:
                return Fail(Outcome.Stray);
        }
    }

    private static bool IsDigit(byte b) => b is >= (byte)'0' and <= (byte)'9';

    private Outcome Go(State state, JsonTokenKind kind)
    {
        (_state, Kind) = (state, kind);
        return Outcome.More;
    }

    private Outcome End(JsonTokenKind kind)
    {
        (_state, Kind) = (State.Start, kind);
        return Outcome.Token;
    }

    private Outcome Fail(Outcome outcome)
    {
        _state = State.Recovery;
        return outcome;
    }
}
