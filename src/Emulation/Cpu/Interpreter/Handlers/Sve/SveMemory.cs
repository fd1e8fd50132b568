using Vmm.Emulation.Cpu.Mmu;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;

/// <summary>
/// Loads and stores under a predicate (Arm ARM C8.2, LD1B to STNT1W). Nothing of a load's registers changes before all its elements are
/// there. What a store has stored before a fault stays.
/// </summary>
internal static unsafe class SveMemory
{
    private const int FirstResult = 4;
    private const int Quadword = 16;
    private const int PredicateAlignment = 2;

    // LD1B to LD1D by dtype: log2 of the bytes in memory, and of an element; the sign.
    private static ReadOnlySpan<byte> MemorySizes => [0, 0, 0, 0, 2, 1, 1, 1, 1, 1, 2, 2, 0, 0, 0, 3];

    private static ReadOnlySpan<byte> ElementSizes => [0, 1, 2, 3, 3, 1, 2, 3, 3, 2, 2, 3, 3, 2, 1, 3];

    private const int SignedTypes = (1 << 4) | (1 << 8) | (1 << 9) | (1 << 12) | (1 << 13) | (1 << 14);

    private enum Faults
    {
        Taken,

        // Those of the first active element alone; others show in FFR.
        First,
        None,
    }

    /// <summary>The log2 of the bytes in memory and of an element, and the sign, of a dtype.</summary>
    public static (int Memory, int Size, bool Signed) TypeOf(int type) =>
        (MemorySizes[type], ElementSizes[type], (SignedTypes >> type & 1) != 0);

    /// <summary>Zt, Pg, a base register or SP at bits 9:5, a general register at 20:16. Extra is the size of an element.</summary>
    public static void Form(Op* op)
    {
        SveForms.Three(op);
        op->Rn = SveForms.Base(op);
    }

    /// <summary>The same with a vector at 20:16 or 9:5.</summary>
    public static void VectorForm(Op* op) => SveForms.Three(op);

    /// <summary>LDR, STR of a P register.</summary>
    public static void PredicateForm(Op* op)
    {
        Form(op);
        op->Rd = SveForms.Field(op, 0, 4);
    }

    private static int MemorySize(Op* op) => SveForms.Field(op, 23, 2);

    private static long SignedField(Op* op, int low, int width) => SveElements.SignExtend(SveForms.Field(op, low, width), width);

    /// <summary>LDR of a Z register, and of a P register: as many bytes as it has.</summary>
    public static Op* LoadRegister(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* result = z.Room(FirstResult);
        if (!Load(core, s, op, Whole(op, s, z.Length), result, z.Length, Quadword))
        {
            return core.Resume(op);
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }

    public static Op* LoadPredicate(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* result = z.Room(FirstResult);
        if (!Load(core, s, op, Whole(op, s, z.Length / 8), result, z.Length / 8, PredicateAlignment))
        {
            return core.Resume(op);
        }

        new ReadOnlySpan<byte>(result, z.Length / 8).CopyTo(new Span<byte>(z.Predicate(op->Rd), z.Length / 8));
        return op + 1;
    }

    public static Op* StoreRegister(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        return Store(core, s, op, Whole(op, s, z.Length), z.Read(s, op->Rd, 0), z.Length, Quadword);
    }

    public static Op* StorePredicate(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        return Store(core, s, op, Whole(op, s, z.Length / 8), z.Predicate(op->Rd), z.Length / 8, PredicateAlignment);
    }

    // The base, and the signed immediate of bits 21:16 and 12:10, in units of a register.
    private static ulong Whole(Op* op, CpuState* s, int length) =>
        s->X[op->Rn] + (ulong)(((SignedField(op, 16, 6) << 3) | SveForms.Field(op, 10, 3)) * length);

    // Bytes in the order of memory, whatever the endianness: in doublewords where these are little-endian and aligned as SCTLR_EL1 wants.
    private static int StepOf(CpuState* s, ulong va, int length) =>
        length % 8 == 0 && !Endianness.IsBig(s) && ((va & 7) == 0 || (s->SctlrEl1 & Sctlr.A) == 0) ? 8 : 1;

    /// <param name="alignment">What SCTLR_EL1.A asks for, in bytes.</param>
    private static bool Load(VcpuCore core, CpuState* s, Op* op, ulong va, byte* to, int length, int alignment)
    {
        if (!core.Data.CheckAlignment(op, va, alignment, AccessKind.Plain, AccessType.Read))
        {
            return false;
        }

        int step = StepOf(s, va, length);
        for (int i = 0; i < length; i += step)
        {
            if (step == 8 ? !MemoryAccess.Load(core, s, op, va + (ulong)i, out *(ulong*)(to + i))
                : !MemoryAccess.Load(core, s, op, va + (ulong)i, out to[i]))
            {
                return false;
            }
        }

        return true;
    }

    private static Op* Store(VcpuCore core, CpuState* s, Op* op, ulong va, byte* from, int length, int alignment)
    {
        if (!core.Data.CheckAlignment(op, va, alignment, AccessKind.Plain, AccessType.Write))
        {
            return core.Resume(op);
        }

        int step = StepOf(s, va, length);
        for (int i = 0; i < length; i += step)
        {
            if (step == 8 ? !MemoryAccess.Store(core, s, op, va + (ulong)i, *(ulong*)(from + i))
                : !MemoryAccess.Store(core, s, op, va + (ulong)i, from[i]))
            {
                return core.Resume(op);
            }
        }

        return op + 1;
    }

    /// <summary>LD1B to LD1D, scalar plus scalar and scalar plus immediate: dtype is at bits 24:21.</summary>
    public static Op* LoadScalar(VcpuCore core, CpuState* s, Op* op) => LoadTyped(core, s, op, immediate: false, Faults.Taken);

    public static Op* LoadImmediate(VcpuCore core, CpuState* s, Op* op) => LoadTyped(core, s, op, immediate: true, Faults.Taken);

    /// <summary>LDFF1 and LDNF1.</summary>
    public static Op* LoadFirstFault(VcpuCore core, CpuState* s, Op* op) => LoadTyped(core, s, op, immediate: false, Faults.First);

    public static Op* LoadNonFault(VcpuCore core, CpuState* s, Op* op) => LoadTyped(core, s, op, immediate: true, Faults.None);

    private static Op* LoadTyped(VcpuCore core, CpuState* s, Op* op, bool immediate, Faults faults)
    {
        (int memory, int size, bool signed) = TypeOf(SveForms.Field(op, 21, 4));
        ulong va = s->X[op->Rn] + (immediate
            ? (ulong)(SignedField(op, 16, 4) * (core.Scalable!.Length >> size << memory))
            : s->X[op->Rm] << memory);
        return LoadElements(core, s, op, new SveAddresses(va, 1 << memory), size, memory, signed, faults);
    }

    private static Op* LoadElements(
        VcpuCore core, CpuState* s, Op* op, SveAddresses addresses, int size, int memory, bool signed, Faults faults)
    {
        ScalableRegisters z = core.Scalable!;
        byte* governing = z.Predicate(op->Shift);
        byte* result = z.Room(FirstResult);
        new Span<byte>(result, z.Length).Clear();
        int count = z.Length >> size;
        bool first = faults == Faults.First;
        for (int i = 0; i < count; i++)
        {
            if (!SveElements.IsActive(governing, i, size))
            {
                continue;
            }

            ulong value;
            if (first || faults == Faults.Taken)
            {
                if (!LoadElement(core, s, op, addresses.At(i), memory, out value))
                {
                    return core.Resume(op);
                }
            }
            else if (!SveNonFault.TryLoad(core, s, op, addresses.At(i), memory, out value))
            {
                RecordFault(z, i << size);
                break;
            }

            first = false;
            SveElements.Set(result, i, size, signed ? (ulong)SveElements.SignExtend(value, 8 << memory) : value);
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }

    // FFR from a byte of the vector on becomes false.
    private static void RecordFault(ScalableRegisters z, int from)
    {
        byte* ffr = z.Predicate(ScalableRegisters.Ffr);
        ffr[from >> 3] &= (byte)((1 << (from & 7)) - 1);
        new Span<byte>(ffr, z.Length / 8)[((from >> 3) + 1)..].Clear();
    }

    /// <summary>An element, zero-extended. False after its exception.</summary>
    private static bool LoadElement(VcpuCore core, CpuState* s, Op* op, ulong va, int memory, out ulong value)
    {
        bool loaded;
        switch (memory)
        {
            case 0:
                loaded = MemoryAccess.Load(core, s, op, va, out byte b);
                value = b;
                return loaded;
            case 1:
                loaded = MemoryAccess.Load(core, s, op, va, out ushort h);
                value = h;
                return loaded;
            case 2:
                loaded = MemoryAccess.Load(core, s, op, va, out uint w);
                value = w;
                return loaded;
            default:
                return MemoryAccess.Load(core, s, op, va, out value);
        }
    }

    private static bool StoreElement(VcpuCore core, CpuState* s, Op* op, ulong va, int memory, ulong value) => memory switch
    {
        0 => MemoryAccess.Store(core, s, op, va, (byte)value),
        1 => MemoryAccess.Store(core, s, op, va, (ushort)value),
        2 => MemoryAccess.Store(core, s, op, va, (uint)value),
        _ => MemoryAccess.Store(core, s, op, va, value),
    };

    /// <summary>What LD1R loads: see <see cref="TypeOf"/>.</summary>
    public static (int Memory, int Size, bool Signed) ReplicatedType(Op* op) =>
        TypeOf((SveForms.Field(op, 23, 2) << 2) | SveForms.Field(op, 13, 2));

    /// <summary>LD1R: dtype is at bits 24:23 and 14:13, the offset at 21:16. Memory is read when any element is active.</summary>
    public static Op* LoadReplicate(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        (int memory, int size, bool signed) = ReplicatedType(op);
        byte* governing = z.Predicate(op->Shift);
        byte* result = z.Room(FirstResult);
        new Span<byte>(result, z.Length).Clear();
        int last = SvePredicates.Last(governing, z.Length >> size, size);
        if (last >= 0)
        {
            ulong va = s->X[op->Rn] + ((ulong)SveForms.Field(op, 16, 6) << memory);
            if (!LoadElement(core, s, op, va, memory, out ulong value))
            {
                return core.Resume(op);
            }

            value = signed ? (ulong)SveElements.SignExtend(value, 8 << memory) : value;
            for (int i = 0; i <= last; i++)
            {
                SveElements.Set(result, i, size, SveElements.IsActive(governing, i, size) ? value : 0);
            }
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }

    /// <summary>LD1RQ and LD1RO, scalar plus scalar and scalar plus immediate: 16 or 32 bytes again and again.</summary>
    public static Op* LoadQuadword(VcpuCore core, CpuState* s, Op* op) =>
        LoadAndRepeat(core, s, op, Quadword, s->X[op->Rm] << MemorySize(op));

    public static Op* LoadQuadwordImmediate(VcpuCore core, CpuState* s, Op* op) =>
        LoadAndRepeat(core, s, op, Quadword, (ulong)(SignedField(op, 16, 4) * Quadword));

    public static Op* LoadOctword(VcpuCore core, CpuState* s, Op* op) =>
        LoadAndRepeat(core, s, op, 2 * Quadword, s->X[op->Rm] << MemorySize(op));

    public static Op* LoadOctwordImmediate(VcpuCore core, CpuState* s, Op* op) =>
        LoadAndRepeat(core, s, op, 2 * Quadword, (ulong)(SignedField(op, 16, 4) * 2 * Quadword));

    // What is left of a vector behind whole repetitions is zero.
    private static Op* LoadAndRepeat(VcpuCore core, CpuState* s, Op* op, int bytes, ulong offset)
    {
        ScalableRegisters z = core.Scalable!;
        if (z.Length < bytes)
        {
            return core.TakeUndefined(op);
        }

        int size = MemorySize(op);
        byte* result = z.Room(FirstResult);
        new Span<byte>(result, z.Length).Clear();
        for (int i = 0; i < bytes >> size; i++)
        {
            if (SveElements.IsActive(z.Predicate(op->Shift), i, size))
            {
                if (!LoadElement(core, s, op, s->X[op->Rn] + offset + ((ulong)i << size), size, out ulong value))
                {
                    return core.Resume(op);
                }

                SveElements.Set(result, i, size, value);
            }
        }

        for (int at = bytes; at + bytes <= z.Length; at += bytes)
        {
            new ReadOnlySpan<byte>(result, bytes).CopyTo(new Span<byte>(result + at, bytes));
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }

    /// <summary>LD2 to LD4, and LDNT1: bits 22:21 are the registers less one, bits 24:23 the size of all elements.</summary>
    public static Op* LoadStructures(VcpuCore core, CpuState* s, Op* op) => LoadStructures(core, s, op, s->X[op->Rm] << MemorySize(op));

    public static Op* LoadStructuresImmediate(VcpuCore core, CpuState* s, Op* op) =>
        LoadStructures(core, s, op, (ulong)(SignedField(op, 16, 4) * core.Scalable!.Length * Registers(op)));

    private static int Registers(Op* op) => SveForms.Field(op, 21, 2) + 1;

    private static Op* LoadStructures(VcpuCore core, CpuState* s, Op* op, ulong offset)
    {
        ScalableRegisters z = core.Scalable!;
        int size = MemorySize(op);
        int registers = Registers(op);
        ulong va = s->X[op->Rn] + offset;
        for (int i = 0; i < z.Length >> size; i++)
        {
            bool active = SveElements.IsActive(z.Predicate(op->Shift), i, size);
            for (int r = 0; r < registers; r++)
            {
                ulong value = 0;
                if (active && !LoadElement(core, s, op, va + ((ulong)((i * registers) + r) << size), size, out value))
                {
                    return core.Resume(op);
                }

                SveElements.Set(z.Room(FirstResult + r), i, size, value);
            }
        }

        for (int r = 0; r < registers; r++)
        {
            z.Write(s, (op->Rd + r) & 31, z.Room(FirstResult + r));
        }

        return op + 1;
    }

    /// <summary>ST1B to ST1D: bits 24:23 are the size in memory, 22:21 that of the elements.</summary>
    public static Op* StoreScalar(VcpuCore core, CpuState* s, Op* op) => StoreElements(
        core, s, op, new SveAddresses(s->X[op->Rn] + (s->X[op->Rm] << MemorySize(op)), 1 << MemorySize(op)), SveForms.Field(op, 21, 2));

    public static Op* StoreImmediate(VcpuCore core, CpuState* s, Op* op)
    {
        int size = SveForms.Field(op, 21, 2);
        long offset = SignedField(op, 16, 4) * (core.Scalable!.Length >> size << MemorySize(op));
        return StoreElements(core, s, op, new SveAddresses(s->X[op->Rn] + (ulong)offset, 1 << MemorySize(op)), size);
    }

    private static Op* StoreElements(VcpuCore core, CpuState* s, Op* op, SveAddresses addresses, int size)
    {
        ScalableRegisters z = core.Scalable!;
        byte* values = z.Read(s, op->Rd, 0);
        for (int i = 0; i < z.Length >> size; i++)
        {
            if (SveElements.IsActive(z.Predicate(op->Shift), i, size)
                && !StoreElement(core, s, op, addresses.At(i), MemorySize(op), SveElements.Get(values, i, size)))
            {
                return core.Resume(op);
            }
        }

        return op + 1;
    }

    /// <summary>ST2 to ST4, and STNT1.</summary>
    public static Op* StoreStructures(VcpuCore core, CpuState* s, Op* op) => StoreStructures(core, s, op, s->X[op->Rm] << MemorySize(op));

    public static Op* StoreStructuresImmediate(VcpuCore core, CpuState* s, Op* op) =>
        StoreStructures(core, s, op, (ulong)(SignedField(op, 16, 4) * core.Scalable!.Length * Registers(op)));

    private static Op* StoreStructures(VcpuCore core, CpuState* s, Op* op, ulong offset)
    {
        ScalableRegisters z = core.Scalable!;
        int size = MemorySize(op);
        int registers = Registers(op);
        ulong va = s->X[op->Rn] + offset;
        byte** values = stackalloc byte*[registers];
        for (int r = 0; r < registers; r++)
        {
            values[r] = z.Read(s, (op->Rd + r) & 31, r);
        }

        for (int i = 0; i < z.Length >> size; i++)
        {
            for (int r = 0; r < registers && SveElements.IsActive(z.Predicate(op->Shift), i, size); r++)
            {
                ulong at = va + ((ulong)((i * registers) + r) << size);
                if (!StoreElement(core, s, op, at, size, SveElements.Get(values[r], i, size)))
                {
                    return core.Resume(op);
                }
            }
        }

        return op + 1;
    }

    /// <summary>
    /// Gathers, scalar plus vector: bit 30 set for doublewords. Bit 15: offsets of 64 bits, else of 32, signed by bit 22. Bit 21: scaled.
    /// Bit 14: unsigned; bit 13: first fault.
    /// </summary>
    public static Op* Gather(VcpuCore core, CpuState* s, Op* op)
    {
        int size = WordOrDoubleword(op, 30);
        bool narrow = (op->Word & (1u << 15)) == 0;
        var addresses = new SveAddresses(
            s->X[op->Rn], core.Scalable!.Read(s, op->Rm, 1), size, narrow, SveForms.Field(op, 22, 1) != 0,
            SveForms.Field(op, 21, 1) * MemorySize(op));
        return Gather(core, s, op, addresses, size, SveForms.Field(op, 14, 1) == 0, SveForms.Field(op, 13, 1) != 0);
    }

    /// <summary>Gathers, vector plus immediate.</summary>
    public static Op* GatherImmediate(VcpuCore core, CpuState* s, Op* op)
    {
        int size = WordOrDoubleword(op, 30);
        var addresses = new SveAddresses(
            core.Scalable!.Read(s, op->Rn, 1), size, (ulong)SveForms.Field(op, 16) << MemorySize(op));
        return Gather(core, s, op, addresses, size, SveForms.Field(op, 14, 1) == 0, SveForms.Field(op, 13, 1) != 0);
    }

    /// <summary>LDNT1, vector plus scalar: unsigned by bit 14 of doublewords, by bit 13 of words.</summary>
    public static Op* GatherScalar(VcpuCore core, CpuState* s, Op* op)
    {
        int size = WordOrDoubleword(op, 30);
        var addresses = new SveAddresses(core.Scalable!.Read(s, op->Rn, 1), size, s->X[op->Rm]);
        return Gather(core, s, op, addresses, size, SveForms.Field(op, size == 3 ? 14 : 13, 1) == 0, firstFault: false);
    }

    private static Op* Gather(VcpuCore core, CpuState* s, Op* op, SveAddresses addresses, int size, bool signed, bool firstFault) =>
        LoadElements(core, s, op, addresses, size, MemorySize(op), signed, firstFault ? Faults.First : Faults.Taken);

    private static int WordOrDoubleword(Op* op, int bit) => (op->Word & (1u << bit)) != 0 ? 3 : 2;

    /// <summary>
    /// Scatters, scalar plus vector: bit 22 set for words. Bit 13: offsets of 64 bits, else of 32, signed by bit 14. Bit 21: scaled.
    /// </summary>
    public static Op* Scatter(VcpuCore core, CpuState* s, Op* op)
    {
        int size = SveForms.Field(op, 22, 1) != 0 ? 2 : 3;
        var addresses = new SveAddresses(
            s->X[op->Rn], core.Scalable!.Read(s, op->Rm, 1), size, SveForms.Field(op, 13, 1) == 0, SveForms.Field(op, 14, 1) != 0,
            SveForms.Field(op, 21, 1) * MemorySize(op));
        return StoreElements(core, s, op, addresses, size);
    }

    /// <summary>Scatters, vector plus immediate: bit 21 set for words.</summary>
    public static Op* ScatterImmediate(VcpuCore core, CpuState* s, Op* op)
    {
        int size = SveForms.Field(op, 21, 1) != 0 ? 2 : 3;
        var addresses = new SveAddresses(core.Scalable!.Read(s, op->Rn, 1), size, (ulong)SveForms.Field(op, 16) << MemorySize(op));
        return StoreElements(core, s, op, addresses, size);
    }

    /// <summary>STNT1, vector plus scalar: bit 22 set for words.</summary>
    public static Op* ScatterScalar(VcpuCore core, CpuState* s, Op* op)
    {
        int size = SveForms.Field(op, 22, 1) != 0 ? 2 : 3;
        return StoreElements(core, s, op, new SveAddresses(core.Scalable!.Read(s, op->Rn, 1), size, s->X[op->Rm]), size);
    }

    /// <summary>Prefetches do nothing.</summary>
    public static Op* Prefetch(VcpuCore core, CpuState* s, Op* op) => op + 1;
}
