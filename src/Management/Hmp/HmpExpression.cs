using System.Globalization;

namespace Vmm.Management.Hmp;

/// <summary>
/// Expressions of the monitor as QEMU evaluates them (monitor/hmp.c): 64-bit integers with C's prefixes, a character in quotes,
/// <c>$register</c>, parentheses, <c>+ - ~</c> before a value, and between them <c>* / % &amp; | ^</c> before <c>+ -</c>.
/// </summary>
/// <param name="text">The command line.</param>
/// <param name="registers">Values of registers by name, in lower case.</param>
internal sealed class HmpExpression(string text, IReadOnlyDictionary<string, ulong> registers)
{
    private const int DeepestNesting = 64;
    private int _depth;

    /// <summary>The index in the line of the next character to read.</summary>
    public int Position { get; private set; }

    /// <summary>Evaluates the expression at a position. Afterwards <see cref="Position"/> is behind it and behind white space.</summary>
    /// <exception cref="HmpException">There is no expression.</exception>
    public long Evaluate(int position)
    {
        Position = position;
        SkipWhite();
        return Sum();
    }

    private char Next => Position < text.Length ? text[Position] : '\0';

    private void SkipWhite()
    {
        while (char.IsWhiteSpace(Next))
        {
            Position++;
        }
    }

    private char Take()
    {
        char c = text[Position++];
        SkipWhite();
        return c;
    }

    private long Sum()
    {
        long value = Logic();
        while (Next is '+' or '-')
        {
            value = Take() == '+' ? value + Logic() : value - Logic();
        }

        return value;
    }

    // Evaluates & | ^ in one level from the left, as QEMU does. They bind closer than + and -, and * / % closer still.
    private long Logic()
    {
        long value = Product();
        while (Next is '&' or '|' or '^')
        {
            char c = Take();
            long right = Product();
            value = c switch { '&' => value & right, '|' => value | right, _ => value ^ right };
        }

        return value;
    }

    private long Product()
    {
        long value = Unary();
        while (Next is '*' or '/' or '%')
        {
            char c = Take();
            long right = Unary();
            if (right == 0 && c != '*')
            {
                throw new HmpException("division by zero");
            }

            value = c switch
            {
                '*' => value * right,
                '/' => right == -1 ? -value : value / right,
                _ => right == -1 ? 0 : value % right,
            };
        }

        return value;
    }

    private long Unary()
    {
        if (++_depth > DeepestNesting)
        {
            throw new HmpException("expression too deep");
        }

        long value = Value();
        _depth--;
        return value;
    }

    private long Value()
    {
        switch (Next)
        {
            case '+':
                Take();
                return Unary();
            case '-':
                Take();
                return -Unary();
            case '~':
                Take();
                return ~Unary();
            case '(':
                Take();
                long inner = Sum();
                if (Next != ')')
                {
                    throw new HmpException("')' expected");
                }

                Take();
                return inner;
            case '\'':
                return Character();
            case '$':
                return Register();
            case '\0':
                throw new HmpException("unexpected end of expression");
            default:
                return Number();
        }
    }

    private long Character()
    {
        if (Position + 2 >= text.Length || text[Position + 2] != '\'')
        {
            throw new HmpException("missing terminating ' character");
        }

        long value = text[Position + 1];
        Position += 2;
        Take();
        return value;
    }

    private long Register()
    {
        int start = ++Position;
        while (char.IsAsciiLetterOrDigit(Next) || Next is '_' or '.' or ':')
        {
            Position++;
        }

        string name = text[start..Position];
        SkipWhite();
        return registers.TryGetValue(name.ToLowerInvariant(), out ulong value) ? (long)value : throw new HmpException("unknown register");
    }

    // Reads a number as strtoull with base 0 does.
    private long Number()
    {
        int start = Position;
        bool hexadecimal = Next == '0' && Position + 2 < text.Length && text[Position + 1] is 'x' or 'X'
            && char.IsAsciiHexDigit(text[Position + 2]);
        if (hexadecimal)
        {
            Position += 2;
            start = Position;
        }

        int numberBase = hexadecimal ? 16 : Next == '0' ? 8 : 10;
        while (Next != '\0' && DigitOf(Next) < numberBase)
        {
            Position++;
        }

        if (Position == start)
        {
            throw new HmpException($"invalid char '{Next}' in expression");
        }

        UInt128 value = 0;
        foreach (char digit in text[start..Position])
        {
            value = (value * (uint)numberBase) + (uint)DigitOf(digit);
            if (value > ulong.MaxValue)
            {
                throw new HmpException("number too large");
            }
        }

        SkipWhite();
        return (long)(ulong)value;
    }

    private static int DigitOf(char c) =>
        char.IsAsciiHexDigit(c) ? int.Parse(c.ToString(), NumberStyles.HexNumber, CultureInfo.InvariantCulture) : int.MaxValue;
}
