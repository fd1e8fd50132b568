using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;

/// <summary>Operations on predicates: logic, initialisation, FFR, breaks, permutations (Arm ARM C8.2).</summary>
internal static unsafe class SvePredicates
{
    private const int Result = 9;

    private static byte* Cleared(ScalableRegisters z, int slot)
    {
        byte* result = z.Room(slot);
        new Span<byte>(result, z.Length / 8).Clear();
        return result;
    }

    private static Op* Finish(ScalableRegisters z, Op* op, byte* result)
    {
        new ReadOnlySpan<byte>(result, z.Length / 8).CopyTo(new Span<byte>(z.Predicate(op->Rd), z.Length / 8));
        return op + 1;
    }

    // All elements of a size, as a governing predicate.
    private static byte* All(ScalableRegisters z)
    {
        byte* all = z.Room(8);
        new Span<byte>(all, z.Length / 8).Fill(0xFF);
        return all;
    }

    private static bool IsFlagSetting(Op* op) => (op->Word & (1u << 22)) != 0;

    // The index of the last element that is true, -1 for none.
    public static int Last(byte* predicate, int count, int size)
    {
        int last = count - 1;
        while (last >= 0 && !SveElements.IsActive(predicate, last, size))
        {
            last--;
        }

        return last;
    }

    // Whether the last active element of a governing predicate is true in another.
    private static bool LastActive(ScalableRegisters z, byte* governing, byte* predicate) =>
        Last(governing, z.Length, 0) is var last && last >= 0 && SveElements.IsActive(predicate, last, 0);

    public static Op* And(VcpuCore core, CpuState* s, Op* op)
    {
        static int Of(int g, int n, int m) => g & n & m;
        return Logic(core, s, op, &Of);
    }

    public static Op* Bic(VcpuCore core, CpuState* s, Op* op)
    {
        static int Of(int g, int n, int m) => g & n & ~m;
        return Logic(core, s, op, &Of);
    }

    public static Op* Eor(VcpuCore core, CpuState* s, Op* op)
    {
        static int Of(int g, int n, int m) => g & (n ^ m);
        return Logic(core, s, op, &Of);
    }

    public static Op* Orr(VcpuCore core, CpuState* s, Op* op)
    {
        static int Of(int g, int n, int m) => g & (n | m);
        return Logic(core, s, op, &Of);
    }

    public static Op* Orn(VcpuCore core, CpuState* s, Op* op)
    {
        static int Of(int g, int n, int m) => g & (n | ~m);
        return Logic(core, s, op, &Of);
    }

    public static Op* Nor(VcpuCore core, CpuState* s, Op* op)
    {
        static int Of(int g, int n, int m) => g & ~(n | m);
        return Logic(core, s, op, &Of);
    }

    public static Op* Nand(VcpuCore core, CpuState* s, Op* op)
    {
        static int Of(int g, int n, int m) => g & ~(n & m);
        return Logic(core, s, op, &Of);
    }

    public static Op* Select(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* result = z.Room(Result);
        for (int i = 0; i < z.Length / 8; i++)
        {
            int g = z.Predicate(op->Shift)[i];
            result[i] = (byte)((g & z.Predicate(op->Rn)[i]) | (~g & z.Predicate(op->Rm)[i]));
        }

        return Finish(z, op, result);
    }

    private static Op* Logic(VcpuCore core, CpuState* s, Op* op, delegate*<int, int, int, int> of)
    {
        ScalableRegisters z = core.Scalable!;
        byte* result = z.Room(Result);
        for (int i = 0; i < z.Length / 8; i++)
        {
            result[i] = (byte)of(z.Predicate(op->Shift)[i], z.Predicate(op->Rn)[i], z.Predicate(op->Rm)[i]);
        }

        if (IsFlagSetting(op))
        {
            s->Nzcv = SveElements.Test(z.Predicate(op->Shift), result, z.Length, 0);
        }

        return Finish(z, op, result);
    }

    public static Op* Test(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        s->Nzcv = SveElements.Test(z.Predicate(op->Shift), z.Predicate(op->Rn), z.Length, 0);
        return op + 1;
    }

    /// <summary>PTRUE, PTRUES.</summary>
    public static Op* True(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* result = Cleared(z, Result);
        int count = z.Length >> op->Extra;
        int wanted = SveCounts.OfPattern(SveForms.Field(op, 5), count);
        for (int i = 0; i < wanted; i++)
        {
            SveElements.Activate(result, i, op->Extra);
        }

        if ((op->Word & (1u << 16)) != 0)
        {
            s->Nzcv = SveElements.Test(result, result, count, op->Extra);
        }

        return Finish(z, op, result);
    }

    public static Op* False(VcpuCore core, CpuState* s, Op* op) => Finish(core.Scalable!, op, Cleared(core.Scalable!, Result));

    public static Op* SetFfr(VcpuCore core, CpuState* s, Op* op) =>
        Copy(core.Scalable!, op, All(core.Scalable!), ScalableRegisters.Ffr);

    public static Op* WriteFfr(VcpuCore core, CpuState* s, Op* op) =>
        Copy(core.Scalable!, op, core.Scalable!.Predicate(op->Rn), ScalableRegisters.Ffr);

    public static Op* ReadFfr(VcpuCore core, CpuState* s, Op* op) =>
        Copy(core.Scalable!, op, core.Scalable!.Predicate(ScalableRegisters.Ffr), op->Rd);

    private static Op* Copy(ScalableRegisters z, Op* op, byte* from, int to)
    {
        new ReadOnlySpan<byte>(from, z.Length / 8).CopyTo(new Span<byte>(z.Predicate(to), z.Length / 8));
        return op + 1;
    }

    /// <summary>RDFFR, RDFFRS under a predicate, at bits 8:5.</summary>
    public static Op* ReadFfrMasked(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* result = z.Room(Result);
        byte* governing = z.Predicate(op->Rn);
        for (int i = 0; i < z.Length / 8; i++)
        {
            result[i] = (byte)(governing[i] & z.Predicate(ScalableRegisters.Ffr)[i]);
        }

        if (IsFlagSetting(op))
        {
            s->Nzcv = SveElements.Test(governing, result, z.Length, 0);
        }

        return Finish(z, op, result);
    }

    /// <summary>PFIRST: the governing predicate is at bits 8:5.</summary>
    public static Op* First(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* governing = z.Predicate(op->Rn);
        byte* result = z.Room(Result);
        new ReadOnlySpan<byte>(z.Predicate(op->Rd), z.Length / 8).CopyTo(new Span<byte>(result, z.Length / 8));
        int first = Next(governing, 0, z.Length, 0);
        if (first < z.Length)
        {
            SveElements.Activate(result, first, 0);
        }

        s->Nzcv = SveElements.Test(governing, result, z.Length, 0);
        return Finish(z, op, result);
    }

    /// <summary>PNEXT: the first active element behind the last that Pdn has.</summary>
    public static Op* NextActive(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* governing = z.Predicate(op->Rn);
        int count = z.Length >> op->Extra;
        byte* result = Cleared(z, Result);
        int next = Next(governing, Last(z.Predicate(op->Rd), count, op->Extra) + 1, count, op->Extra);
        if (next < count)
        {
            SveElements.Activate(result, next, op->Extra);
        }

        s->Nzcv = SveElements.Test(governing, result, count, op->Extra);
        return Finish(z, op, result);
    }

    // The first element from an index on that is true; the count for none.
    private static int Next(byte* predicate, int from, int count, int size)
    {
        while (from < count && !SveElements.IsActive(predicate, from, size))
        {
            from++;
        }

        return from;
    }

    /// <summary>BRKA, BRKB; B is bit 23, merging is bit 4.</summary>
    public static Op* Break(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* governing = z.Predicate(op->Shift);
        byte* n = z.Predicate(op->Rn);
        byte* result = Cleared(z, Result);
        bool before = (op->Word & (1u << 23)) != 0;
        bool merging = (op->Word & (1u << 4)) != 0;
        bool broken = false;
        for (int i = 0; i < z.Length; i++)
        {
            bool value = merging && SveElements.IsActive(z.Predicate(op->Rd), i, 0);
            if (SveElements.IsActive(governing, i, 0))
            {
                bool breaks = SveElements.IsActive(n, i, 0);
                value = !broken && !(before && breaks);
                broken |= breaks;
            }

            if (value)
            {
                SveElements.Activate(result, i, 0);
            }
        }

        if (IsFlagSetting(op))
        {
            s->Nzcv = SveElements.Test(governing, result, z.Length, 0);
        }

        return Finish(z, op, result);
    }

    /// <summary>BRKPA, BRKPB; B is bit 4.</summary>
    public static Op* BreakPropagate(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* governing = z.Predicate(op->Shift);
        byte* m = z.Predicate(op->Rm);
        byte* result = Cleared(z, Result);
        bool before = (op->Word & (1u << 4)) != 0;
        bool going = LastActive(z, governing, z.Predicate(op->Rn));
        for (int i = 0; i < z.Length; i++)
        {
            if (SveElements.IsActive(governing, i, 0))
            {
                bool breaks = SveElements.IsActive(m, i, 0);
                if (going && !(before && breaks))
                {
                    SveElements.Activate(result, i, 0);
                }

                going &= !breaks;
            }
        }

        if (IsFlagSetting(op))
        {
            s->Nzcv = SveElements.Test(governing, result, z.Length, 0);
        }

        return Finish(z, op, result);
    }

    /// <summary>BRKN, BRKNS.</summary>
    public static Op* BreakNext(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* result = Cleared(z, Result);
        if (LastActive(z, z.Predicate(op->Shift), z.Predicate(op->Rn)))
        {
            new ReadOnlySpan<byte>(z.Predicate(op->Rd), z.Length / 8).CopyTo(new Span<byte>(result, z.Length / 8));
        }

        if (IsFlagSetting(op))
        {
            s->Nzcv = SveElements.Test(All(z), result, z.Length, 0);
        }

        return Finish(z, op, result);
    }

    // All bits of an element of a predicate.
    private static int Bits(byte* predicate, int index, int size) =>
        (predicate[(index << size) >> 3] >> ((index << size) & 7)) & ((1 << (1 << size)) - 1);

    private static void Put(byte* predicate, int index, int size, int bits) =>
        predicate[(index << size) >> 3] |= (byte)(bits << ((index << size) & 7));

    /// <summary>ZIP1, ZIP2, UZP1, UZP2, TRN1, TRN2: by bits 12:10.</summary>
    public static Op* Permute(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* result = Cleared(z, Result);
        int count = z.Length >> op->Extra;
        for (int i = 0; i < count; i++)
        {
            (bool second, int index) = SvePermute.Source(SveForms.Field(op, 10, 3), i, count);
            Put(result, i, op->Extra, Bits(z.Predicate(second ? op->Rm : op->Rn), index, op->Extra));
        }

        return Finish(z, op, result);
    }

    public static Op* Reverse(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* result = Cleared(z, Result);
        int count = z.Length >> op->Extra;
        for (int i = 0; i < count; i++)
        {
            Put(result, i, op->Extra, Bits(z.Predicate(op->Rn), count - 1 - i, op->Extra));
        }

        return Finish(z, op, result);
    }

    /// <summary>PUNPKLO, PUNPKHI; the high half is bit 16.</summary>
    public static Op* Unpack(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* result = Cleared(z, Result);
        int first = (op->Word & (1u << 16)) != 0 ? z.Length / 2 : 0;
        for (int i = 0; i < z.Length / 2; i++)
        {
            Put(result, i, 1, Bits(z.Predicate(op->Rn), first + i, 0));
        }

        return Finish(z, op, result);
    }

    /// <summary>Fields of WHILE: Pd, and general registers at bits 9:5 and 20:16.</summary>
    public static void WhileForm(Op* op)
    {
        SveForms.Compare(op);
        op->Ra = CpuState.Zr;
    }

    /// <summary>
    /// WHILELT and kin: elements are true as long as Rn, which is counted up, is less than Rm. With bit 10 clear it is counted down, from
    /// the last element on, as long as it is greater. Bit 12: 64 bits; bit 11: unsigned; bit 4: or equal, clear for greater.
    /// </summary>
    public static Op* While(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* result = Cleared(z, Result);
        int count = z.Length >> op->Extra;
        int bits = (op->Word & (1u << 12)) != 0 ? 64 : 32;
        bool unsigned = (op->Word & (1u << 11)) != 0;
        bool up = (op->Word & (1u << 10)) != 0;
        bool equal = ((op->Word & (1u << 4)) != 0) == up;
        ulong n = s->X[op->Rn];
        ulong limit = s->X[op->Rm];
        for (int i = 0; i < count; i++, n = up ? n + 1 : n - 1)
        {
            int order = unsigned
                ? (n & SveElements.Mask(bits)).CompareTo(limit & SveElements.Mask(bits))
                : SveElements.SignExtend(n, bits).CompareTo(SveElements.SignExtend(limit, bits));
            if (!(order == 0 ? equal : (order < 0) == up))
            {
                break;
            }

            SveElements.Activate(result, up ? i : count - 1 - i, op->Extra);
        }

        s->Nzcv = SveElements.Test(All(z), result, count, op->Extra);
        return Finish(z, op, result);
    }

    /// <summary>WHILEWR, WHILERW (bit 4): as many elements as lie between two addresses, or all.</summary>
    public static Op* WhilePointers(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* result = Cleared(z, Result);
        int count = z.Length >> op->Extra;
        ulong n = s->X[op->Rn];
        ulong m = s->X[op->Rm];
        bool either = (op->Word & (1u << 4)) != 0;
        ulong distance = m > n ? m - n : either ? n - m : 0;
        for (int i = 0; i < count && (distance == 0 || (ulong)i < distance >> op->Extra); i++)
        {
            SveElements.Activate(result, i, op->Extra);
        }

        s->Nzcv = SveElements.Test(All(z), result, count, op->Extra);
        return Finish(z, op, result);
    }

    /// <summary>CTERMEQ, CTERMNE (bit 4): N when the loop ends, else V when the last element was not reached; bit 22: 64 bits.</summary>
    public static Op* ConditionallyTerminate(VcpuCore core, CpuState* s, Op* op)
    {
        ulong mask = IsFlagSetting(op) ? ulong.MaxValue : uint.MaxValue;
        bool equal = (s->X[op->Rn] & mask) == (s->X[op->Rm] & mask);
        bool ends = equal == ((op->Word & (1u << 4)) == 0);
        const uint N = 1u << 31;
        const uint C = 1u << 29;
        const uint V = 1u << 28;
        s->Nzcv = (s->Nzcv & ~(N | V)) | (ends ? N : (s->Nzcv & C) == 0 ? V : 0);
        return op + 1;
    }
}
