using System.Globalization;

namespace Vmm.Management.Text;

/// <summary>Numbers in the values of options and of the monitor's command device_add.</summary>
public static class QemuNumber
{
    /// <summary>Parses a number by QEMU's rules: decimal, hexadecimal with 0x, or octal with 0, after an optional sign.</summary>
    public static bool TryParse(string? text, out long number)
    {
        number = 0;
        bool negative = text is ['-', ..];
        string digits = text is ['-' or '+', ..] ? text[1..] : text ?? "";
        (string value, int radix) = digits is ['0', 'x' or 'X', ..] ? (digits[2..], 16) : digits is ['0', _, ..] ? (digits[1..], 8)
            : (digits, 10);
        if (value.Length == 0)
        {
            return false;
        }

        foreach (char c in value)
        {
            int digit = char.IsAsciiHexDigit(c) ? Convert.ToInt32(c.ToString(), 16) : radix;
            if (digit >= radix || number > (long.MaxValue - digit) / radix)
            {
                number = 0;
                return false;
            }

            number = (number * radix) + digit;
        }

        number = negative ? -number : number;
        return true;
    }

    /// <summary>
    /// Parses a size by QEMU's rules: a number that is not negative, with or without a fraction and the letter of a unit (1.5G).
    /// </summary>
    /// <param name="unit">The unit of a number without a letter: B, K, M, G, T, P or E.</param>
    /// <param name="bytes">The size in bytes.</param>
    public static bool TryParseSize(string text, char unit, out long bytes)
    {
        const string Units = "BKMGTPE";
        bytes = 0;
        bool hasUnit = text.Length > 0 && Units.Contains(char.ToUpperInvariant(text[^1]), StringComparison.Ordinal);
        int power = Units.IndexOf(hasUnit ? char.ToUpperInvariant(text[^1]) : unit, StringComparison.Ordinal);
        string digits = hasUnit ? text[..^1] : text;
        decimal size = 0;
        if (TryParse(digits, out long whole))
        {
            size = whole;
        }
        else if (!decimal.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out size))
        {
            return false;
        }

        long factor = 1L << (10 * power);
        if (size < 0 || size > long.MaxValue / factor)
        {
            return false;
        }

        bytes = (long)(size * factor);
        return true;
    }
}
