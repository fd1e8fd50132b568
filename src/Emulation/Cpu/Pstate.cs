namespace Vmm.Emulation.Cpu;

/// <summary>PSTATE fields at their positions in SPSR_EL1 (Arm ARM C5.2.19).</summary>
public static class Pstate
{
    public const uint N = 1u << 31;
    public const uint Z = 1u << 30;
    public const uint C = 1u << 29;
    public const uint V = 1u << 28;
    public const uint NzcvMask = 0xF000_0000;
    public const uint Tco = 1u << 25;
    public const uint Dit = 1u << 24;
    public const uint Uao = 1u << 23;
    public const uint Pan = 1u << 22;
    public const uint Ss = 1u << 21;
    public const uint Il = 1u << 20;
    public const uint Ssbs = 1u << 12;
    public const int BtypeShift = 10;
    public const uint Btype = 3u << BtypeShift;
    public const uint D = 1u << 9;
    public const uint A = 1u << 8;
    public const uint I = 1u << 7;
    public const uint F = 1u << 6;
    public const uint DaifMask = D | A | I | F;
    public const uint ModeMask = 0x1F;

    public const uint ModeEl0t = 0b00000;
    public const uint ModeEl1t = 0b00100;
    public const uint ModeEl1h = 0b00101;

    /// <summary>0 or 1: the exception level in the M field.</summary>
    public static int ExceptionLevel(uint pstate) => (int)(pstate >> 2) & 3;

    /// <summary>
    /// For each condition code, a bit per value of NZCV that satisfies it (Arm ARM C1.2.4): test with
    /// <c>(Conditions[cond] >> (nzcv >> 28)) &amp; 1</c>.
    /// </summary>
    public static ReadOnlySpan<ushort> Conditions =>
    [
        0xF0F0, // EQ: Z
        0x0F0F, // NE
        0xCCCC, // CS: C
        0x3333, // CC
        0xFF00, // MI: N
        0x00FF, // PL
        0xAAAA, // VS: V
        0x5555, // VC
        0x0C0C, // HI: C and not Z
        0xF3F3, // LS
        0xAA55, // GE: N == V
        0x55AA, // LT
        0x0A05, // GT: N == V and not Z
        0xF5FA, // LE
        0xFFFF, // AL
        0xFFFF, // NV, which behaves as AL
    ];

    /// <summary>Whether <paramref name="condition"/> (0–15) holds for NZCV in bits 31:28.</summary>
    public static bool Holds(uint condition, uint nzcv) => ((Conditions[(int)condition] >> (int)(nzcv >> 28)) & 1) != 0;
}
