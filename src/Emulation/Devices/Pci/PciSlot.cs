using System.Globalization;

namespace Vmm.Emulation.Devices.Pci;

/// <summary>The place of a function on its bus: a device number from 0 to 31, and a function number from 0 to 7.</summary>
public readonly record struct PciSlot(int Device, int Function)
{
    /// <summary>Both numbers in the eight bits that an address in configuration space has for them.</summary>
    public int Number => (Device << 3) | Function;

    /// <summary>As QEMU's option <c>addr=</c> has it: hexadecimal numbers, the function only where it is not 0.</summary>
    public static bool TryParse(string? text, out PciSlot slot)
    {
        slot = default;
        string[] parts = (text ?? "").Split('.');
        if (parts.Length > 2 || !TryParseNumber(parts[0], PciSpec.SlotsOfBus, out int device))
        {
            return false;
        }

        int function = 0;
        if (parts.Length == 2 && !TryParseNumber(parts[1], PciSpec.FunctionsOfSlot, out function))
        {
            return false;
        }

        slot = new PciSlot(device, function);
        return true;
    }

    /// <summary>As lspci writes it: <c>02.0</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Device:x2}.{Function:x}");

    private static bool TryParseNumber(string text, int count, out int value)
    {
        string digits = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase) ? text[2..] : text;
        return int.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value) && value < count && value >= 0;
    }
}
