using System.Globalization;

namespace Vmm.Management.Hmp;

/// <summary>The format of x, xp and print, <c>/COUNTFORMATSIZE</c>. A format is one of o d u x i c, a size one of b h w g.</summary>
/// <param name="Count">The number of values. The format c counts characters, which are COUNT times SIZE.</param>
/// <param name="Letter">The letter of the format.</param>
/// <param name="Size">The bytes of a value.</param>
public readonly record struct HmpFormat(int Count, char Letter, int Size)
{
    /// <summary>The largest number of values that one command shows.</summary>
    public const int MostValues = 1 << 16;

    /// <summary>Hexadecimal words, the format before the first command.</summary>
    public static readonly HmpFormat Default = new(1, 'x', 4);

    /// <summary>Parses a format. Parts that are left out are those of the last format.</summary>
    /// <param name="line">The command line.</param>
    /// <param name="position">The index behind the slash; on return the index behind the format.</param>
    /// <param name="last">The last format.</param>
    /// <exception cref="HmpException">A character belongs to no format.</exception>
    public static HmpFormat Parse(string line, ref int position, HmpFormat last)
    {
        int start = position;
        while (position < line.Length && char.IsAsciiDigit(line[position]))
        {
            position++;
        }

        int count = 1;
        if (position > start
            && (!int.TryParse(line[start..position], NumberStyles.None, CultureInfo.InvariantCulture, out count) || count > MostValues))
        {
            throw new HmpException($"at most {MostValues} values are shown at once");
        }

        char letter = '\0';
        int size = 0;
        for (; position < line.Length && !char.IsWhiteSpace(line[position]); position++)
        {
            switch (line[position])
            {
                case 'o' or 'd' or 'u' or 'x' or 'i' or 'c':
                    letter = line[position];
                    break;
                case 'b':
                    size = 1;
                    break;
                case 'h':
                    size = 2;
                    break;
                case 'w':
                    size = 4;
                    break;
                case 'g' or 'L':
                    size = 8;
                    break;
                default:
                    throw new HmpException($"invalid char in format: '{line[position]}'");
            }
        }

        letter = letter == '\0' ? last.Letter : letter;
        return new HmpFormat(count, letter, letter == 'i' ? 4 : size != 0 ? size : last.Size);
    }

    /// <summary>A value in the form of print.</summary>
    public string Print(long value) => Letter switch
    {
        'o' => value == 0 ? "0" : "0" + Convert.ToString(value, 8),
        'u' => ((ulong)value).ToString(CultureInfo.InvariantCulture),
        'd' => value.ToString(CultureInfo.InvariantCulture),
        'c' => Character((int)value),
        _ => $"0x{value:x}",
    };

    /// <summary>A value in the form of x and xp, padded to the width of the largest value of its size.</summary>
    public string PrintMemory(ulong value)
    {
        int bits = Size * 8;
        return Letter switch
        {
            'o' => (value == 0 ? "0" : "0" + Convert.ToString((long)value, 8)).PadLeft((bits + 2) / 3),
            'u' or 'd' => value.ToString(CultureInfo.InvariantCulture).PadLeft(((bits * 10) + 32) / 33),
            'c' => Character((int)value),
            _ => "0x" + value.ToString($"x{bits / 4}", CultureInfo.InvariantCulture),
        };
    }

    private static string Character(int value) => value switch
    {
        '\'' => @"'\''",
        '\\' => @"'\\'",
        '\n' => @"'\n'",
        '\r' => @"'\r'",
        >= 32 and <= 126 => $"'{(char)value}'",
        _ => $@"'\x{value:x2}'",
    };
}
