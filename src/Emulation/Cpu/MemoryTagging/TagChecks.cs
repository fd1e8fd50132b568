using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu.MemoryTagging;

/// <summary>
/// FEAT_MTE3: which data accesses of a vCPU are checked against the allocation tags of memory, and what follows where they differ (Arm ARM
/// D10.4 to D10.8). A page that is checked has a TLB entry with <see cref="TlbEntry.Checked"/> in its tags, which no fast path finds: so
/// its accesses are made in <see cref="DataPath"/>, in both engines, and those of other pages cost nothing. Owner: the vCPU's thread.
/// </summary>
internal sealed unsafe class TagChecks(VcpuCore core, TagMemory tags)
{
    /// <summary>Normal memory with tags, as MAIR_EL1 names it.</summary>
    public const byte TaggedMemory = 0xF0;

    private const ulong PageMask = ~(ulong)(GuestMemory.PageSize - 1);
    private const int TagShift = 56;

    // TCR_EL1.TBI0 and TCMA0; those of the upper half are one above.
    private const int TopByteIgnored = 37;
    private const int MatchesAll = 57;

    // SCTLR_EL1.TCF0 and TCF.
    private const int TagFaultsEl0 = 38;
    private const int TagFaultsEl1 = 40;

    // What SCTLR_EL1.TCF has a mismatch do.
    private const int None = 0;
    private const int Asynchronous = 2;
    private const int Asymmetric = 3;

    public TagMemory Tags => tags;

    /// <summary>The logical tag of an address: bits 59:56.</summary>
    public static int TagOf(ulong va) => (int)(va >> TagShift) & 15;

    /// <summary>The address with another logical tag.</summary>
    public static ulong WithTag(ulong va, int tag) => (va & ~(15ul << TagShift)) | ((ulong)tag << TagShift);

    /// <summary>AllocationTagAccessIsEnabled: SCTLR_EL1.ATA0 or ATA, for the current exception level.</summary>
    public static bool AreAccessible(CpuState* s) => AreAccessible(s, Pstate.ExceptionLevel(s->Pstate) == 0);

    private static bool AreAccessible(CpuState* s, bool el0) => (s->SctlrEl1 & (el0 ? Sctlr.Ata0 : Sctlr.Ata)) != 0;

    /// <summary>Whether the page of an address is checked in a view, but for PSTATE.TCO and instructions that check nothing.</summary>
    public bool Apply(int view, ulong va, in Translation t)
    {
        CpuState* s = core.State;
        bool el0 = view == TlbContext.ViewEl0;
        if (t.Attributes != TaggedMemory || !AreAccessible(s, el0) || ModeOf(s, el0) == None
            || core.Bus.FindMemory(t.Address)?.Tags == null)
        {
            return false;
        }

        int upper = (int)(va >> 55) & 1;
        bool matchesAll = ((TagOf(va) + upper) & 15) == 0 && ((s->TcrEl1 >> (MatchesAll + upper)) & 1) != 0;
        return ((s->TcrEl1 >> (TopByteIgnored + upper)) & 1) != 0 && !matchesAll;
    }

    /// <summary>Where an access within a page is in host memory, if the TLB has the page as one that is checked.</summary>
    public bool TryFind(ulong va, int size, AccessKind kind, bool write, out byte* host)
    {
        TlbEntry* tlb = (kind & AccessKind.Unprivileged) != 0 ? core.State->TlbUnprivileged : core.State->Tlb;
        TlbEntry* entry = tlb + ((va >> GuestMemory.PageShift) & (TlbEntry.Count - 1));
        host = (byte*)(va + (nuint)entry->Addend);
        return (write ? entry->WriteTag : entry->ReadTag) == ((va & PageMask) | TlbEntry.Checked)
            && ((va + (ulong)size - 1) & PageMask) == (va & PageMask);
    }

    /// <summary>
    /// Checks an access within a page that is checked, at its place in host memory. False when it took the exception of a mismatch.
    /// </summary>
    public bool Check(Op* op, ulong va, int size, AccessKind kind, AccessType type, byte* host)
    {
        CpuState* s = core.State;
        if ((s->Pstate & Pstate.Tco) != 0 || !IsChecked(op))
        {
            return true;
        }

        int tag = TagOf(va);
        for (int done = 0; done < size; done += TagMemory.Granule - (int)((va + (ulong)done) % TagMemory.Granule))
        {
            if (tags[host + done] != tag)
            {
                return Mismatch(op, va + (ulong)done, kind, type);
            }
        }

        return true;
    }

    /// <summary>
    /// How many bytes from an address on, within a page that is checked, have the tag of the address or are not checked at all. 0 where the
    /// first has another.
    /// </summary>
    public ulong Matching(Op* op, ulong va, ulong size, byte* host)
    {
        if ((core.State->Pstate & Pstate.Tco) != 0 || !IsChecked(op))
        {
            return size;
        }

        ulong done = 0;
        while (done < size && tags[host + done] == TagOf(va))
        {
            done += TagMemory.Granule - ((va + done) % TagMemory.Granule);
        }

        return Math.Min(done, size);
    }

    // AArch64.TagCheckFault: SCTLR_EL1.TCF or TCF0 says whether it is an exception or a bit of TFSR_EL1 or TFSRE0_EL1.
    private bool Mismatch(Op* op, ulong va, AccessKind kind, AccessType type)
    {
        CpuState* s = core.State;
        bool el0 = core.Mmu.View(kind) == TlbContext.ViewEl0;
        int mode = ModeOf(s, el0);
        if (mode == Asynchronous || (mode == Asymmetric && type == AccessType.Write))
        {
            ulong bit = 1ul << (int)((va >> 55) & 1);
            _ = el0 ? s->Tfsre0El1 |= bit : s->TfsrEl1 |= bit;
            return true;
        }

        core.TakeDataAbort(op, va, FaultStatus.TagCheck, type, kind);
        return false;
    }

    private static int ModeOf(CpuState* s, bool el0) => (int)(s->SctlrEl1 >> (el0 ? TagFaultsEl0 : TagFaultsEl1)) & 3;

    // Whether an instruction is Tag Checked (Arm ARM D10.8.1). Literals, accesses at SP with at most an immediate offset and no write-back,
    // and whatever writes tags are not.
    private static bool IsChecked(Op* op)
    {
        uint word = op->Word;
        bool isLiteral = (word & 0x3B00_0000) == 0x1800_0000;
        bool storesTags = (word & 0xFF20_0000) == 0xD920_0000 || (word & 0xFE40_0000) == 0x6800_0000
            || (word & 0xFFC0_0C00) == 0x1DC0_0400 || (word & 0xFFFF_FFE0) == 0xD50B_7480;
        if (op->Rn != CpuState.Sp || isLiteral || storesTags)
        {
            return !isLiteral && !storesTags;
        }

        bool isScalable = (word & 0x1E00_0000) == 0x0400_0000;
        if (isScalable)
        {
            return !HasImmediate(word);
        }

        bool isIndexed = (word & 0x3B20_0400) == 0x3800_0400;
        bool hasRegister = (word & 0x3B20_0C00) == 0x3820_0800;
        bool isAuthenticated = (word & 0xFF20_0C00) == 0xF820_0C00;
        bool isOrdered = (word & 0xBF20_FC00) == 0x9900_0800;
        bool isPair = (word & 0x3A80_0000) == 0x2880_0000;
        bool isStructure = (word & 0xBE80_0000) == 0x0C80_0000;
        return isIndexed || hasRegister || isAuthenticated || isOrdered || isPair || isStructure;
    }

    // Whether what a load or store of SVE adds to its base is an immediate: LDR, STR and LD1R, else by bits 15:13.
    private static bool HasImmediate(uint word)
    {
        uint form = (word >> 13) & 7;
        bool isWhole = (form & 5) == 0 && (word & (7u << 22)) == 6u << 22;
        return (word >> 25) switch
        {
            0b100_0010 => isWhole || form >= 4,
            0b101_0010 => (form & 1) != 0 && form != 3,
            0b111_0010 => isWhole || form == 7,
            _ => false,
        };
    }
}
