namespace Vmm.Management.Text;

/// <summary>Numbers in the values of options and of the monitor's device_add.</summary>
public static class QemuNumber
{
    /// <summary>A number as QEMU takes them: decimal, with 0x hexadecimal, with 0 octal; a sign may come first.</summary>
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
