namespace Vmm.Emulation.Devices.Pl031;

/// <summary>Registers of the PrimeCell real time clock (DDI 0224, chapter 3).</summary>
internal static class Pl031Spec
{
    /// <summary>Bytes of the window.</summary>
    public const ulong Size = 0x1000;

    public const ulong RTCDR = 0x00;
    public const ulong RTCMR = 0x04;
    public const ulong RTCLR = 0x08;
    public const ulong RTCCR = 0x0C;
    public const ulong RTCIMSC = 0x10;
    public const ulong RTCRIS = 0x14;
    public const ulong RTCMIS = 0x18;
    public const ulong RTCICR = 0x1C;

    /// <summary>RTCPeriphID0–3 and RTCPCellID0–3, one byte in each word from 0xFE0.</summary>
    public const ulong Identification = 0xFE0;

    public static ReadOnlySpan<byte> IdentificationBytes => [0x31, 0x10, 0x14, 0x00, 0x0D, 0xF0, 0x05, 0xB1];

    /// <summary>The one bit of RTCCR, RTCIMSC, RTCRIS, RTCMIS and RTCICR.</summary>
    public const uint Bit = 1;
}
