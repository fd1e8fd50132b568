namespace Vmm.Emulation.Devices.Pl011;

/// <summary>Registers and bits of the PrimeCell UART (DDI 0183).</summary>
internal static class Pl011Spec
{
    /// <summary>Bytes of the window.</summary>
    public const ulong Size = 0x1000;

    public const ulong UARTDR = 0x000;
    public const ulong UARTRSR = 0x004;
    public const ulong UARTFR = 0x018;
    public const ulong UARTILPR = 0x020;
    public const ulong UARTIBRD = 0x024;
    public const ulong UARTFBRD = 0x028;
    public const ulong UARTLCR_H = 0x02C;
    public const ulong UARTCR = 0x030;
    public const ulong UARTIFLS = 0x034;
    public const ulong UARTIMSC = 0x038;
    public const ulong UARTRIS = 0x03C;
    public const ulong UARTMIS = 0x040;
    public const ulong UARTICR = 0x044;
    public const ulong UARTDMACR = 0x048;

    /// <summary>UARTPeriphID0–3 and UARTPCellID0–3, one byte in each word from 0xFE0.</summary>
    public const ulong Identification = 0xFE0;

    public static ReadOnlySpan<byte> IdentificationBytes => [0x11, 0x10, 0x14, 0x00, 0x0D, 0xF0, 0x05, 0xB1];

    // UARTFR.
    public const uint FlagReceiveEmpty = 1 << 4;
    public const uint FlagTransmitFull = 1 << 5;
    public const uint FlagReceiveFull = 1 << 6;
    public const uint FlagTransmitEmpty = 1 << 7;

    // UARTLCR_H, UARTCR.
    public const uint LineFifosEnabled = 1 << 4;
    public const uint ControlLoopback = 1 << 7;
    public const uint ControlReset = 0x300;

    // UARTIMSC, UARTRIS, UARTMIS, UARTICR.
    public const uint InterruptReceive = 1 << 4;
    public const uint InterruptTransmit = 1 << 5;
    public const uint InterruptReceiveTimeout = 1 << 6;
    public const uint InterruptOverrun = 1 << 10;
    public const uint InterruptMask = 0x7FF;

    /// <summary>UARTDR.OE and UARTRSR.OE.</summary>
    public const uint DataOverrun = 1 << 11;
    public const uint StatusOverrun = 1 << 3;

    public const int FifoDepth = 16;
}
