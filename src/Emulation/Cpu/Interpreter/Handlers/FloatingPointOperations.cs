using Vmm.Emulation.Cpu.FloatingPoint;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>An operation on one element; the accumulator is the destination's element, of which FMLA and FMLS alone make use.</summary>
internal interface IFloatOperation
{
    static abstract ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat;
}

internal readonly struct FAdd : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.Add<F>(a, b, fpcr, ref fpsr);
}

internal readonly struct FSub : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.Subtract<F>(a, b, fpcr, ref fpsr);
}

internal readonly struct FMul : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.Multiply<F>(a, b, fpcr, ref fpsr);
}

internal readonly struct FDiv : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.Divide<F>(a, b, fpcr, ref fpsr);
}

internal readonly struct FMax : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.Maximum<F>(a, b, fpcr, ref fpsr);
}

internal readonly struct FMin : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.Minimum<F>(a, b, fpcr, ref fpsr);
}

internal readonly struct FMaxNm : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.MaximumNumber<F>(a, b, fpcr, ref fpsr);
}

internal readonly struct FMinNm : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.MinimumNumber<F>(a, b, fpcr, ref fpsr);
}

internal readonly struct FMulX : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.MultiplyExtended<F>(a, b, fpcr, ref fpsr);
}

internal readonly struct FRecps : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => FloatEstimates.ReciprocalStep<F>(a, b, fpcr, ref fpsr);
}

internal readonly struct FRsqrts : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => FloatEstimates.ReciprocalRootStep<F>(a, b, fpcr, ref fpsr);
}

internal readonly struct FNMul : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.Negate<F>(SoftFloat.Multiply<F>(a, b, fpcr, ref fpsr), fpcr);
}

internal readonly struct FAbd : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.Absolute<F>(SoftFloat.Subtract<F>(a, b, fpcr, ref fpsr), fpcr);
}

internal readonly struct FMla : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.MultiplyAdd<F>(accumulator, a, b, fpcr, ref fpsr);
}

internal readonly struct FMls : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.MultiplyAdd<F>(accumulator, SoftFloat.Negate<F>(a, fpcr), b, fpcr, ref fpsr);
}

internal readonly struct FNMla : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat =>
        SoftFloat.MultiplyAdd<F>(SoftFloat.Negate<F>(accumulator, fpcr), SoftFloat.Negate<F>(a, fpcr), b, fpcr, ref fpsr);
}

internal readonly struct FNMls : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.MultiplyAdd<F>(SoftFloat.Negate<F>(accumulator, fpcr), a, b, fpcr, ref fpsr);
}

internal readonly struct FCmEq : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.IsEqual<F>(a, b, fpcr, ref fpsr) ? ulong.MaxValue : 0;
}

internal readonly struct FCmGe : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.IsGreaterOrEqual<F>(a, b, fpcr, ref fpsr) ? ulong.MaxValue : 0;
}

internal readonly struct FCmGt : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.IsGreater<F>(a, b, fpcr, ref fpsr) ? ulong.MaxValue : 0;
}

internal readonly struct FCmLe : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.IsGreaterOrEqual<F>(b, a, fpcr, ref fpsr) ? ulong.MaxValue : 0;
}

internal readonly struct FCmLt : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.IsGreater<F>(b, a, fpcr, ref fpsr) ? ulong.MaxValue : 0;
}

internal readonly struct FAcGe : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.IsGreaterOrEqual<F>(
            a & (SoftFloat.SignBit<F>() - 1), b & (SoftFloat.SignBit<F>() - 1), fpcr, ref fpsr) ? ulong.MaxValue : 0;
}

internal readonly struct FAcGt : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.IsGreater<F>(
            a & (SoftFloat.SignBit<F>() - 1), b & (SoftFloat.SignBit<F>() - 1), fpcr, ref fpsr) ? ulong.MaxValue : 0;
}

internal readonly struct FAbs : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.Absolute<F>(a, fpcr);
}

internal readonly struct FNeg : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.Negate<F>(a, fpcr);
}

internal readonly struct FSqrt : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.SquareRoot<F>(a, fpcr, ref fpsr);
}

internal readonly struct FRecpe : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => FloatEstimates.ReciprocalEstimate<F>(a, fpcr, ref fpsr);
}

internal readonly struct FRsqrte : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => FloatEstimates.ReciprocalRootEstimate<F>(a, fpcr, ref fpsr);
}

internal readonly struct FRecpx : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => FloatEstimates.ReciprocalExponent<F>(a, fpcr, ref fpsr);
}

internal readonly struct FRintN : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.RoundToIntegral<F>(a, Rounding.TieEven, false, fpcr, ref fpsr);
}

internal readonly struct FCvtNS : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.ToFixed<F>(a, 0, F.Width, true, Rounding.TieEven, fpcr, ref fpsr);
}

internal readonly struct FCvtNU : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.ToFixed<F>(a, 0, F.Width, false, Rounding.TieEven, fpcr, ref fpsr);
}

internal readonly struct FRintP : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.RoundToIntegral<F>(a, Rounding.PlusInfinity, false, fpcr, ref fpsr);
}

internal readonly struct FCvtPS : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.ToFixed<F>(a, 0, F.Width, true, Rounding.PlusInfinity, fpcr, ref fpsr);
}

internal readonly struct FCvtPU : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.ToFixed<F>(a, 0, F.Width, false, Rounding.PlusInfinity, fpcr, ref fpsr);
}

internal readonly struct FRintM : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.RoundToIntegral<F>(a, Rounding.MinusInfinity, false, fpcr, ref fpsr);
}

internal readonly struct FCvtMS : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.ToFixed<F>(a, 0, F.Width, true, Rounding.MinusInfinity, fpcr, ref fpsr);
}

internal readonly struct FCvtMU : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.ToFixed<F>(a, 0, F.Width, false, Rounding.MinusInfinity, fpcr, ref fpsr);
}

internal readonly struct FRintZ : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.RoundToIntegral<F>(a, Rounding.Zero, false, fpcr, ref fpsr);
}

internal readonly struct FCvtZS : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.ToFixed<F>(a, 0, F.Width, true, Rounding.Zero, fpcr, ref fpsr);
}

internal readonly struct FCvtZU : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.ToFixed<F>(a, 0, F.Width, false, Rounding.Zero, fpcr, ref fpsr);
}

internal readonly struct FRintA : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.RoundToIntegral<F>(a, Rounding.TieAway, false, fpcr, ref fpsr);
}

internal readonly struct FCvtAS : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.ToFixed<F>(a, 0, F.Width, true, Rounding.TieAway, fpcr, ref fpsr);
}

internal readonly struct FCvtAU : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.ToFixed<F>(a, 0, F.Width, false, Rounding.TieAway, fpcr, ref fpsr);
}

internal readonly struct FRintX : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.RoundToIntegral<F>(a, Fpcr.Mode(fpcr), true, fpcr, ref fpsr);
}

internal readonly struct FRintI : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.RoundToIntegral<F>(a, Fpcr.Mode(fpcr), false, fpcr, ref fpsr);
}

internal readonly struct SCvtF : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat =>
        SoftFloat.FromFixed<F>((ulong)((long)(a << (64 - F.Width)) >> (64 - F.Width)), 0, true, fpcr, ref fpsr);
}

internal readonly struct UCvtF : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => SoftFloat.FromFixed<F>(a, 0, false, fpcr, ref fpsr);
}

internal readonly struct URecpe : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => FloatEstimates.UnsignedReciprocalEstimate((uint)a);
}

internal readonly struct URsqrte : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => FloatEstimates.UnsignedReciprocalRootEstimate((uint)a);
}
