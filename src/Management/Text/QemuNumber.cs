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
}
