using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu.FloatingPoint;

/// <summary>An IEEE 754 binary interchange format; the arithmetic is written once and specialised by the host's compiler.</summary>
internal interface IFloatFormat
{
    /// <summary>Width in bits: 16, 32 or 64.</summary>
    static abstract int Width { get; }

    /// <summary>Bits of the stored fraction.</summary>
    static abstract int Fraction { get; }

    /// <summary>Bits of the exponent field.</summary>
    static abstract int Exponent { get; }
}

/// <summary>Half precision.</summary>
internal readonly struct HalfFormat : IFloatFormat
{
    public static int Width => 16;

    public static int Fraction => 10;

    public static int Exponent => 5;
}

/// <summary>BFloat16: single precision without the lower half of its bits.</summary>
internal readonly struct BrainFormat : IFloatFormat
{
    public static int Width => 16;

    public static int Fraction => 7;

    public static int Exponent => 8;
}

/// <summary>Single precision.</summary>
internal readonly struct SingleFormat : IFloatFormat
{
    public static int Width => 32;

    public static int Fraction => 23;

    public static int Exponent => 8;
}

/// <summary>Double precision.</summary>
internal readonly struct DoubleFormat : IFloatFormat
{
    public static int Width => 64;

    public static int Fraction => 52;

    public static int Exponent => 11;
}

/// <summary>Rounding modes: the first four as in FPCR.RMode, then the two that only instructions ask for.</summary>
internal enum Rounding
{
    TieEven,
    PlusInfinity,
    MinusInfinity,
    Zero,
    TieAway,
    Odd,
}

/// <summary>Bits of FPCR (Arm ARM C5.2.8).</summary>
internal static class Fpcr
{
    /// <summary>FIZ: subnormal operands of single and double precision and of BFloat16 are zeros.</summary>
    public const uint FlushInputs = 1u << 0;

    /// <summary>
    /// AH: the alternate behaviour of FEAT_AFP. Underflow and flushing are found after rounding, FZ flushes results alone, subnormal
    /// operands raise Input Denormal, the first of several NaNs is the result, the default NaN is negative, and a NaN keeps its sign.
    /// </summary>
    public const uint Alternate = 1u << 1;

    /// <summary>NEP: the result of a scalar instruction replaces the first element of a register alone.</summary>
    public const uint Merge = 1u << 2;

    /// <summary>EBF: BFDOT and BFMMLA round a sum of two products once, in the mode and with the flushing that FPCR says.</summary>
    public const uint ExtendedBrain = 1u << 13;

    public const uint FlushHalf = 1u << 19;
    public const uint Flush = 1u << 24;
    public const uint DefaultNan = 1u << 25;
    public const uint AlternativeHalf = 1u << 26;

    private const uint RoundingMode = 3u << 22;

    /// <summary>The bits that are not RES0 on a model. Exceptions are not trapped.</summary>
    public static uint WritableOn(CpuModel model) => RoundingMode | Flush | DefaultNan | AlternativeHalf
        | (model.Has(Feature.Fp16) ? FlushHalf : 0)
        | (model.HasAlternateFloat ? FlushInputs | Alternate | Merge : 0)
        | (model.HasExtendedBrain ? ExtendedBrain : 0);

    public static Rounding Mode(uint fpcr) => (Rounding)((fpcr >> 22) & 3);

    /// <summary>
    /// With AH estimates, their steps and arithmetic of BFloat16 round to nearest, flush operands and results, and raise no exceptions.
    /// </summary>
    public static bool IsSilent(uint fpcr) => (fpcr & Alternate) != 0;

    /// <summary>FPCR as such instructions take it while AH is set.</summary>
    public static uint Silent(uint fpcr) => (fpcr & ~RoundingMode) | FlushInputs | Flush;
}

/// <summary>Cumulative exception bits of FPSR (Arm ARM C5.2.10).</summary>
internal static class Fpsr
{
    public const uint InvalidOperation = 1;
    public const uint DivideByZero = 2;
    public const uint Overflow = 4;
    public const uint Underflow = 8;
    public const uint Inexact = 16;
    public const uint InputDenormal = 128;
}
