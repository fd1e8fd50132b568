using System.Runtime.CompilerServices;
using Vmm.Emulation.Cpu.FloatingPoint;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>
/// Advanced SIMD floating point, vector and scalar: <see cref="Op.Shift"/> is the size of the operands in bytes, one element for a
/// scalar form. Results are gathered apart before they are written, since the destination may be a source too.
/// </summary>
internal static unsafe class FloatingPointVector
{
    /// <summary>Vector form: 8 or 16 bytes by Q.</summary>
    public static void Vector(Op* op)
    {
        FloatingPointScalar.Fields(op);
        op->Shift = (byte)((op->Word & (1u << 30)) != 0 ? 16 : 8);
    }

    /// <summary>Scalar form: one element.</summary>
    public static void Scalar<F>(Op* op)
        where F : struct, IFloatFormat
    {
        FloatingPointScalar.Fields(op);
        op->Shift = (byte)(F.Width / 8);
    }

    /// <summary>By element: Rm and, in Extra, the index (H:L:M, H:L or H).</summary>
    public static void VectorElement<F>(Op* op)
        where F : struct, IFloatFormat
    {
        Vector(op);
        Element<F>(op);
    }

    public static void ScalarElement<F>(Op* op)
        where F : struct, IFloatFormat
    {
        Scalar<F>(op);
        Element<F>(op);
    }

    private static void Element<F>(Op* op)
        where F : struct, IFloatFormat
    {
        uint high = (op->Word >> 11) & 1;
        uint low = (op->Word >> 21) & 1;
        uint middle = (op->Word >> 20) & 1;
        op->Extra = (byte)(F.Width == 16 ? (high << 2) | (low << 1) | middle : F.Width == 32 ? (high << 1) | low : high);
        op->Rm = F.Width == 16 ? (byte)(op->Rm & 15) : op->Rm;
    }

    /// <summary>Fixed-point conversions: Extra is the count of fraction bits, 2 × width - immh:immb.</summary>
    public static void VectorFixed<F>(Op* op)
        where F : struct, IFloatFormat
    {
        Vector(op);
        op->Extra = (byte)((2 * F.Width) - (int)((op->Word >> 16) & 0x7F));
    }

    public static void ScalarFixed<F>(Op* op)
        where F : struct, IFloatFormat
    {
        Scalar<F>(op);
        op->Extra = (byte)((2 * F.Width) - (int)((op->Word >> 16) & 0x7F));
    }

    /// <summary>FMOV (vector, immediate): Imm is the element repeated.</summary>
    public static void Immediate<F>(Op* op)
        where F : struct, IFloatFormat
    {
        Vector(op);
        ulong element = FloatingPointScalar.Expand<F>(((op->Word >> 11) & 0xE0) | ((op->Word >> 5) & 0x1F));
        op->Imm = F.Width == 16 ? element * 0x0001_0001_0001_0001 : F.Width == 32 ? element | (element << 32) : element;
    }

    public static Op* MoveImmediate(VcpuCore core, CpuState* s, Op* op)
    {
        s->V[2 * op->Rd] = op->Imm;
        s->V[(2 * op->Rd) + 1] = op->Shift == 16 ? op->Imm : 0;
        return op + 1;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static ulong Get<F>(void* lanes, int index)
        where F : struct, IFloatFormat =>
        F.Width == 16 ? ((ushort*)lanes)[index] : F.Width == 32 ? ((uint*)lanes)[index] : ((ulong*)lanes)[index];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Set<F>(void* lanes, int index, ulong value)
        where F : struct, IFloatFormat
    {
        if (F.Width == 16)
        {
            ((ushort*)lanes)[index] = (ushort)value;
        }
        else if (F.Width == 32)
        {
            ((uint*)lanes)[index] = (uint)value;
        }
        else
        {
            ((ulong*)lanes)[index] = value;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Op* Finish(CpuState* s, Op* op, UInt128 result)
    {
        *(UInt128*)&s->V[2 * op->Rd] = result;
        return op + 1;
    }

    /// <summary>The same, but for a scalar form with FPCR.NEP the result is its first element alone.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Op* Finish<F>(CpuState* s, Op* op, UInt128 result)
        where F : struct, IFloatFormat
    {
        const uint scalar = 1u << 28;
        return (s->Fpcr & Fpcr.Merge) == 0 || (op->Word & scalar) == 0
            ? Finish(s, op, result)
            : FloatingPointScalar.Merge<F>(s, op, (ulong)result, MergedBy(op));
    }

    // The register that a scalar form merges its result into (Arm ARM C7.2, IsMerging). Bit 24 tells forms by element and fixed point from
    // others, bit 10 forms with two sources and fixed point.
    private static int MergedBy(Op* op)
    {
        const uint immediate = 1u << 24;
        const uint three = 1u << 10;
        const uint product = 1u << 15;
        bool compares = ((op->Word >> 12) & 3) == 2;
        return (op->Word & (immediate | three)) switch
        {
            immediate => (op->Word & product) != 0 ? op->Rn : op->Rd,
            three => compares ? op->Rm : op->Rn,
            _ => op->Rd,
        };
    }

    /// <summary>Element by element; the second source is unused by those with one.</summary>
    public static Op* Each<F, TOp>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat
        where TOp : struct, IFloatOperation
    {
        UInt128 result = 0;
        ulong* d = &s->V[2 * op->Rd];
        ulong* n = &s->V[2 * op->Rn];
        ulong* m = &s->V[2 * op->Rm];
        int count = op->Shift * 8 / F.Width;
        for (int i = 0; i < count; i++)
        {
            Set<F>(&result, i, TOp.Apply<F>(Get<F>(d, i), Get<F>(n, i), Get<F>(m, i), s->Fpcr, ref s->Fpsr));
        }

        return Finish<F>(s, op, result);
    }

    /// <summary>Compares with zero. FPCR.NEP plays no part.</summary>
    public static Op* EachZero<F, TOp>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat
        where TOp : struct, IFloatOperation
    {
        UInt128 result = 0;
        ulong* n = &s->V[2 * op->Rn];
        int count = op->Shift * 8 / F.Width;
        for (int i = 0; i < count; i++)
        {
            Set<F>(&result, i, TOp.Apply<F>(0, Get<F>(n, i), 0, s->Fpcr, ref s->Fpsr));
        }

        return Finish(s, op, result);
    }

    public static Op* EachElement<F, TOp>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat
        where TOp : struct, IFloatOperation
    {
        UInt128 result = 0;
        ulong* d = &s->V[2 * op->Rd];
        ulong* n = &s->V[2 * op->Rn];
        ulong element = Get<F>(&s->V[2 * op->Rm], op->Extra);
        int count = op->Shift * 8 / F.Width;
        for (int i = 0; i < count; i++)
        {
            Set<F>(&result, i, TOp.Apply<F>(Get<F>(d, i), Get<F>(n, i), element, s->Fpcr, ref s->Fpsr));
        }

        return Finish<F>(s, op, result);
    }

    /// <summary>FADDP and its kin on the concatenation of Rn (low) and Rm.</summary>
    public static Op* Pairwise<F, TOp>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat
        where TOp : struct, IFloatOperation
    {
        UInt128 result = 0;
        int half = op->Shift * 4 / F.Width;
        for (int i = 0; i < 2 * half; i++)
        {
            ulong* source = &s->V[2 * (i < half ? op->Rn : op->Rm)];
            int pair = 2 * (i < half ? i : i - half);
            Set<F>(&result, i, TOp.Apply<F>(0, Get<F>(source, pair), Get<F>(source, pair + 1), s->Fpcr, ref s->Fpsr));
        }

        return Finish(s, op, result);
    }

    /// <summary>The scalar pairwise forms.</summary>
    public static Op* Pair<F, TOp>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat
        where TOp : struct, IFloatOperation
    {
        ulong* n = &s->V[2 * op->Rn];
        return Finish(s, op, TOp.Apply<F>(0, Get<F>(n, 0), Get<F>(n, 1), s->Fpcr, ref s->Fpsr));
    }

    /// <summary>FMAXV and its kin: the lanes of each half are reduced, then the two (Arm ARM, Reduce).</summary>
    public static Op* Across<F, TOp>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat
        where TOp : struct, IFloatOperation =>
        Finish(s, op, Reduce<F, TOp>(s, &s->V[2 * op->Rn], 0, op->Shift * 8 / F.Width));

    private static ulong Reduce<F, TOp>(CpuState* s, void* lanes, int first, int count)
        where F : struct, IFloatFormat
        where TOp : struct, IFloatOperation
    {
        if (count == 1)
        {
            return Get<F>(lanes, first);
        }

        ulong low = Reduce<F, TOp>(s, lanes, first, count / 2);
        ulong high = Reduce<F, TOp>(s, lanes, first + (count / 2), count / 2);
        return TOp.Apply<F>(0, low, high, s->Fpcr, ref s->Fpsr);
    }

    /// <summary>FCVTL, FCVTL2.</summary>
    public static Op* Lengthen<From, To>(VcpuCore core, CpuState* s, Op* op)
        where From : struct, IFloatFormat
        where To : struct, IFloatFormat
    {
        UInt128 result = 0;
        ulong* n = &s->V[(2 * op->Rn) + (op->Shift == 16 ? 1 : 0)];
        for (int i = 0; i < 128 / To.Width; i++)
        {
            Set<To>(&result, i, SoftFloat.Convert<From, To>(Get<From>(n, i), s->Fpcr, ref s->Fpsr));
        }

        return Finish(s, op, result);
    }

    /// <summary>FCVTN and FCVTXN, into the low half or (the "2" forms) the high one.</summary>
    public static Op* Narrow<From, To>(VcpuCore core, CpuState* s, Op* op)
        where From : struct, IFloatFormat
        where To : struct, IFloatFormat => Narrow<From, To>(s, op, null);

    public static Op* NarrowToOdd(VcpuCore core, CpuState* s, Op* op) => Narrow<DoubleFormat, SingleFormat>(s, op, Rounding.Odd);

    private static Op* Narrow<From, To>(CpuState* s, Op* op, Rounding? rounding)
        where From : struct, IFloatFormat
        where To : struct, IFloatFormat
    {
        ulong result = 0;
        ulong* n = &s->V[2 * op->Rn];
        for (int i = 0; i < 128 / From.Width; i++)
        {
            Set<To>(&result, i, SoftFloat.Convert<From, To>(Get<From>(n, i), s->Fpcr, ref s->Fpsr, rounding));
        }

        bool high = op->Shift == 16;
        s->V[(2 * op->Rd) + (high ? 1 : 0)] = result;
        if (!high)
        {
            s->V[(2 * op->Rd) + 1] = 0;
        }

        return op + 1;
    }

    /// <summary>FCVTXN, scalar.</summary>
    public static Op* NarrowToOddScalar(VcpuCore core, CpuState* s, Op* op) => Finish<SingleFormat>(
        s, op, SoftFloat.Convert<DoubleFormat, SingleFormat>(s->V[2 * op->Rn], s->Fpcr, ref s->Fpsr, Rounding.Odd));

    /// <summary>SCVTF, UCVTF (fixed-point); U is bit 29.</summary>
    public static Op* FromFixed<F>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat
    {
        UInt128 result = 0;
        ulong* n = &s->V[2 * op->Rn];
        bool signed = (op->Word & (1u << 29)) == 0;
        for (int i = 0; i < op->Shift * 8 / F.Width; i++)
        {
            ulong value = Get<F>(n, i);
            value = signed ? (ulong)((long)(value << (64 - F.Width)) >> (64 - F.Width)) : value;
            Set<F>(&result, i, SoftFloat.FromFixed<F>(value, op->Extra, signed, s->Fpcr, ref s->Fpsr));
        }

        return Finish<F>(s, op, result);
    }

    /// <summary>FCVTZS, FCVTZU (fixed-point).</summary>
    public static Op* ToFixed<F>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat
    {
        UInt128 result = 0;
        ulong* n = &s->V[2 * op->Rn];
        bool signed = (op->Word & (1u << 29)) == 0;
        for (int i = 0; i < op->Shift * 8 / F.Width; i++)
        {
            ulong value = SoftFloat.ToFixed<F>(Get<F>(n, i), op->Extra, F.Width, signed, Rounding.Zero, s->Fpcr, ref s->Fpsr);
            Set<F>(&result, i, value);
        }

        return Finish<F>(s, op, result);
    }
}
