namespace Vmm.Emulation.Cpu.FloatingPoint;

/// <summary>The class of an operand in FPUnpack of the Arm ARM.</summary>
internal enum FloatKind
{
    Zero,
    Number,
    Infinity,
    QuietNan,
    SignalingNan,
}

/// <summary>An operand taken apart: a number is <c>Significand × 2^(Exponent - 63)</c> with bit 63 of the significand set.</summary>
internal readonly record struct Unpacked(FloatKind Kind, bool Sign, int Exponent, ulong Significand)
{
    public bool IsNan => Kind >= FloatKind.QuietNan;
}
