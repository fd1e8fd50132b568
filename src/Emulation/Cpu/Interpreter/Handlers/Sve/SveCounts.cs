using System.Numerics;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;

/// <summary>Counts of elements, by a pattern or of a predicate, into registers and added to them; the vector length itself.</summary>
internal static unsafe class SveCounts
{
    private const int Result = 9;

    /// <summary>Elements that a pattern names (Arm ARM, DecodePredCount).</summary>
    /// <param name="pattern">POW2, VL1 to VL256, MUL4, MUL3, ALL.</param>
    /// <param name="count">Elements of a vector.</param>
    public static int OfPattern(int pattern, int count)
    {
        int wanted = pattern switch
        {
            0 => 1 << BitOperations.Log2((uint)count),
            <= 8 => pattern,
            <= 13 => 16 << (pattern - 9),
            29 => count - (count % 4),
            30 => count - (count % 3),
            31 => count,
            _ => 0,
        };
        return wanted <= count ? wanted : 0;
    }

    /// <summary>A pattern at bits 9:5, a factor of 1 to 16 at 19:16; Rd is a general register that is read and written.</summary>
    public static void General(Op* op)
    {
        op->Rd = SveForms.Field(op, 0);
        op->Rn = op->Rd;
        op->Rd = op->Rd == CpuState.Zr ? (byte)CpuState.Sink : op->Rd;
        op->Rm = SveForms.Field(op, 5, 4);
        op->Shift = SveForms.Field(op, 10, 4);
        op->Extra = SveForms.Field(op, 22, 2);
        op->Imm = SveForms.Field(op, 16, 4) + 1ul;
    }

    /// <summary>The same of a Z register; a predicate is at bits 8:5.</summary>
    public static void Vector(Op* op)
    {
        SveForms.Three(op);
        op->Rn = op->Rd;
        op->Rm = SveForms.Field(op, 5, 4);
        op->Imm = SveForms.Field(op, 16, 4) + 1ul;
    }

    private static long Pattern(VcpuCore core, Op* op) =>
        OfPattern(SveForms.Field(op, 5), core.Scalable!.Length >> op->Extra) * (long)op->Imm;

    private static int True(ScalableRegisters z, byte* predicate, int size)
    {
        int count = 0;
        for (int i = 0; i < z.Length >> size; i++)
        {
            count += SveElements.IsActive(predicate, i, size) ? 1 : 0;
        }

        return count;
    }

    private static long Predicate(VcpuCore core, Op* op) => True(core.Scalable!, core.Scalable!.Predicate(op->Rm), op->Extra);

    /// <summary>CNTB to CNTD.</summary>
    public static Op* Count(VcpuCore core, CpuState* s, Op* op) => Finish(s, op, (ulong)Pattern(core, op));

    /// <summary>CNTP: of the active elements those that are true.</summary>
    public static Op* CountPredicate(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* both = z.Room(Result);
        for (int i = 0; i < z.Length / 8; i++)
        {
            both[i] = (byte)(z.Predicate(op->Shift)[i] & z.Predicate(op->Rm)[i]);
        }

        return Finish(s, op, (ulong)True(z, both, op->Extra));
    }

    /// <summary>INCB to DECD; bit 10: down.</summary>
    public static Op* Change(VcpuCore core, CpuState* s, Op* op) =>
        Finish(s, op, s->X[op->Rn] + (ulong)Directed(op, Pattern(core, op), 10));

    /// <summary>INCP, DECP; bit 16: down.</summary>
    public static Op* ChangeByPredicate(VcpuCore core, CpuState* s, Op* op) =>
        Finish(s, op, s->X[op->Rn] + (ulong)Directed(op, Predicate(core, op), 16));

    /// <summary>SQINCB to UQDECD; bit 20: 64 bits, bit 11: down, bit 10: unsigned.</summary>
    public static Op* Saturate(VcpuCore core, CpuState* s, Op* op) => Saturate(
        s, op, Directed(op, Pattern(core, op), 11), (op->Word & (1u << 20)) != 0 ? 64 : 32, unsigned: (op->Word & (1u << 10)) != 0);

    /// <summary>SQINCP to UQDECP; bit 10: 64 bits, bit 17: down, bit 16: unsigned.</summary>
    public static Op* SaturateByPredicate(VcpuCore core, CpuState* s, Op* op) => Saturate(
        s, op, Directed(op, Predicate(core, op), 17), (op->Word & (1u << 10)) != 0 ? 64 : 32, unsigned: (op->Word & (1u << 16)) != 0);

    private static Op* Saturate(CpuState* s, Op* op, long change, int bits, bool unsigned)
    {
        ulong value = Saturated(s->X[op->Rn] & SveElements.Mask(bits), change, bits, unsigned);
        return Finish(s, op, unsigned ? value & SveElements.Mask(bits) : (ulong)SveElements.SignExtend(value, bits));
    }

    /// <summary>INCH to DECD of vectors; bit 10: down.</summary>
    public static Op* ChangeVector(VcpuCore core, CpuState* s, Op* op) =>
        Each(core, s, op, Directed(op, Pattern(core, op), 10), saturates: false, unsigned: true);

    public static Op* ChangeVectorByPredicate(VcpuCore core, CpuState* s, Op* op) =>
        Each(core, s, op, Directed(op, Predicate(core, op), 16), saturates: false, unsigned: true);

    public static Op* SaturateVector(VcpuCore core, CpuState* s, Op* op) =>
        Each(core, s, op, Directed(op, Pattern(core, op), 11), saturates: true, unsigned: (op->Word & (1u << 10)) != 0);

    public static Op* SaturateVectorByPredicate(VcpuCore core, CpuState* s, Op* op) =>
        Each(core, s, op, Directed(op, Predicate(core, op), 17), saturates: true, unsigned: (op->Word & (1u << 16)) != 0);

    private static Op* Each(VcpuCore core, CpuState* s, Op* op, long change, bool saturates, bool unsigned)
    {
        ScalableRegisters z = core.Scalable!;
        byte* d = z.Read(s, op->Rd, 0);
        byte* result = z.Room(Result);
        for (int i = 0; i < z.Length >> op->Extra; i++)
        {
            ulong value = SveElements.Get(d, i, op->Extra);
            value = saturates ? Saturated(value, change, 8 << op->Extra, unsigned) : value + (ulong)change;
            SveElements.Set(result, i, op->Extra, value);
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }

    private static ulong Saturated(ulong value, long change, int bits, bool unsigned)
    {
        if (!unsigned)
        {
            return SveLanes.Saturate(SveElements.SignExtend(value, bits), change, bits);
        }

        ulong most = SveElements.Mask(bits);
        return change >= 0
            ? value > most - (ulong)change ? most : value + (ulong)change
            : value < (ulong)-change ? 0 : value - (ulong)-change;
    }

    private static long Directed(Op* op, long count, int bit) => (op->Word & (1u << bit)) != 0 ? -count : count;

    private static Op* Finish(CpuState* s, Op* op, ulong value)
    {
        s->X[op->Rd] = value;
        return op + 1;
    }

    /// <summary>ADDVL, ADDPL: Xd and Xn, which may be SP, and a signed immediate at bits 10:5.</summary>
    public static void Length(Op* op)
    {
        byte d = SveForms.Field(op, 0);
        byte n = SveForms.Field(op, 16);
        op->Rd = d == 31 ? (byte)CpuState.Sp : d;
        op->Rn = n == 31 ? (byte)CpuState.Sp : n;
        op->Imm = (ulong)SveElements.SignExtend(SveForms.Field(op, 5, 6), 6);
    }

    /// <summary>RDVL: Xd, and the immediate.</summary>
    public static void LengthOnly(Op* op)
    {
        Length(op);
        op->Rd = op->Rd == CpuState.Sp ? (byte)CpuState.Sink : op->Rd;
    }

    public static Op* AddVectorLength(VcpuCore core, CpuState* s, Op* op) =>
        Finish(s, op, s->X[op->Rn] + (op->Imm * (ulong)core.Scalable!.Length));

    public static Op* AddPredicateLength(VcpuCore core, CpuState* s, Op* op) =>
        Finish(s, op, s->X[op->Rn] + (op->Imm * (ulong)(core.Scalable!.Length / 8)));

    public static Op* ReadVectorLength(VcpuCore core, CpuState* s, Op* op) => Finish(s, op, op->Imm * (ulong)core.Scalable!.Length);
}
