using System.Numerics;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.FloatingPoint;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;

/// <summary>Floating point of SVE that is not done element by element: reductions, complex numbers, matrices.</summary>
internal static unsafe class SveFloat
{
    private const int Result = 9;

    /// <summary>Zdn, and one of two constants by bit 5: 0.5 or 1.0, for FMUL 0.5 or 2.0, for FMAX and kin 0.0 or 1.0.</summary>
    public static void Constant(Op* op)
    {
        SveForms.Destructive(op);
        int operation = SveForms.Field(op, 16, 3);
        bool second = SveForms.Field(op, 5, 1) != 0;
        uint imm8 = operation == 2 && second ? 0x00u : second ? 0x70u : 0x60u;
        op->Imm = operation >= 4 && !second ? 0 : Expand(imm8, op->Extra);
    }

    /// <summary>Zd, and a number of 8 bits at 12:5; the predicate, of four bits, is at 19:16. FCPY, FDUP.</summary>
    public static void Immediate(Op* op)
    {
        SveForms.Three(op);
        op->Shift = SveForms.Field(op, 16, 4);
        op->Imm = Expand(SveForms.Field(op, 5, 8), op->Extra);
    }

    private static ulong Expand(uint imm8, int size) => size switch
    {
        1 => FloatingPointScalar.Expand<HalfFormat>(imm8),
        2 => FloatingPointScalar.Expand<SingleFormat>(imm8),
        _ => FloatingPointScalar.Expand<DoubleFormat>(imm8),
    };

    /// <summary>FTMAD: the accumulator is the number of a coefficient, at bits 18:16.</summary>
    public static Op* TrigonometricStep(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* n = z.Read(s, op->Rn, 0);
        byte* m = z.Read(s, op->Rm, 1);
        byte* result = z.Room(Result);
        for (int i = 0; i < z.Length >> op->Extra; i++)
        {
            ulong value = SveFloatLanes.TrigonometricStep(
                s, SveForms.Field(op, 16, 3), SveElements.Get(n, i, op->Extra), SveElements.Get(m, i, op->Extra), 8 << op->Extra);
            SveElements.Set(result, i, op->Extra, value);
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }

    /// <summary>Zd, Zn, Pg; Imm is what inactive elements stand for: zero, the default NaN, minus infinity, infinity.</summary>
    public static void Reduction(Op* op)
    {
        SveForms.Three(op);
        int bits = 8 << op->Extra;
        ulong infinity = bits switch { 16 => 0x7C00, 32 => 0x7F80_0000, _ => 0x7FF0_0000_0000_0000 };
        ulong quiet = bits switch { 16 => 0x200, 32 => 0x40_0000, _ => 0x8_0000_0000_0000 };
        op->Imm = SveForms.Field(op, 16, 3) switch
        {
            0 => 0,
            4 or 5 => infinity | quiet,
            6 => infinity | (1ul << (bits - 1)),
            _ => infinity,
        };
    }

    /// <summary>FADDV, FMAXV and kin: halves are reduced, then the two. A number of elements is rounded up to a power of two.</summary>
    public static Op* Reduce(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        var lane = EncodingTable.Rows[op->Row].Lane;
        int size = op->Extra;
        byte* n = z.Read(s, op->Rn, 0);
        byte* values = z.Room(Result);

        // With FPCR.AH the default NaN is negative.
        bool negative = (s->Fpcr & Fpcr.Alternate) != 0 && SveForms.Field(op, 16, 3) is 4 or 5;
        ulong inactive = negative ? op->Imm | (1ul << ((8 << size) - 1)) : op->Imm;
        int count = (int)BitOperations.RoundUpToPowerOf2((uint)(z.Length >> size));
        for (int i = 0; i < count; i++)
        {
            bool active = i < z.Length >> size && SveElements.IsActive(z.Predicate(op->Shift), i, size);
            SveElements.Set(values, i, size, active ? SveElements.Get(n, i, size) : inactive);
        }

        for (; count > 1; count /= 2)
        {
            for (int i = 0; i < count / 2; i++)
            {
                ulong value = lane(
                    s, 0, SveElements.Get(values, 2 * i, size), SveElements.Get(values, (2 * i) + 1, size), 8 << size);
                SveElements.Set(values, i, size, value);
            }
        }

        ScalableRegisters.WriteLow(s, op->Rd, SveElements.Get(values, 0, size));
        return op + 1;
    }

    /// <summary>FADDA: one active element after the other is added to the scalar.</summary>
    public static Op* AddInOrder(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        int size = op->Extra;
        byte* m = z.Read(s, op->Rm, 0);
        ulong sum = s->V[2 * op->Rn] & SveElements.Mask(8 << size);
        for (int i = 0; i < z.Length >> size; i++)
        {
            if (SveElements.IsActive(z.Predicate(op->Shift), i, size))
            {
                sum = SveFloatLanes.Of<FAdd>(s, 0, sum, SveElements.Get(m, i, size), 8 << size);
            }
        }

        ScalableRegisters.WriteLow(s, op->Rd, sum);
        return op + 1;
    }

    /// <summary>FCADD: pairs of a real and an imaginary part, the second rotated by 90 or, with bit 16, 270 degrees.</summary>
    public static Op* ComplexAdd(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        int size = op->Extra;
        byte* n = z.Read(s, op->Rn, 0);
        byte* m = z.Read(s, op->Rm, 1);
        byte* result = z.Room(Result);
        bool back = SveForms.Field(op, 16, 1) != 0;
        for (int i = 0; i < z.Length >> size; i++)
        {
            ulong value = SveElements.Get(n, i, size);
            if (SveElements.IsActive(z.Predicate(op->Shift), i, size))
            {
                bool negative = ((i & 1) == 0) != back;
                value = SveFloatLanes.Of<FAdd>(s, 0, value, Negated(s, SveElements.Get(m, i ^ 1, size), negative, size), 8 << size);
            }

            SveElements.Set(result, i, size, value);
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }

    private static ulong Negated(CpuState* s, ulong value, bool negative, int size) =>
        negative ? SveFloatLanes.Of<FNeg>(s, 0, value, 0, 8 << size) : value;

    /// <summary>FCMLA under a predicate: the rotation is at bits 14:13.</summary>
    public static Op* ComplexMultiply(VcpuCore core, CpuState* s, Op* op) =>
        ComplexMultiply(core, s, op, SveForms.Field(op, 13, 2), indexed: false);

    /// <summary>FCMLA by a pair of each segment of 128 bits, <see cref="Op.Imm"/>: the rotation is at bits 11:10.</summary>
    public static Op* ComplexMultiplyIndexed(VcpuCore core, CpuState* s, Op* op) =>
        ComplexMultiply(core, s, op, SveForms.Field(op, 10, 2), indexed: true);

    private static Op* ComplexMultiply(VcpuCore core, CpuState* s, Op* op, int rotation, bool indexed)
    {
        ScalableRegisters z = core.Scalable!;
        int size = op->Extra;
        byte* d = z.Read(s, op->Rd, 0);
        byte* n = z.Read(s, op->Rn, 1);
        byte* m = z.Read(s, op->Rm, 2);
        byte* result = z.Room(Result);
        int segment = 16 >> size;
        int odd = rotation & 1;
        for (int i = 0; i < z.Length >> size; i++)
        {
            ulong value = SveElements.Get(d, i, size);
            if (indexed || SveElements.IsActive(z.Predicate(op->Shift), i, size))
            {
                int pair = indexed ? (i / segment * segment) + (2 * (int)op->Imm) : i & ~1;
                bool imaginary = (i & 1) != 0;
                bool negative = imaginary ? rotation >= 2 : rotation is 1 or 2;
                ulong other = Negated(s, SveElements.Get(m, pair + (imaginary ? 1 - odd : odd), size), negative, size);
                value = SveFloatLanes.Of<FMla>(s, value, SveElements.Get(n, (i & ~1) + odd, size), other, 8 << size);
            }

            SveElements.Set(result, i, size, value);
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }

    /// <summary>FMMLA: matrices of 2 × 2 elements by rows, the second one transposed. What does not fill a matrix is zero.</summary>
    public static Op* MatrixMultiply(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        int size = op->Extra;
        int bits = 8 << size;
        if (z.Length < 4 << size)
        {
            return core.TakeUndefined(op);
        }

        byte* d = z.Read(s, op->Rd, 0);
        byte* n = z.Read(s, op->Rn, 1);
        byte* m = z.Read(s, op->Rm, 2);
        byte* result = z.Room(Result);
        new Span<byte>(result, z.Length).Clear();
        for (int i = 0; i < (z.Length >> size) / 4 * 4; i++)
        {
            int row = i & ~1;
            int column = (i & ~3) + (2 * (i & 1));
            ulong first = SveFloatLanes.Of<FMul>(s, 0, SveElements.Get(n, row, size), SveElements.Get(m, column, size), bits);
            ulong second = SveFloatLanes.Of<FMul>(s, 0, SveElements.Get(n, row + 1, size), SveElements.Get(m, column + 1, size), bits);
            ulong sum = SveFloatLanes.Of<FAdd>(s, 0, first, second, bits);
            SveElements.Set(result, i, size, SveFloatLanes.Of<FAdd>(s, 0, SveElements.Get(d, i, size), sum, bits));
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }
}
