using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Exceptions;
using Vmm.Emulation.Cpu.MemoryTagging;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>
/// FEAT_MOPS: memory copies and sets, each in three instructions (Arm ARM C6.2, CPYFP, CPYP, SETP and their kin), by option A. After the
/// prologue a forward operation has the ends of its places in the registers and the bytes that are left, negated. One that goes backwards
/// has the beginnings and the bytes. The prologue goes as far as the first border of a page, the main part until less than a page is left.
/// <see cref="Op.Rd"/> is the destination, <see cref="Op.Rm"/> the source or the byte, <see cref="Op.Rn"/> the size.
/// </summary>
/// <remarks>
/// At a fault the registers say what is still to be done, so the same instruction goes on behind it. The main part looks for pending work
/// after each step.
/// </remarks>
internal static unsafe class MemoryOperations
{
    private const ulong Page = GuestMemory.PageSize;
    private const ulong LongestMove = 0x007F_FFFF_FFFF_FFFF;
    private const ulong AddressBits = (1ul << 56) - 1;

    private enum Stage
    {
        Prologue,
        Main,
        Epilogue,
    }

    /// <summary>The register fields as they stand: 31 reads as zero where it is allowed.</summary>
    public static void Registers(Op* op)
    {
        op->Rd = (byte)Operands.Bits(op->Word, 0, 5);
        op->Rn = (byte)Operands.Bits(op->Word, 5, 5);
        op->Rm = (byte)Operands.Bits(op->Word, 16, 5);
    }

    /// <summary>SETP, SETM, SETE; and SETGP, SETGM, SETGE, which set tags of memory, too: that of the destination's address.</summary>
    public static Op* Set(VcpuCore core, CpuState* s, Op* op)
    {
        if (!IsAllowed(s, op))
        {
            return core.TakeUndefined(op);
        }

        var stage = (Stage)Operands.Bits(op->Word, 14, 2);
        if (SetsTags(op))
        {
            // Whole granules alone.
            ulong size = stage == Stage.Prologue ? s->X[op->Rn] : 0 - s->X[op->Rn];
            ulong to = stage == Stage.Prologue ? s->X[op->Rd] : s->X[op->Rd] - size;
            if (size != 0 && ((to | size) % TagMemory.Granule) != 0)
            {
                core.TakeDataAbort(op, to, FaultStatus.Alignment, AccessType.Write, AccessKind.Plain);
                return core.Resume(op);
            }
        }

        return stage == Stage.Prologue ? BeginSet(core, s, op) : GoOnSetting(core, s, op, stage);
    }

    /// <summary>CPYFP, CPYFM, CPYFE, which go forward; CPYP, CPYM, CPYE, whose places may overlap.</summary>
    public static Op* Copy(VcpuCore core, CpuState* s, Op* op)
    {
        if (!IsAllowed(s, op) || op->Rm == CpuState.Zr)
        {
            return core.TakeUndefined(op);
        }

        var stage = (Stage)Operands.Bits(op->Word, 22, 2);
        return stage == Stage.Prologue ? BeginCopy(core, s, op) : GoOnCopying(core, s, op, stage);
    }

    // At EL0 SCTLR_EL1.MSCEn allows them. Registers that are the same, or XZR, are CONSTRAINED UNPREDICTABLE: here UNDEFINED.
    private static bool IsAllowed(CpuState* s, Op* op) =>
        (Pstate.ExceptionLevel(s->Pstate) != 0 || (s->SctlrEl1 & Sctlr.MscEn) != 0)
        && op->Rd != op->Rn && op->Rd != op->Rm && op->Rn != op->Rm && op->Rd != CpuState.Zr && op->Rn != CpuState.Zr;

    private static bool IsMove(Op* op) => Operands.Bits(op->Word, 26, 1) != 0;

    private static bool SetsTags(Op* op) => Operands.Bits(op->Word, 26, 1) != 0;

    private static bool IsSet(Op* op) => Operands.Bits(op->Word, 22, 2) == 3;

    private static Op* BeginSet(VcpuCore core, CpuState* s, Op* op)
    {
        ulong to = s->X[op->Rd];
        ulong size = Math.Min(s->X[op->Rn], long.MaxValue);
        for (ulong part = Math.Min(size, RestOfPage(to)); part != 0;)
        {
            ulong done = SetSome(core, s, op, to, part);
            if (done == 0)
            {
                (s->X[op->Rd], s->X[op->Rn]) = (to, size);
                return core.Resume(op);
            }

            (to, size, part) = (to + done, size - done, part - done);
        }

        (s->X[op->Rd], s->X[op->Rn]) = (to + size, 0 - size);
        s->Nzcv = 0;
        return op + 1;
    }

    private static Op* GoOnSetting(VcpuCore core, CpuState* s, Op* op, Stage stage)
    {
        ulong size = 0 - s->X[op->Rn];
        if (size == 0)
        {
            return op + 1;
        }

        bool wrongOption = (s->Nzcv & Pstate.C) != 0;
        if (wrongOption || (stage == Stage.Epilogue && size >= Page))
        {
            return TakeMismatch(core, op, wrongOption);
        }

        for (ulong part = stage == Stage.Main ? size & ~(Page - 1) : size; part != 0;)
        {
            ulong done = SetSome(core, s, op, s->X[op->Rd] - size, part);
            if (done == 0)
            {
                return core.Resume(op);
            }

            (size, part) = (size - done, part - done);
            s->X[op->Rn] = 0 - size;
            if (part != 0 && s->Attention != 0)
            {
                return Repeat(core, s, op);
            }
        }

        return op + 1;
    }

    private static Op* BeginCopy(VcpuCore core, CpuState* s, Op* op)
    {
        ulong to = s->X[op->Rd];
        ulong from = s->X[op->Rm];
        ulong size = Math.Min(s->X[op->Rn], IsMove(op) ? LongestMove : long.MaxValue);
        bool backwards = IsMove(op) && (from & AddressBits) < (to & AddressBits) && ((from + size) & AddressBits) > (to & AddressBits);
        ulong part = Math.Min(size, backwards
            ? Math.Min(BeginOfPage(to + size - 1), BeginOfPage(from + size - 1))
            : Math.Min(RestOfPage(to), RestOfPage(from)));
        while (part != 0)
        {
            ulong done = backwards ? CopyLast(core, s, op, to, from, size, part) : CopyFirst(core, s, op, to, from, part);
            if (done == 0)
            {
                (s->X[op->Rd], s->X[op->Rm], s->X[op->Rn]) = (to, from, size);
                return core.Resume(op);
            }

            (size, part) = (size - done, part - done);
            (to, from) = backwards ? (to, from) : (to + done, from + done);
        }

        s->X[op->Rd] = backwards ? to : to + size;
        s->X[op->Rm] = backwards ? from : from + size;
        s->X[op->Rn] = backwards ? size : 0 - size;
        s->Nzcv = 0;
        return op + 1;
    }

    private static Op* GoOnCopying(VcpuCore core, CpuState* s, Op* op, Stage stage)
    {
        if (s->X[op->Rn] == 0)
        {
            return op + 1;
        }

        bool backwards = IsMove(op) && (long)s->X[op->Rn] > 0;
        ulong size = backwards ? s->X[op->Rn] : 0 - s->X[op->Rn];
        bool wrongOption = (s->Nzcv & Pstate.C) != 0;
        if (wrongOption || (stage == Stage.Epilogue && size >= Page))
        {
            return TakeMismatch(core, op, wrongOption);
        }

        ulong least = stage == Stage.Main ? Page : 1;
        while (size >= least)
        {
            ulong done = backwards
                ? CopyLast(core, s, op, s->X[op->Rd], s->X[op->Rm], size, size)
                : CopyFirst(core, s, op, s->X[op->Rd] - size, s->X[op->Rm] - size, size);
            if (done == 0)
            {
                return core.Resume(op);
            }

            size -= done;
            s->X[op->Rn] = backwards ? size : 0 - size;
            if (size >= least && s->Attention != 0)
            {
                return Repeat(core, s, op);
            }
        }

        return op + 1;
    }

    // Pending work comes first; then the instruction goes on with what is left.
    private static Op* Repeat(VcpuCore core, CpuState* s, Op* op) => Flow.TakenTo(core, s, op, core.PcOf(op));

    // ISS of EC 0x27: the instruction and its registers, option A, and what was wrong.
    private static Op* TakeMismatch(VcpuCore core, Op* op, bool wrongOption)
    {
        bool isSet = IsSet(op);
        uint stage = Operands.Bits(op->Word, isSet ? 14 : 22, 2);
        uint options = isSet ? Operands.Bits(op->Word, 12, 2) : Operands.Bits(op->Word, 12, 4);
        return core.Take(op, ExceptionClass.MemoryOperation,
            (isSet ? 1u << 24 : 0) | (options << 19) | (stage == (uint)Stage.Epilogue ? 1u << 18 : 0) | (wrongOption ? 1u << 17 : 0)
            | (1u << 16) | ((uint)op->Rd << 10) | ((uint)op->Rm << 5) | op->Rn);
    }

    // Bytes from an address to the end of its page; from the beginning of its page to an address, with it.
    private static ulong RestOfPage(ulong va) => Page - (va & (Page - 1));

    private static ulong BeginOfPage(ulong va) => (va & (Page - 1)) + 1;

    // Sets up to so many bytes, within a page, and their tags. Returns how many; 0 after a fault. With tags these are whole granules, for
    // the instruction could not go on behind a part of one.
    private static ulong SetSome(VcpuCore core, CpuState* s, Op* op, ulong to, ulong size)
    {
        ulong done = SetBytes(core, s, op, to, size);
        while (SetsTags(op) && done % TagMemory.Granule != 0)
        {
            ulong more = SetBytes(core, s, op, to + done, size - done);
            if (more == 0)
            {
                return 0;
            }

            done += more;
        }

        AccessKind kind = Operands.Bits(op->Word, 12, 1) != 0 ? AccessKind.Unprivileged : AccessKind.Plain;
        for (ulong at = to & ~(ulong)(TagMemory.Granule - 1); SetsTags(op) && at < to + done; at += TagMemory.Granule)
        {
            if (core.Data.TryReachTags(op, at, AccessType.Write, out byte* place, kind) && place != null && TagChecks.AreAccessible(s))
            {
                core.Data.Tagging!.Tags[place] = TagChecks.TagOf(to);
            }
        }

        return done;
    }

    // Sets up to so many bytes, within a page. Returns how many; 0 after a fault.
    private static ulong SetBytes(VcpuCore core, CpuState* s, Op* op, ulong to, ulong size)
    {
        bool unprivileged = Operands.Bits(op->Word, 12, 1) != 0;
        byte value = (byte)s->X[op->Rm];
        size = Math.Min(size, RestOfPage(to));
        ulong first = size;
        byte* place = Place(core, s, op, to, unprivileged, write: true, ref first);
        if (place != null)
        {
            new Span<byte>(place, (int)first).Fill(value);
            return first;
        }

        // The first byte takes the fault, or has the page put into the TLB.
        ulong rest = size - 1;
        bool done = Store(core, s, op, to, unprivileged, value);
        return !done ? 0 : rest != 0 && Place(core, s, op, to + 1, unprivileged, write: true, ref rest) != null
            ? 1 + SetBytes(core, s, op, to + 1, rest) : 1;
    }

    // Copies up to so many bytes forward, within a page on both sides. Returns how many; 0 after a fault.
    private static ulong CopyFirst(VcpuCore core, CpuState* s, Op* op, ulong to, ulong from, ulong size)
    {
        size = Math.Min(size, Math.Min(RestOfPage(to), RestOfPage(from)));
        ulong done = CopyInTlb(core, s, op, to, from, size, least: 1);
        if (done != 0)
        {
            return done;
        }

        if (!CopyByte(core, s, op, to, from, 0, ref size, out byte* destination, out byte* source))
        {
            return 0;
        }

        if (destination == null || source == null)
        {
            return 1;
        }

        Buffer.MemoryCopy(source + 1, destination + 1, size - 1, size - 1);
        return size;
    }

    // Copies up to part of the last bytes of two places of a size, within a page on both sides.
    private static ulong CopyLast(VcpuCore core, CpuState* s, Op* op, ulong to, ulong from, ulong size, ulong part)
    {
        part = Math.Min(part, Math.Min(BeginOfPage(to + size - 1), BeginOfPage(from + size - 1)));
        to += size - part;
        from += size - part;
        ulong done = CopyInTlb(core, s, op, to, from, part, least: part);
        if (done != 0)
        {
            return done;
        }

        ulong found = part;
        if (!CopyByte(core, s, op, to, from, part - 1, ref found, out byte* destination, out byte* source))
        {
            return 0;
        }

        if (destination == null || source == null || found != part)
        {
            return 1;
        }

        Buffer.MemoryCopy(source, destination, part - 1, part - 1);
        return part;
    }

    // Copies up to so many bytes of two pages that the TLB knows. Returns how many; 0 where it would be fewer than the least.
    private static ulong CopyInTlb(VcpuCore core, CpuState* s, Op* op, ulong to, ulong from, ulong size, ulong least)
    {
        byte* source = Place(core, s, op, from, Operands.Bits(op->Word, 13, 1) != 0, write: false, ref size);
        byte* destination = Place(core, s, op, to, Operands.Bits(op->Word, 12, 1) != 0, write: true, ref size);
        if (source == null || destination == null || size < least)
        {
            return 0;
        }

        Buffer.MemoryCopy(source, destination, size, size);
        return size;
    }

    // Copies the byte at an offset of two places, and says where those are in host memory, and how many bytes can be copied there: null
    // where one is no plain memory. Each side is looked for while the TLB has it, for both may have the same entry there. False after a
    // fault.
    private static bool CopyByte(
        VcpuCore core, CpuState* s, Op* op, ulong to, ulong from, ulong offset, ref ulong size, out byte* destination, out byte* source)
    {
        destination = source = null;
        bool unprivileged = Operands.Bits(op->Word, 13, 1) != 0;
        if (!(unprivileged
            ? MemoryAccess.LoadUnprivileged(core, s, op, from + offset, out byte value)
            : MemoryAccess.Load(core, s, op, from + offset, out value)))
        {
            return false;
        }

        source = Place(core, s, op, from, unprivileged, write: false, ref size);
        unprivileged = Operands.Bits(op->Word, 12, 1) != 0;
        if (!Store(core, s, op, to + offset, unprivileged, value))
        {
            return false;
        }

        destination = Place(core, s, op, to, unprivileged, write: true, ref size);
        return true;
    }

    private static bool Store(VcpuCore core, CpuState* s, Op* op, ulong to, bool unprivileged, byte value) => unprivileged
        ? MemoryAccess.StoreUnprivileged(core, s, op, to, value)
        : MemoryAccess.Store(core, s, op, to, value);

    // Where an address is in host memory; null where the TLB does not know its page as memory with that right. Where tags are checked, the
    // size becomes that of the bytes whose tag is right, and there is no place where the first is wrong.
    private static byte* Place(VcpuCore core, CpuState* s, Op* op, ulong va, bool unprivileged, bool write, ref ulong size)
    {
        TlbEntry* entry = (unprivileged ? s->TlbUnprivileged : s->Tlb) + ((va >> GuestMemory.PageShift) & (TlbEntry.Count - 1));
        if ((write ? entry->WriteTag : entry->ReadTag) == (va & ~(Page - 1)))
        {
            return (byte*)(va + (nuint)entry->Addend);
        }

        AccessKind kind = unprivileged ? AccessKind.Unprivileged : AccessKind.Plain;
        if (core.Data.Tagging == null || !core.Data.Tagging.TryFind(va, 1, kind, write, out byte* host))
        {
            return null;
        }

        size = core.Data.Tagging.Matching(op, va, size, host);
        return size != 0 ? host : null;
    }
}
