using System.Runtime.CompilerServices;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Interpreter.Handlers;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu.Engines;

/// <summary>
/// Translated code: in, out, and what to do about why it left. What has no translation is executed by the interpreter's handlers.
/// </summary>
/// <param name="entersItself">A derived engine has its own <see cref="EnterItself"/>.</param>
internal unsafe class TranslatedEngine(VcpuCore core, TranslationCache translations, bool entersItself = false) : IEngine
{
    protected const ulong PageMask = ~(ulong)(GuestMemory.PageSize - 1);

    private bool _inTranslatedCode;
    private long _jumpsGeneration;

    /// <summary>The end of a run of translated code.</summary>
    protected struct Exit
    {
        public ExitKind Kind;

        /// <summary>Address to go on at. For <see cref="ExitKind.Interpret"/> that of the instruction to interpret.</summary>
        public ulong Pc;

        /// <summary>The record behind the exit in the code; null for <see cref="ExitKind.Lookup"/>.</summary>
        public ExitInfo* Info;

        /// <summary>Index of the exit in <see cref="ExitCounters"/>.</summary>
        public int Counter;

        /// <summary>Instructions executed that the code at <see cref="Place"/> charges.</summary>
        public int Count;

        /// <summary>
        /// Of <see cref="ExitKind.Lookup"/>: PSTATE.BTYPE, or <see cref="GuardedBranches.GuardedJump"/> where it may be less.
        /// </summary>
        public int Branch;

        /// <summary>The code at <see cref="Place"/> is for translations as they were.</summary>
        public bool Relies;

        /// <summary>The place at which the code goes on behind the instruction.</summary>
        public byte* Place;
    }

    private const int TypeMask = 3;

    // Whether the low bits of an address that is looked up are the type of the branch: on CPUs with FEAT_BTI.
    private readonly bool _tagsBranches = core.Has(Feature.Bti);

    // The branch that was looked up last, until its target is noted: its type, and where it went. No branch while the type is 0.
    private int _branch;
    private ulong _branchTarget;

    public bool InTranslatedCode => Volatile.Read(ref _inTranslatedCode);

    protected VcpuCore Core => core;

    protected TranslationCache Translations => translations;

    public virtual void TakeTurn()
    {
    }

    public virtual void GiveTurn()
    {
    }

    public void Abandon() => Volatile.Write(ref _inTranslatedCode, false);

    public virtual void Dispose()
    {
    }

    public void Run(CpuState* s, Op* op)
    {
        // Made when the vCPU first runs: a machine may have hundreds that never do.
        long[] exits = core.Counters.Exits ??= new long[ExitCounters.Count];
        while (op != null)
        {
            CodePage page = core.Page!;
            int word = op->Offset / sizeof(uint);
            if (page.Entry(word) == 0 && core.ColdOps.Decode(core.Code, page, word, translations.ColdExecutions) is var cold and not 0)
            {
                exits[ExitCounters.Cold]++;
                _branch = 0;
                op = Interpret(s, core.ColdOps.At(word), cold);
                continue;
            }

            byte* code = translations.Find(core, page, word, out long generation);
            if (code == null)
            {
                op = core.EnterAt(core.PcOf(op));
                continue;
            }

            NoteJump(s, op, code, generation);
            op = Execute(exits, s, core.PcOf(op), code, generation);
        }
    }

    // Executes instructions that follow each other, up to the first that does not go on to the next.
    private Op* Interpret(CpuState* s, Op* op, int count)
    {
        for (Op* end = op + count; op < end; op++)
        {
            s->RunStart = op;
            Op* next = op->Handler(core, s, op);
            if (next != op + 1)
            {
                return core.ColdOps.Holds(next) ? core.EnterAt(s->CodePageVa + ((ulong)(next - core.ColdOps.At(0)) * sizeof(uint))) : next;
            }

            // A branch to the next instruction has been charged, and a run begins there.
            s->Remaining -= s->RunStart == op ? 1 : 0;
        }

        return core.EnterAt(core.PcOf(op - 1) + sizeof(uint));
    }

    // Enters code again and again until it needs what EnterAt does; the code is that of an address.
    private Op* Execute(long[] exits, CpuState* s, ulong pc, byte* code, long generation)
    {
        Op* op = core.LeftOp;

        // The instructions that were taken off the budget here. The code takes them off again when it goes on.
        int charged = 0;
        while (true)
        {
            Exit exit;
            if (entersItself)
            {
                // The result goes through another local. The address of `exit` is never taken, so its fields stay in registers.
                if (!EnterItself(s, pc, code, charged, generation, op, out Exit own))
                {
                    return core.EnterAt(pc);
                }

                exit = own;
            }
            else
            {
                s->Remaining += charged;
                if (!EnterCode(s, code, generation, op, out exit))
                {
                    s->Remaining -= charged;
                    return core.EnterAt(pc);
                }

                s->Remaining -= exit.Count;
            }

            pc = exit.Pc;
            exits[exit.Counter]++;
            switch (exit.Kind)
            {
                case ExitKind.Lookup:
                    if (exit.Branch != 0)
                    {
                        _branch = exit.Branch;
                        _branchTarget = s->Pc;
                        GuardedBranches.SetType(core, s, exit.Branch);
                    }

                    return core.EnterAt(s->Pc);
                case ExitKind.Attention:
                    return core.EnterAt(pc);
                case ExitKind.Link or ExitKind.Apart:
                    charged = 0;
                    code = translations.Link(core, core.Page!, exit.Info, generation, apart: exit.Kind == ExitKind.Apart);
                    if (code == null)
                    {
                        return core.EnterAt(pc);
                    }

                    break;
                default:
                    s->RunStart = op;
                    core.Mmu.Changed = false;
                    Op* next = op->Handler(core, s, op);
                    if (next != op + 1)
                    {
                        return next;
                    }

                    s->Remaining--;
                    pc += sizeof(uint);
                    if (exit.Relies && core.Mmu.Changed)
                    {
                        return core.EnterAt(pc);
                    }

                    charged = exit.Count + 1;
                    code = exit.Place;
                    break;
            }
        }
    }

    /// <summary>
    /// Runs translated code until it leaves; the budget has then been charged. False when the code was given up: nothing has happened.
    /// </summary>
    /// <param name="pc">The guest address of the code.</param>
    /// <param name="charged">The instructions that are taken off the budget already, and that the code takes off again.</param>
    /// <param name="op">Receives the instruction for which the code leaves.</param>
    protected virtual bool EnterItself(CpuState* s, ulong pc, byte* code, int charged, long generation, Op* op, out Exit exit) =>
        throw new NotSupportedException();

    /// <summary>Enters and leaves. False when the code was given up.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected bool EnterCode(CpuState* s, byte* code, long generation, Op* op, out Exit exit)
    {
        exit = default;
        Volatile.Write(ref _inTranslatedCode, true);
        if (translations.Generation != generation)
        {
            Volatile.Write(ref _inTranslatedCode, false);
            return false;
        }

        exit.Kind = (ExitKind)translations.Enter(s, code);
        if (exit.Kind == ExitKind.Lookup)
        {
            Volatile.Write(ref _inTranslatedCode, false);
            exit.Counter = s->Remaining > 0 ? ExitCounters.Lookup : ExitCounters.Attention;
            if (_tagsBranches)
            {
                exit.Branch = (int)s->Pc & TypeMask;
                s->Pc &= ~(ulong)TypeMask;
            }

            exit.Pc = s->Pc;
            return true;
        }

        ExitInfo* info = s->Exit;
        exit.Info = info;
        int where = info->Where;
        if (exit.Kind == ExitKind.Interpret)
        {
            *op = *(Op*)((byte*)&info->Where + where);
            where = op->Offset;
            exit.Count = info->Count;
        }

        exit.Relies = info->Relies;
        exit.Counter = info->Counter;
        exit.Place = (byte*)&info->Place + info->Place;
        exit.Pc = s->CodePageVa + (uint)where;
        core.Page = translations.PageAt(info->Page);
        Volatile.Write(ref _inTranslatedCode, false);
        return true;
    }

    // The next time a jump to the op's address stays in translated code.
    private void NoteJump(CpuState* s, Op* op, byte* code, long generation)
    {
        if (_jumpsGeneration != generation)
        {
            core.Mmu.ClearJumps();
            _jumpsGeneration = generation;
        }

        // A handler that goes on inside a page may have taken its translation away.
        ulong pc = core.PcOf(op);
        ref TlbContext.InstructionEntry entry = ref core.Mmu.Context.Instruction(Pstate.ExceptionLevel(s->Pstate), pc);
        if (entry.Tag == (pc & PageMask) && entry.Page == core.Page)
        {
            core.Mmu.Jumps().Note(KeyOf(s, pc, entry.Guarded), entry.SizeBits, entry.Global, code);
        }

        _branch = 0;
    }

    // What a jump to an address is looked up by: the address, with the type of a branch in its low bits, if it is one that is checked, so
    // that each type finds only what accepts it. A jump whose type depends on where it stands is noted where both types are accepted.
    private ulong KeyOf(CpuState* s, ulong pc, bool guarded)
    {
        bool isTyped = _branch != 0 && _branchTarget == pc;
        bool isKnown = _branch != GuardedBranches.GuardedJump || !guarded
            || (core.Code.WordAt(core.Page!, pc) is var word && GuardedBranches.Accepts(s, word, GuardedBranches.Jump)
                && GuardedBranches.Accepts(s, word, GuardedBranches.GuardedJump));
        return isTyped && isKnown ? pc | (uint)_branch : pc;
    }
}
