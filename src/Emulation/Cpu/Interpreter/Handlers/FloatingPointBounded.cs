using Vmm.Emulation.Cpu.FloatingPoint;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

internal readonly struct FRint32Z : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => BoundedIntegers.Round<F>(a, 32, Rounding.Zero, fpcr, ref fpsr);
}

internal readonly struct FRint32X : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => BoundedIntegers.Round<F>(a, 32, Fpcr.Mode(fpcr), fpcr, ref fpsr);
}

internal readonly struct FRint64Z : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => BoundedIntegers.Round<F>(a, 64, Rounding.Zero, fpcr, ref fpsr);
}

internal readonly struct FRint64X : IFloatOperation
{
    public static ulong Apply<F>(ulong accumulator, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => BoundedIntegers.Round<F>(a, 64, Fpcr.Mode(fpcr), fpcr, ref fpsr);
}

/// <summary>FEAT_JSCVT.</summary>
internal static unsafe class FloatingPointToJavaScript
{
    /// <summary>FJCVTZS: Z says whether the result is exact; the other flags are zero.</summary>
    public static Op* Convert(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = BoundedIntegers.ToJavaScriptInteger(s->V[2 * op->Rn], s->Fpcr, ref s->Fpsr, out bool exact);
        s->Nzcv = exact ? Pstate.Z : 0;
        return op + 1;
    }
}
