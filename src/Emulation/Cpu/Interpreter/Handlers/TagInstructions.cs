using Vmm.Emulation.Cpu.MemoryTagging;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Cpu.SystemRegisters;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>What STG and its kin write beside the tag.</summary>
internal interface IGranules
{
    static abstract int Count { get; }

    static abstract bool Zeroes { get; }
}

/// <summary>STG.</summary>
internal readonly struct OneGranule : IGranules
{
    public static int Count => 1;

    public static bool Zeroes => false;
}

/// <summary>STZG.</summary>
internal readonly struct OneZeroGranule : IGranules
{
    public static int Count => 1;

    public static bool Zeroes => true;
}

/// <summary>ST2G.</summary>
internal readonly struct TwoGranules : IGranules
{
    public static int Count => 2;

    public static bool Zeroes => false;
}

/// <summary>STZ2G.</summary>
internal readonly struct TwoZeroGranules : IGranules
{
    public static int Count => 2;

    public static bool Zeroes => true;
}

/// <summary>Memory tagging (Arm ARM C6.2, and D10 for what the instructions share).</summary>
internal static unsafe class TagInstructions
{
    private const ulong Granule = TagMemory.Granule;

    // LDGM and STGM; STZGM, DC GVA and DC GZVA.
    private const int BlockSize = 4 << TaggingRegisters.BlockSizeField;
    private const int ZeroBlockSize = 64;

    public static Op* Add(VcpuCore core, CpuState* s, Op* op) => AddTo(s, op, s->X[op->Rn] + op->Imm);

    public static Op* Subtract(VcpuCore core, CpuState* s, Op* op) => AddTo(s, op, s->X[op->Rn] - op->Imm);

    private static Op* AddTo(CpuState* s, Op* op, ulong result)
    {
        int tag = TagChecks.AreAccessible(s) ? Choose(TagChecks.TagOf(s->X[op->Rn]), op->Shift, (uint)s->GcrEl1) : 0;
        s->X[op->Rd] = TagChecks.WithTag(result, tag);
        return op + 1;
    }

    /// <summary>IRG: a random tag that neither GCR_EL1.Exclude nor Rm excludes.</summary>
    public static Op* InsertRandom(VcpuCore core, CpuState* s, Op* op)
    {
        int tag = 0;
        if (TagChecks.AreAccessible(s))
        {
            // With GCR_EL1.RRND the generator is IMPLEMENTATION DEFINED: it is the same, but for a seed of 0, which would stay 0.
            const ulong Random = 1 << 16;
            uint seed = (uint)(s->RgsrEl1 >> 8);
            if (seed == 0 && (s->GcrEl1 & Random) != 0)
            {
                seed = ((uint)core.Random.Next() & 0xFFFF) | 1;
            }

            int offset = 0;
            for (int i = 0; i < 4; i++)
            {
                uint top = ((seed >> 5) ^ (seed >> 3) ^ (seed >> 2) ^ seed) & 1;
                seed = (top << 15) | (seed >> 1);
                offset |= (int)top << i;
            }

            tag = Choose((int)s->RgsrEl1 & 15, offset, (uint)(s->GcrEl1 | s->X[op->Rm]));
            s->RgsrEl1 = ((ulong)seed << 8) | (uint)tag;
        }

        s->X[op->Rd] = TagChecks.WithTag(s->X[op->Rn], tag);
        return op + 1;
    }

    /// <summary>GMI: the tag of an address in a mask of excluded ones.</summary>
    public static Op* InsertInMask(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = s->X[op->Rm] | (1ul << TagChecks.TagOf(s->X[op->Rn]));
        return op + 1;
    }

    public static Op* SubtractPointers(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = Address(s->X[op->Rn]) - Address(s->X[op->Rm]);
        return op + 1;
    }

    public static Op* SubtractPointersFlags(VcpuCore core, CpuState* s, Op* op)
    {
        ulong first = Address(s->X[op->Rn]);
        ulong second = Address(s->X[op->Rm]);
        s->X[op->Rd] = first - second;
        s->Nzcv = Flags.Sub64(first, second, first - second);
        return op + 1;
    }

    // Bits 55:0, extended.
    private static ulong Address(ulong pointer) => (ulong)((long)(pointer << 8) >> 8);

    // AArch64.ChooseNonExcludedTag.
    private static int Choose(int tag, int offset, uint exclude)
    {
        if ((exclude & 0xFFFF) == 0xFFFF)
        {
            return 0;
        }

        bool isExcluded = ((exclude >> tag) & 1) != 0;
        for (int left = Math.Max(offset, isExcluded ? 1 : 0); left > 0; left--)
        {
            do
            {
                tag = (tag + 1) & 15;
            }
            while (((exclude >> tag) & 1) != 0);
        }

        return tag;
    }

    public static Op* Load(VcpuCore core, CpuState* s, Op* op)
    {
        if (LoadStore.StackMisaligned(core, op, s->X[op->Rn]))
        {
            return core.TakeStackAlignment(op);
        }

        ulong va = (s->X[op->Rn] + op->Imm) & ~(Granule - 1);
        if (!core.Data.TryReachTags(op, va, AccessType.Read, out byte* place))
        {
            return core.Resume(op);
        }

        s->X[op->Rd] = TagChecks.WithTag(s->X[op->Ra], TagAt(core, s, place));
        return op + 1;
    }

    public static Op* Store<TMode, TGranules>(VcpuCore core, CpuState* s, Op* op)
        where TMode : struct, IAddressing
        where TGranules : struct, IGranules
    {
        ulong origin = s->X[op->Rn];
        if (LoadStore.StackMisaligned(core, op, origin))
        {
            return core.TakeStackAlignment(op);
        }

        ulong va = TMode.Address(s, op, origin);
        if (!StoreTags(core, s, op, va, TGranules.Count, TagChecks.TagOf(s->X[op->Rd])))
        {
            return core.Resume(op);
        }

        for (int i = 0; i < TGranules.Count && TGranules.Zeroes; i++)
        {
            if (!MemoryAccess.Store(core, s, op, va + ((ulong)i * Granule), UInt128.Zero))
            {
                return core.Resume(op);
            }
        }

        TMode.WriteBack(s, op, va);
        return op + 1;
    }

    public static Op* StorePair<TMode>(VcpuCore core, CpuState* s, Op* op)
        where TMode : struct, IAddressing
    {
        ulong origin = s->X[op->Rn];
        if (LoadStore.StackMisaligned(core, op, origin))
        {
            return core.TakeStackAlignment(op);
        }

        ulong va = TMode.Address(s, op, origin);
        ulong first = s->X[op->Rd];
        ulong second = s->X[op->Ra];
        if (!StoreTags(core, s, op, va, 1, TagChecks.TagOf(va)) || !MemoryAccess.Store(core, s, op, va, first)
            || !MemoryAccess.Store(core, s, op, va + sizeof(ulong), second))
        {
            return core.Resume(op);
        }

        TMode.WriteBack(s, op, va);
        return op + 1;
    }

    /// <summary>STGM: the tags of a block of 256 bytes, those of the lower addresses in the lower bits.</summary>
    public static Op* StoreBlock(VcpuCore core, CpuState* s, Op* op)
    {
        if (!TryBeginBlock(core, s, op, AccessType.Write, out byte* place, out Op* next))
        {
            return next;
        }

        for (int i = 0; place != null && TagChecks.AreAccessible(s) && i < BlockSize / TagMemory.Granule; i++)
        {
            core.Data.Tagging!.Tags[place + (i * TagMemory.Granule)] = (int)(s->X[op->Ra] >> (4 * i)) & 15;
        }

        return op + 1;
    }

    public static Op* LoadBlock(VcpuCore core, CpuState* s, Op* op)
    {
        if (!TryBeginBlock(core, s, op, AccessType.Read, out byte* place, out Op* next))
        {
            return next;
        }

        ulong tags = 0;
        for (int i = 0; i < BlockSize / TagMemory.Granule; i++)
        {
            tags |= (ulong)TagAt(core, s, place == null ? null : place + (i * TagMemory.Granule)) << (4 * i);
        }

        s->X[op->Rd] = tags;
        return op + 1;
    }

    public static Op* StoreZeroBlock(VcpuCore core, CpuState* s, Op* op)
    {
        ulong va = s->X[op->Rn];
        return Pstate.ExceptionLevel(s->Pstate) == 0 ? core.TakeUndefined(op)
            : LoadStore.StackMisaligned(core, op, va) ? core.TakeStackAlignment(op)
            : StoreZeroBlock(core, s, op, va, (int)s->X[op->Ra] & 15, zeroes: true) ? op + 1 : core.Resume(op);
    }

    /// <summary>DC GVA and DC GZVA: the tags of a block of 64 bytes, which is zeroed or not.</summary>
    public static Op* StoreCacheBlock(VcpuCore core, CpuState* s, Op* op, ulong va, bool zeroes) =>
        StoreZeroBlock(core, s, op, va, TagChecks.TagOf(va), zeroes) ? op + 1 : core.Resume(op);

    public static Op* MsrOverride(VcpuCore core, CpuState* s, Op* op)
    {
        TaggingRegisters.SetOverride(core, (op->Word & (1 << 8)) != 0);
        return op + 1;
    }

    private static bool StoreZeroBlock(VcpuCore core, CpuState* s, Op* op, ulong va, int tag, bool zeroes)
    {
        if (!core.Data.CheckZero(op, va))
        {
            return false;
        }

        va &= ~(ulong)(ZeroBlockSize - 1);
        for (ulong offset = 0; offset < ZeroBlockSize && zeroes; offset += Granule)
        {
            if (!MemoryAccess.Store(core, s, op, va + offset, UInt128.Zero))
            {
                return false;
            }
        }

        return StoreTags(core, s, op, va, ZeroBlockSize / TagMemory.Granule, tag);
    }

    // Of LDGM and STGM, up to where the tags are. False, and the op that follows, where there is an exception.
    private static bool TryBeginBlock(VcpuCore core, CpuState* s, Op* op, AccessType type, out byte* place, out Op* next)
    {
        place = null;
        ulong va = s->X[op->Rn];
        next = Pstate.ExceptionLevel(s->Pstate) == 0 ? core.TakeUndefined(op)
            : LoadStore.StackMisaligned(core, op, va) ? core.TakeStackAlignment(op)
            : core.Data.TryReachTags(op, va & ~(ulong)(BlockSize - 1), type, out place) ? null : core.Resume(op);
        return next == null;
    }

    // Sets the tags of granules. All are reached before the first is set.
    private static bool StoreTags(VcpuCore core, CpuState* s, Op* op, ulong va, int granules, int tag)
    {
        ulong last = va + ((ulong)(granules - 1) * Granule);
        if (!core.Data.CheckAlignment(op, va, TagMemory.Granule, AccessKind.Aligned, AccessType.Write)
            || !core.Data.TryReachTags(op, va, AccessType.Write, out byte* place)
            || !core.Data.TryReachTags(op, last, AccessType.Write, out byte* end))
        {
            return false;
        }

        for (int i = 0; i < granules && TagChecks.AreAccessible(s); i++)
        {
            // Two granules may be in two pages, a block never is.
            byte* host = i == granules - 1 ? end : place == null ? null : place + (i * TagMemory.Granule);
            if (host != null)
            {
                core.Data.Tagging!.Tags[host] = tag;
            }
        }

        return true;
    }

    private static int TagAt(VcpuCore core, CpuState* s, byte* place) =>
        place != null && TagChecks.AreAccessible(s) ? core.Data.Tagging!.Tags[place] : 0;
}
