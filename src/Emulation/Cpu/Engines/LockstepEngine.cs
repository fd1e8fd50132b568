using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Cpu.Lockstep;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu.Engines;

/// <summary>
/// Lockstep: both engines side by side. Translated code runs for about <see cref="LockstepCpu.Quantum"/> instructions. Then the run is
/// undone, and the interpreter repeats it from the same state. Registers, flags, all other state and every byte stored must then be the
/// same, and execution goes on from the interpreter's state. That is possible because translated code changes nothing but
/// <see cref="CpuState"/> and guest memory. An instruction that does anything else is left to the interpreter, which executes it once,
/// outside such a pair.
/// <para>Lockstep cannot see three things. First, translated code is made here with all flags and with a log of its stores. Plain
/// translated code leaves out flags that nobody reads, and so differs in SPSR_EL1 by design; the random programs of the tests compare it.
/// Second, one vCPU executes at a time (<see cref="LockstepTurn"/>), so memory ordering between vCPUs is not tested. Third, an instruction
/// that the interpreter executes for both engines is compared with nothing.</para>
/// </summary>
internal sealed unsafe class LockstepEngine(VcpuCore core, TranslationCache translations)
    : TranslatedEngine(core, translations, entersItself: true), IAccessReplay
{
    private readonly LockstepCpu _lockstep = new(translations.Turn!, ScalableRegisters.StateSizeOf(core.Model));

    /// <summary>Instructions that both engines executed and agreed on, since creation. Any thread, roughly.</summary>
    public long Instructions => _lockstep.Instructions;

    /// <summary>Runs of translated code that were repeated by the interpreter, since creation. Any thread, roughly.</summary>
    public long Runs => _lockstep.Runs;

    public override void TakeTurn() => _lockstep.TakeTurn();

    public override void GiveTurn() => _lockstep.GiveTurn();

    public override void Dispose()
    {
        base.Dispose();
        _lockstep.Dispose();
    }

    // Both engines from an address on.
    protected override bool EnterItself(CpuState* s, ulong pc, byte* code, int charged, long generation, Op* op, out Exit exit)
    {
        _lockstep.PassTurn();
        long remaining = s->Remaining;
        CodePage page = Core.Page!;
        s->Pc = pc;
        StateComparison.Copy(s, _lockstep.Before, _lockstep.StateSize);
        long budget = Math.Min(remaining, LockstepCpu.Quantum);
        if (!RunOnce(s, code, budget, charged, generation, op, out exit, out long count))
        {
            s->Remaining = remaining;
            return false;
        }

        ulong stopped = Repeat(s, page, pc, count);
        if (Differs(s, exit.Pc, stopped))
        {
            ReportDifference(s, page, pc, code, charged, exit.Pc, stopped, generation);
        }

        if (Core.Scalable != null)
        {
            ScalableComparison.TakeLive(s, _lockstep.Translated);
        }

        _lockstep.Instructions += count;
        _lockstep.Runs++;
        s->Remaining = remaining - count;
        if (exit.Kind != ExitKind.Lookup)
        {
            s->CodePageVa = exit.Pc & PageMask;
        }

        return true;
    }

    // Runs translated code, notes what it made of state and memory, and undoes it.
    private bool RunOnce(
        CpuState* s, byte* code, long budget, int charged, long generation, Op* op, out Exit exit, out long count)
    {
        count = 0;
        s->Remaining = budget + charged;
        s->StoreLog = _lockstep.TranslatedStores.First;
        if (!EnterCode(s, code, generation, op, out exit))
        {
            return false;
        }

        count = budget - s->Remaining + exit.Count;
        StateComparison.Copy(s, _lockstep.Translated, _lockstep.StateSize);
        StateComparison.Copy(_lockstep.Before, s, _lockstep.StateSize);
        StateComparison.CopyLookups(_lockstep.Translated, s);
        _lockstep.TakeBackStores(_lockstep.Translated->StoreLog);
        exit.Pc = Core.WithoutTag(exit.Pc);
        return true;
    }

    // Interprets a number of instructions and returns the address where it stopped. Requests of other threads do not stop it. It stops
    // early at an address that translated code cannot have gone to.
    private ulong Repeat(CpuState* s, CodePage page, ulong pc, long count)
    {
        CodePage? last = Core.Page;
        Core.Page = page;
        (bool leaving, VcpuExit reason) = (Core.Leaving, Core.ExitReason);
        _lockstep.Tlb = s->Tlb;
        _lockstep.TlbUnprivileged = s->TlbUnprivileged;
        s->Tlb = s->TlbUnprivileged = _lockstep.NoTlb;
        _lockstep.InterpretedStores.Clear();
        _lockstep.BeginPath();
        _lockstep.Repeating = true;
        Core.ExecutingOne = true;

        // Behind the last instruction of a page the next one is looked up.
        bool isHere = (pc & PageMask) == s->CodePageVa;
        for (long i = 0; i < count; i++)
        {
            if (!isHere && !TryFindPage(s, pc))
            {
                break;
            }

            Op* op = Core.OwnOp((int)(pc & ~PageMask));
            _lockstep.Decode(Core.Code, Core.Page!, op);
            s->RunStart = op;
            s->Remaining = 1;
            int level = Pstate.ExceptionLevel(s->Pstate);
            uint word = op->Word;
            Op* next = op->Handler(Core, s, op);
            _lockstep.NotePath(pc, word);

            // Translated code checks a branch target in the way it looks it up.
            s->Pstate &= ~Pstate.Btype;
            if (s->Tlb != _lockstep.NoTlb)
            {
                // PSTATE has chosen others.
                _lockstep.Tlb = s->Tlb;
                _lockstep.TlbUnprivileged = s->TlbUnprivileged;
                s->Tlb = s->TlbUnprivileged = _lockstep.NoTlb;
            }

            // A branch has found the budget spent, or attention, and left with the address.
            pc = next == op + 1 ? pc + sizeof(uint) : s->Pc;
            isHere = (pc & PageMask) == s->CodePageVa && (pc & 3) == 0 && level == Pstate.ExceptionLevel(s->Pstate);
        }

        Core.ExecutingOne = false;
        _lockstep.Repeating = false;
        s->Tlb = _lockstep.Tlb;
        s->TlbUnprivileged = _lockstep.TlbUnprivileged;
        (Core.Leaving, Core.ExitReason) = (leaving, reason);
        Core.Page = last;
        s->Pc = pc;
        return pc;
    }

    // Makes the page of an address the current one. False when translated code cannot have gone there by itself: the address is neither
    // in the TLB of instructions nor in the jump cache.
    private bool TryFindPage(CpuState* s, ulong pc)
    {
        if ((pc & 3) != 0)
        {
            return false;
        }

        ref TlbContext.InstructionEntry entry = ref Core.Mmu.Context.Instruction(Pstate.ExceptionLevel(s->Pstate), pc);
        CodePage? page = entry.Tag == (pc & PageMask) ? entry.Page : null;
        if (page == null)
        {
            byte* code = null;
            for (uint type = 0; type <= Pstate.Btype >> Pstate.BtypeShift && code == null; type++)
            {
                code = JumpCache.Find(s->JumpCache, pc | type);
            }

            if (code != null)
            {
                Translations.BlockAt(code, out page);
            }
        }

        if (page == null)
        {
            return false;
        }

        Core.Page = page;
        s->CodePageVa = pc & PageMask;
        return true;
    }

    // An access of the interpreter while it repeats a run. It goes where the real TLB says, or where the base registers' lookups of
    // translated code say. False for a page that translated code cannot have accessed.
    public bool TryFind(ulong va, int size, AccessKind kind, bool write, out byte* host)
    {
        host = null;
        if (!_lockstep.Repeating || ((kind & AccessKind.Aligned) != 0 && (va & (ulong)(size - 1)) != 0))
        {
            return false;
        }

        bool unprivileged = (kind & AccessKind.Unprivileged) != 0;
        TlbEntry* entry = (unprivileged ? _lockstep.TlbUnprivileged : _lockstep.Tlb)
            + ((va >> GuestMemory.PageShift) & (TlbEntry.Count - 1));
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
            && new ReadOnlySpan<ulong>(write ? _lockstep.Before->BaseWriteTag : _lockstep.Before->BaseReadTag, CpuState.Bases)
                .IndexOf(tag) is var index && index >= 0)
        {
            host = (byte*)(va + (nuint)_lockstep.Before->BaseAddend[index]);
        }
        else
        {
            return false;
        }

        NoteStore(host, write ? size : 0);
        return true;
    }

    public void NoteStore(byte* host, int size)
    {
        if (_lockstep.Repeating)
        {
            _lockstep.InterpretedStores.Note(host, size);
        }
    }

    // Throws a report of the difference. Before, it undoes the run and repeats it by single blocks, to find the first that differs.
    private void ReportDifference(CpuState* s, CodePage page, ulong pc, byte* code, int charged, ulong end, ulong stopped, long generation)
    {
        const int patience = 4 * LockstepCpu.Quantum;
        string report = LockstepReport.Of(Core, _lockstep, Translations, code, end, stopped);
        _lockstep.InterpretedStores.Undo();
        StateComparison.Copy(_lockstep.Before, s, _lockstep.StateSize);
        for (int block = 0; block < patience; block++)
        {
            Core.Page = page;
            StateComparison.Copy(s, _lockstep.Before, _lockstep.StateSize);
            if (!RunOnce(s, code, 1, charged, generation, Core.LeftOp, out Exit exit, out long count))
            {
                break;
            }

            end = exit.Pc;
            stopped = Repeat(s, page, pc, count);
            if (Differs(s, end, stopped))
            {
                report = LockstepReport.Of(Core, _lockstep, Translations, code, end, stopped);
                break;
            }

            pc = stopped;
            if (count == 0 || !TryFindPage(s, pc)
                || (code = Translations.EntryOf(Core.Page!, (int)(pc & ~PageMask) / sizeof(uint))) == null)
            {
                break;
            }

            page = Core.Page!;
            charged = 0;
        }

        throw new LockstepException(report);
    }

    private bool Differs(CpuState* s, ulong end, ulong stopped) =>
        stopped != end || !StateComparison.AreEqual(s, _lockstep.Translated)
        || (Core.Scalable != null && !ScalableComparison.AreEqual(s, _lockstep.Translated))
        || _lockstep.DifferentBytes() != null;
}
