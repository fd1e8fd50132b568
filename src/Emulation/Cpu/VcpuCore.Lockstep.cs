using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Cpu.Lockstep;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu;

/// <content>
/// Lockstep: both engines side by side. Each run of translated code, of about <see cref="LockstepCpu.Quantum"/> instructions, is undone and repeated by the interpreter from
/// the same state; registers, flags, all other state and every byte stored must then be the same, and execution goes on from the interpreter's. That is possible because
/// translated code changes nothing but <see cref="CpuState"/> and guest memory: whatever else an instruction does, it leaves to the interpreter, which does it once, outside
/// such a pair.
/// <para>What it cannot see. Translated code is made with all flags wanted and with a log of its stores, so the leaving out of flags nobody reads, where plain translated code
/// differs in SPSR_EL1 by design, is not covered; the random programs of the tests compare that. One vCPU executes at a time (<see cref="LockstepTurn"/>), so neither is memory
/// ordering between vCPUs. An instruction that the interpreter does in both engines is not compared with anything.</para>
/// </content>
public sealed unsafe partial class VcpuCore
{
    // Null unless this machine runs in lockstep.
    private readonly LockstepCpu? _lockstep;

    /// <summary>Lockstep: instructions that both engines executed and agreed on, since creation. Any thread, roughly.</summary>
    public long LockstepInstructions => _lockstep?.Instructions ?? 0;

    /// <summary>Lockstep: runs of translated code that were repeated by the interpreter, since creation. Any thread, roughly.</summary>
    public long LockstepRuns => _lockstep?.Runs ?? 0;

    // As RunTranslated.
    private void RunLockstep(LockstepCpu lockstep, CpuState* s, Op* op)
    {
        TranslationCache translations = _translations!;
        long[] exits = Counters.Exits ??= new long[ExitCounters.Count];
        while (op != null)
        {
            byte* code = translations.Find(this, _page!, op->Offset / sizeof(uint), out long generation);
            if (code == null)
            {
                op = EnterAt(PcOf(op));
                continue;
            }

            NoteJump(s, op, code, generation);
            op = ExecuteLockstep(lockstep, translations, exits, s, PcOf(op), code, generation);
        }
    }

    // As Execute, with every run of translated code repeated.
    private Op* ExecuteLockstep(LockstepCpu lockstep, TranslationCache translations, long[] exits, CpuState* s, ulong pc, byte* code, long generation)
    {
        Op* op = LeftOp;

        // Instructions that were executed and are charged by the code that comes next.
        int charged = 0;
        while (true)
        {
            lockstep.PassTurn();
            if (!RunPair(lockstep, s, pc, code, charged, generation, out Pair pair))
            {
                return EnterAt(pc);
            }

            pc = pair.Pc;
            exits[pair.Counter]++;
            switch (pair.Kind)
            {
                case ExitKind.Lookup:
                    return EnterAt(s->Pc);
                case ExitKind.Attention:
                    return EnterAt(pc);
                case ExitKind.Link or ExitKind.Apart:
                    charged = 0;
                    code = translations.Link(this, _page!, pair.Exit, generation, apart: pair.Kind == ExitKind.Apart);
                    if (code == null)
                    {
                        return EnterAt(pc);
                    }

                    break;
                default:
                    *op = pair.Op;
                    s->RunStart = op;
                    _translationsChanged = false;
                    Op* next = op->Handler(this, s, op);
                    if (next != op + 1)
                    {
                        return next;
                    }

                    s->Remaining--;
                    pc += sizeof(uint);
                    if (pair.Relies && _translationsChanged)
                    {
                        return EnterAt(pc);
                    }

                    charged = pair.Count + 1;
                    code = pair.Place;
                    break;
            }
        }
    }

    // How a run of translated code ended.
    private struct Pair
    {
        public ExitKind Kind;

        /// <summary>Where to go on.</summary>
        public ulong Pc;

        /// <summary>Interpret: the instruction there.</summary>
        public Op Op;

        /// <summary>Null for Lookup.</summary>
        public ExitInfo* Exit;

        public int Counter;

        /// <summary>Instructions executed that the code at <see cref="Place"/> charges.</summary>
        public int Count;

        /// <summary>The code at <see cref="Place"/> is for translations as they were.</summary>
        public bool Relies;
        public byte* Place;
    }

    // Both engines from an address on. False when the code was given up: nothing has happened.
    private bool RunPair(LockstepCpu lockstep, CpuState* s, ulong start, byte* code, int charged, long generation, out Pair pair)
    {
        long remaining = s->Remaining;
        CodePage page = _page!;
        s->Pc = start;
        StateComparison.Copy(s, lockstep.Before);
        long budget = Math.Min(remaining, LockstepCpu.Quantum);
        if (!RunTranslatedOnce(lockstep, s, code, budget, charged, generation, out pair, out long count, out ulong end))
        {
            s->Remaining = remaining;
            return false;
        }

        ulong stopped = Repeat(lockstep, s, page, start, count);
        if (Differs(lockstep, s, end, stopped))
        {
            ReportDifference(lockstep, s, page, start, code, charged, end, stopped, generation);
        }

        lockstep.Instructions += count;
        lockstep.Runs++;
        s->Remaining = remaining - count;
        if (pair.Kind != ExitKind.Lookup)
        {
            s->CodePageVa = end & PageMask;
        }

        return true;
    }

    // Runs translated code, notes what it made of state and memory, and undoes it.
    private bool RunTranslatedOnce(
        LockstepCpu lockstep, CpuState* s, byte* code, long budget, int charged, long generation, out Pair pair, out long count, out ulong end)
    {
        pair = default;
        (count, end) = (0, 0);
        TranslationCache translations = _translations!;
        s->Remaining = budget + charged;
        s->StoreLog = lockstep.TranslatedStores.First;
        Volatile.Write(ref _inTranslatedCode, true);
        if (translations.Generation != generation)
        {
            Volatile.Write(ref _inTranslatedCode, false);
            return false;
        }

        pair.Kind = (ExitKind)translations.Enter(s, code);
        pair.Counter = s->Remaining > 0 ? ExitCounters.Lookup : ExitCounters.Attention;
        count = budget - s->Remaining;
        end = s->Pc;
        if (pair.Kind != ExitKind.Lookup)
        {
            ExitInfo* exit = s->Exit;
            pair.Exit = exit;
            byte* where = (byte*)&exit->Where + exit->Where;
            int offset = exit->Where;
            if (pair.Kind == ExitKind.Interpret)
            {
                pair.Op = *(Op*)where;
                offset = pair.Op.Offset;
            }

            pair.Counter = exit->Counter;
            pair.Count = pair.Kind == ExitKind.Interpret ? exit->Count : 0;
            pair.Relies = exit->Relies;
            pair.Place = (byte*)&exit->Place + exit->Place;
            _page = translations.PageAt(exit->Page);
            count += pair.Count;
            end = s->CodePageVa + (uint)offset;
        }

        Volatile.Write(ref _inTranslatedCode, false);
        StateComparison.Copy(s, lockstep.Translated);
        StateComparison.Copy(lockstep.Before, s);
        StateComparison.CopyLookups(lockstep.Translated, s);
        lockstep.TakeBackStores(lockstep.Translated->StoreLog);
        pair.Pc = end = WithoutTag(end);
        return true;
    }

    // Interprets a number of instructions, whatever other threads ask for meanwhile; where it stopped. It stops early at an address that translated code cannot have gone to.
    private ulong Repeat(LockstepCpu lockstep, CpuState* s, CodePage page, ulong pc, long count)
    {
        CodePage? last = _page;
        _page = page;
        (bool leaving, VcpuExit reason) = (_leaving, ExitReason);
        lockstep.Tlb = s->Tlb;
        lockstep.TlbUnprivileged = s->TlbUnprivileged;
        s->Tlb = s->TlbUnprivileged = lockstep.NoTlb;
        lockstep.InterpretedStores.Clear();
        lockstep.BeginPath();
        lockstep.Repeating = true;
        _executingOne = true;

        // Behind the last instruction of a page the next one is looked up.
        bool isHere = (pc & PageMask) == s->CodePageVa;
        for (long i = 0; i < count; i++)
        {
            if (!isHere && !TryFindPage(s, pc))
            {
                break;
            }

            Op* op = OwnOp((int)(pc & ~PageMask));
            lockstep.Decode(_code, _page!, op);
            s->RunStart = op;
            s->Remaining = 1;
            int level = Pstate.ExceptionLevel(s->Pstate);
            uint word = op->Word;
            Op* next = op->Handler(this, s, op);
            lockstep.NotePath(pc, word);
            if (s->Tlb != lockstep.NoTlb)
            {
                // PSTATE has chosen others.
                lockstep.Tlb = s->Tlb;
                lockstep.TlbUnprivileged = s->TlbUnprivileged;
                s->Tlb = s->TlbUnprivileged = lockstep.NoTlb;
            }

            // A branch has found the budget spent, or attention, and left with the address.
            pc = next == op + 1 ? pc + sizeof(uint) : s->Pc;
            isHere = (pc & PageMask) == s->CodePageVa && (pc & 3) == 0 && level == Pstate.ExceptionLevel(s->Pstate);
        }

        _executingOne = false;
        lockstep.Repeating = false;
        s->Tlb = lockstep.Tlb;
        s->TlbUnprivileged = lockstep.TlbUnprivileged;
        (_leaving, ExitReason) = (leaving, reason);
        _page = last;
        s->Pc = pc;
        return pc;
    }

    // Goes to the page of an address that translated code may have gone to by itself: one that executes, or that the jump cache knows. False for others.
    private bool TryFindPage(CpuState* s, ulong pc)
    {
        if ((pc & 3) != 0)
        {
            return false;
        }

        ref TlbContext.InstructionEntry entry = ref _context.Instruction(Pstate.ExceptionLevel(s->Pstate), pc);
        CodePage? page = entry.Tag == (pc & PageMask) ? entry.Page : null;
        if (page == null)
        {
            byte* code = JumpCache.Find(s->JumpCache, pc);
            if (code != null)
            {
                _translations!.BlockAt(code, out page);
            }
        }

        if (page == null)
        {
            return false;
        }

        _page = page;
        s->CodePageVa = pc & PageMask;
        return true;
    }

    // An access of the interpreter that repeats: to where the real TLB says, or what translated code kept of it. False for a page that translated code cannot have accessed.
    private bool FindRepeated(ulong va, int size, AccessKind kind, bool write, out byte* host)
    {
        host = null;
        if (_lockstep is not { Repeating: true } lockstep || ((kind & AccessKind.Aligned) != 0 && (va & (ulong)(size - 1)) != 0))
        {
            return false;
        }

        bool unprivileged = (kind & AccessKind.Unprivileged) != 0;
        TlbEntry* entry = (unprivileged ? lockstep.TlbUnprivileged : lockstep.Tlb) + ((va >> GuestMemory.PageShift) & (TlbEntry.Count - 1));
        ulong tag = (va + (ulong)(size - 1)) & PageMask;
        if (tag != (va & PageMask))
        {
            return false;
        }

        if ((write ? entry->WriteTag : entry->ReadTag) == tag && ((kind & AccessKind.Atomic) == 0 || entry->ReadTag == tag))
        {
            host = (byte*)(va + (nuint)entry->Addend);
        }
        else if ((kind & (AccessKind.Unprivileged | AccessKind.Atomic)) == 0
            && new ReadOnlySpan<ulong>(write ? lockstep.Before->BaseWriteTag : lockstep.Before->BaseReadTag, CpuState.Bases).IndexOf(tag) is var index && index >= 0)
        {
            host = (byte*)(va + (nuint)lockstep.Before->BaseAddend[index]);
        }
        else
        {
            return false;
        }

        NoteRepeatedStore(host, write ? size : 0);
        return true;
    }

    private void NoteRepeatedStore(byte* host, int size)
    {
        if (_lockstep is { Repeating: true } lockstep)
        {
            lockstep.InterpretedStores.Note(host, size);
        }
    }

    // Throws what differs; undoes it before, and looks for the block in which it first does.
    private void ReportDifference(LockstepCpu lockstep, CpuState* s, CodePage page, ulong pc, byte* code, int charged, ulong end, ulong stopped, long generation)
    {
        const int patience = 4 * LockstepCpu.Quantum;
        string report = LockstepReport.Of(this, lockstep, _translations!, code, end, stopped);
        lockstep.InterpretedStores.Undo();
        StateComparison.Copy(lockstep.Before, s);
        for (int block = 0; block < patience; block++)
        {
            _page = page;
            StateComparison.Copy(s, lockstep.Before);
            if (!RunTranslatedOnce(lockstep, s, code, 1, charged, generation, out _, out long count, out end))
            {
                break;
            }

            stopped = Repeat(lockstep, s, page, pc, count);
            if (Differs(lockstep, s, end, stopped))
            {
                report = LockstepReport.Of(this, lockstep, _translations!, code, end, stopped);
                break;
            }

            pc = stopped;
            if (count == 0 || !TryFindPage(s, pc) || (code = _translations!.EntryOf(_page!, (int)(pc & ~PageMask) / sizeof(uint))) == null)
            {
                break;
            }

            page = _page!;
            charged = 0;
        }

        throw new LockstepException(report);
    }

    private static bool Differs(LockstepCpu lockstep, CpuState* s, ulong end, ulong stopped) =>
        stopped != end || !StateComparison.AreEqual(s, lockstep.Translated) || lockstep.DifferentBytes() != null;
}
