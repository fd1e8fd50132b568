using Vmm.Emulation.Cpu.FloatingPoint;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>
/// FEAT_FCMA: vectors of complex numbers, each the real part and then the imaginary one (Arm ARM C7.2, FCADD and FCMLA).
/// <see cref="Op.Ra"/> is the rotation in steps of 90 degrees, <see cref="Op.Extra"/> the index of the pair of a form by element.
/// </summary>
internal static unsafe class FloatingPointComplex
{
    /// <summary>FCADD: the rotation, by 90 or 270 degrees, is bit 12.</summary>
    public static void Addition(Op* op)
    {
        FloatingPointVector.Vector(op);
        op->Ra = (byte)(1 + (2 * ((op->Word >> 12) & 1)));
    }

    /// <summary>FCMLA (vector): the rotation is in bits 12:11.</summary>
    public static void Multiplication(Op* op)
    {
        FloatingPointVector.Vector(op);
        op->Ra = (byte)((op->Word >> 11) & 3);
    }

    /// <summary>FCMLA (by element): the rotation is in bits 14:13, the index H:L, of single precision H.</summary>
    public static void MultiplicationByElement(Op* op)
    {
        FloatingPointVector.Vector(op);
        op->Ra = (byte)((op->Word >> 13) & 3);
        uint high = (op->Word >> 11) & 1;
        op->Extra = (byte)(((op->Word >> 22) & 3) == 1 ? (high << 1) | ((op->Word >> 21) & 1) : high);
    }

    /// <summary>FCADD: n plus m rotated.</summary>
    public static Op* Add<F>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat
    {
        UInt128 result = 0;
        ulong* n = &s->V[2 * op->Rn];
        ulong* m = &s->V[2 * op->Rm];
        for (int i = 0; i < op->Shift * 8 / F.Width; i += 2)
        {
            ulong real = Rotated<F>(s, m, i + 1, negative: op->Ra == 1);
            ulong imaginary = Rotated<F>(s, m, i, negative: op->Ra == 3);
            FloatingPointVector.Set<F>(&result, i, SoftFloat.Add<F>(FloatingPointVector.Get<F>(n, i), real, s->Fpcr, ref s->Fpsr));
            FloatingPointVector.Set<F>(
                &result, i + 1, SoftFloat.Add<F>(FloatingPointVector.Get<F>(n, i + 1), imaginary, s->Fpcr, ref s->Fpsr));
        }

        return FloatingPointVector.Finish(s, op, result);
    }

    public static Op* MultiplyAdd<F>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat => MultiplyAdd<F>(s, op, -1);

    public static Op* MultiplyAddByElement<F>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat => MultiplyAdd<F>(s, op, 2 * op->Extra);

    // FCMLA: one part of n, the real one for an even rotation, times both parts of m, with the signs that the rotation gives them.
    private static Op* MultiplyAdd<F>(CpuState* s, Op* op, int element)
        where F : struct, IFloatFormat
    {
        UInt128 result = 0;
        ulong* d = &s->V[2 * op->Rd];
        ulong* n = &s->V[2 * op->Rn];
        ulong* m = &s->V[2 * op->Rm];
        int odd = op->Ra & 1;
        for (int i = 0; i < op->Shift * 8 / F.Width; i += 2)
        {
            int pair = element < 0 ? i : element;
            ulong factor = FloatingPointVector.Get<F>(n, i + odd);
            ulong real = Rotated<F>(s, m, pair + odd, negative: op->Ra is 1 or 2);
            ulong imaginary = Rotated<F>(s, m, pair + 1 - odd, negative: op->Ra >= 2);
            FloatingPointVector.Set<F>(
                &result, i, SoftFloat.MultiplyAdd<F>(FloatingPointVector.Get<F>(d, i), factor, real, s->Fpcr, ref s->Fpsr));
            FloatingPointVector.Set<F>(
                &result, i + 1, SoftFloat.MultiplyAdd<F>(FloatingPointVector.Get<F>(d, i + 1), factor, imaginary, s->Fpcr, ref s->Fpsr));
        }

        return FloatingPointVector.Finish(s, op, result);
    }

    private static ulong Rotated<F>(CpuState* s, ulong* m, int index, bool negative)
        where F : struct, IFloatFormat
    {
        ulong part = FloatingPointVector.Get<F>(m, index);
        return negative ? SoftFloat.Negate<F>(part, s->Fpcr) : part;
    }
}
