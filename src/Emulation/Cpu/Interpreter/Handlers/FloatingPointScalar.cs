using System.Runtime.CompilerServices;
using Vmm.Emulation.Cpu.FloatingPoint;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>
/// Scalar floating point (Arm ARM C4.1.96.29 and following). Rd, Rn, Rm and Ra are V register numbers unless said otherwise.
/// </summary>
internal static unsafe class FloatingPointScalar
{
    /// <summary>The register fields as they stand.</summary>
    public static void Fields(Op* op)
    {
        op->Rd = (byte)(op->Word & 31);
        op->Rn = (byte)((op->Word >> 5) & 31);
        op->Rm = (byte)((op->Word >> 16) & 31);
        op->Ra = (byte)((op->Word >> 10) & 31);
        op->Shift = (byte)((op->Word >> 12) & 15);
        op->Extra = (byte)(64 - ((op->Word >> 10) & 63));
    }

    /// <summary>To a general register: Rd 31 is the sink.</summary>
    public static void ToGeneral(Op* op)
    {
        Fields(op);
        op->Rd = op->Rd == 31 ? (byte)CpuState.Sink : op->Rd;
    }

    /// <summary>FMOV (immediate): Imm is VFPExpandImm of imm8.</summary>
    public static void Immediate<F>(Op* op)
        where F : struct, IFloatFormat
    {
        Fields(op);
        op->Imm = Expand<F>((op->Word >> 13) & 0xFF);
    }

    /// <summary>VFPExpandImm.</summary>
    public static ulong Expand<F>(uint imm8)
        where F : struct, IFloatFormat
    {
        ulong repeated = (imm8 & 0x40) != 0 ? (1ul << (F.Exponent - 3)) - 1 : 0;
        ulong exponent = ((imm8 & 0x40) != 0 ? 0 : 1ul << (F.Exponent - 1)) | (repeated << 2) | ((imm8 >> 4) & 3);
        return ((ulong)(imm8 >> 7) << (F.Width - 1)) | (exponent << F.Fraction) | ((ulong)(imm8 & 15) << (F.Fraction - 4));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Read<F>(CpuState* s, int register)
        where F : struct, IFloatFormat => s->V[2 * register] & (ulong.MaxValue >> (64 - F.Width));

    // A result, which with FPCR.NEP replaces the first element of what another register holds.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Op* Write<F>(CpuState* s, Op* op, ulong value, int merged)
        where F : struct, IFloatFormat =>
        (s->Fpcr & Fpcr.Merge) == 0 ? Write<F>(s, op, value) : Merge<F>(s, op, value, merged);

    /// <summary>Vd = the register named by <paramref name="merged"/> with another first element.</summary>
    internal static Op* Merge<F>(CpuState* s, Op* op, ulong value, int merged)
        where F : struct, IFloatFormat
    {
        UInt128 result = *(UInt128*)&s->V[2 * merged];
        FloatingPointVector.Set<F>(&result, 0, value);
        return FloatingPointVector.Finish(s, op, result);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Op* Write<F>(CpuState* s, Op* op, ulong value)
        where F : struct, IFloatFormat
    {
        s->V[2 * op->Rd] = value & (ulong.MaxValue >> (64 - F.Width));
        s->V[(2 * op->Rd) + 1] = 0;
        return op + 1;
    }

    /// <summary>FMOV (register).</summary>
    public static Op* Move<F>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat => Write<F>(s, op, Read<F>(s, op->Rn));

    /// <summary>One source or two.</summary>
    public static Op* Binary<F, TOp>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat
        where TOp : struct, IFloatOperation
    {
        bool two = (op->Word & (3u << 10)) == 2u << 10;
        ulong value = TOp.Apply<F>(0, Read<F>(s, op->Rn), Read<F>(s, op->Rm), s->Fpcr, ref s->Fpsr);
        return Write<F>(s, op, value, two ? op->Rn : op->Rd);
    }

    /// <summary>FMADD and its kin: Ra is the addend.</summary>
    public static Op* Fused<F, TOp>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat
        where TOp : struct, IFloatOperation =>
        Write<F>(s, op, TOp.Apply<F>(Read<F>(s, op->Ra), Read<F>(s, op->Rn), Read<F>(s, op->Rm), s->Fpcr, ref s->Fpsr), op->Ra);

    public static Op* Precision<From, To>(VcpuCore core, CpuState* s, Op* op)
        where From : struct, IFloatFormat
        where To : struct, IFloatFormat =>
        Write<To>(s, op, SoftFloat.Convert<From, To>(Read<From>(s, op->Rn), s->Fpcr, ref s->Fpsr), op->Rd);

    /// <summary>FCMP, FCMPE: opc2 bit 4 makes it signalling, bit 3 compares with zero.</summary>
    public static Op* Compare<F>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat
    {
        ulong b = (op->Word & 8) != 0 ? 0 : Read<F>(s, op->Rm);
        s->Nzcv = SoftFloat.Compare<F>(Read<F>(s, op->Rn), b, (op->Word & 16) != 0, s->Fpcr, ref s->Fpsr);
        return op + 1;
    }

    public static Op* ConditionalCompare<F>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat
    {
        s->Nzcv = Pstate.Holds(op->Shift, s->Nzcv)
            ? SoftFloat.Compare<F>(Read<F>(s, op->Rn), Read<F>(s, op->Rm), (op->Word & 16) != 0, s->Fpcr, ref s->Fpsr)
            : op->Word << 28;
        return op + 1;
    }

    public static Op* Select<F>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat => Write<F>(s, op, Read<F>(s, Pstate.Holds(op->Shift, s->Nzcv) ? op->Rn : op->Rm));

    public static Op* MoveImmediate<F>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat => Write<F>(s, op, op->Imm);

    public static Op* MoveToGeneral<F>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat
    {
        s->X[op->Rd] = Read<F>(s, op->Rn);
        return op + 1;
    }

    public static Op* MoveFromGeneral<F>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat => Write<F>(s, op, s->X[op->Rn]);

    /// <summary>FMOV Xd, Vn.D[1].</summary>
    public static Op* MoveTopToGeneral(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = s->V[(2 * op->Rn) + 1];
        return op + 1;
    }

    /// <summary>FMOV Vd.D[1], Xn.</summary>
    public static Op* MoveTopFromGeneral(VcpuCore core, CpuState* s, Op* op)
    {
        s->V[(2 * op->Rd) + 1] = s->X[op->Rn];
        return op + 1;
    }

    /// <summary>
    /// FCVT[NPMZA][SU] to a general register: rmode is bits 20:19, opcode bits 18:16 (1xx to nearest, ties away; bit 16 unsigned).
    /// </summary>
    public static Op* ToInteger<F>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat
    {
        Rounding mode = (op->Word & (1u << 18)) != 0 ? Rounding.TieAway : (Rounding)((op->Word >> 19) & 3);
        return ToGeneralFixed<F>(s, op, 0, mode);
    }

    /// <summary>FCVTZS, FCVTZU (fixed-point): Extra is the count of fraction bits.</summary>
    public static Op* ToFixed<F>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat => ToGeneralFixed<F>(s, op, op->Extra, Rounding.Zero);

    private static Op* ToGeneralFixed<F>(CpuState* s, Op* op, int fractionBits, Rounding mode)
        where F : struct, IFloatFormat
    {
        int width = op->Word >> 31 != 0 ? 64 : 32;
        bool signed = (op->Word & (1u << 16)) == 0;
        s->X[op->Rd] = SoftFloat.ToFixed<F>(Read<F>(s, op->Rn), fractionBits, width, signed, mode, s->Fpcr, ref s->Fpsr);
        return op + 1;
    }

    /// <summary>SCVTF, UCVTF from a general register (ZR as a source reads zero).</summary>
    public static Op* FromInteger<F>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat => FromGeneral<F>(s, op, 0);

    public static Op* FromFixed<F>(VcpuCore core, CpuState* s, Op* op)
        where F : struct, IFloatFormat => FromGeneral<F>(s, op, op->Extra);

    private static Op* FromGeneral<F>(CpuState* s, Op* op, int fractionBits)
        where F : struct, IFloatFormat
    {
        bool signed = (op->Word & (1u << 16)) == 0;
        ulong value = s->X[op->Rn];
        if (op->Word >> 31 == 0)
        {
            value = signed ? (ulong)(int)value : (uint)value;
        }

        return Write<F>(s, op, SoftFloat.FromFixed<F>(value, fractionBits, signed, s->Fpcr, ref s->Fpsr), op->Rd);
    }
}
