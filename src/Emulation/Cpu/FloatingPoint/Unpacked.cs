namespace Vmm.Emulation.Cpu.FloatingPoint;

/// <summary>What an operand is, as FPUnpack of the Arm ARM classifies it.</summary>
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
