namespace Vmm.Emulation.Devices.Pl061;

/// <summary>Registers of the PrimeCell GPIO (DDI 0190, chapter 3).</summary>
internal static class Pl061Spec
{
    /// <summary>Bytes of the window.</summary>
    public const ulong Size = 0x1000;

    /// <summary>GPIODATA. Bits 9:2 of the address select the pins of an access.</summary>
    public const ulong DataEnd = 0x400;
    public const ulong GPIODIR = 0x400;
    public const ulong GPIOIS = 0x404;
    public const ulong GPIOIBE = 0x408;
    public const ulong GPIOIEV = 0x40C;
    public const ulong GPIOIE = 0x410;
    public const ulong GPIORIS = 0x414;
    public const ulong GPIOMIS = 0x418;
    public const ulong GPIOIC = 0x41C;
    public const ulong GPIOAFSEL = 0x420;

    /// <summary>GPIOPeriphID0–3 and GPIOPCellID0–3, one byte in each word from 0xFE0.</summary>
    public const ulong Identification = 0xFE0;

    public static ReadOnlySpan<byte> IdentificationBytes => [0x61, 0x10, 0x04, 0x00, 0x0D, 0xF0, 0x05, 0xB1];

    public const int Pins = 8;
}
