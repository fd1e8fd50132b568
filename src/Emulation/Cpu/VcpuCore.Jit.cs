using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Cpu.Mmu;

namespace Vmm.Emulation.Cpu;

/// <content>Translated code: in, out, and what to do about why it left.</content>
public sealed unsafe partial class VcpuCore
{
    private readonly TranslationCache? _translations;
    private bool _inTranslatedCode;
    private long _jumpsGeneration;

    // Whether translations in force were changed since an instruction of translated code went to the interpreter.
    private bool _translationsChanged;

    /// <summary>Whether the owner's thread is in translated code, or about to look whether it may enter. Any thread.</summary>
    internal bool InTranslatedCode => Volatile.Read(ref _inTranslatedCode);

    // Executes from an op that EnterAt gave; returns when the run loop is to be left.
    private void RunTranslated(CpuState* s, Op* op)
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
            op = Execute(translations, exits, s, PcOf(op), code, generation);
        }
    }

    // Enters code again and again until it needs what EnterAt does; the code is that of an address.
    private Op* Execute(TranslationCache translations, long[] exits, CpuState* s, ulong pc, byte* code, long generation)
    {
        Op* op = LeftOp;

        // What was taken off the budget here, and is charged by the code when it goes on.
        int charged = 0;
        while (true)
        {
            Volatile.Write(ref _inTranslatedCode, true);
            if (translations.Generation != generation)
            {
                Volatile.Write(ref _inTranslatedCode, false);
                return EnterAt(pc);
            }

            s->Remaining += charged;
            charged = 0;

            var kind = (ExitKind)translations.Enter(s, code);
            if (kind == ExitKind.Lookup)
            {
                Volatile.Write(ref _inTranslatedCode, false);
                exits[s->Remaining > 0 ? ExitCounters.Lookup : ExitCounters.Attention]++;
                return EnterAt(s->Pc);
            }

            ExitInfo* exit = s->Exit;
            int where = exit->Where;
            if (kind == ExitKind.Interpret)
            {
                *op = *(Op*)((byte*)&exit->Where + where);
            }

            int count = exit->Count;
            bool relies = exit->Relies;
            int counter = exit->Counter;
            byte* place = (byte*)&exit->Place + exit->Place;
            _page = translations.PageAt(exit->Page);
            Volatile.Write(ref _inTranslatedCode, false);
            exits[counter]++;
            switch (kind)
            {
                case ExitKind.Attention:
                    return EnterAt(s->CodePageVa + (uint)where);
                case ExitKind.Link or ExitKind.Apart:
                    pc = s->CodePageVa + (uint)where;
                    code = translations.Link(this, _page, exit, generation, apart: kind == ExitKind.Apart);
                    if (code == null)
                    {
                        return EnterAt(pc);
                    }

                    break;
                default:
                    s->Remaining -= count;
                    s->RunStart = op;
                    _translationsChanged = false;
                    Op* next = op->Handler(this, s, op);
                    if (next != op + 1)
                    {
                        return next;
                    }

                    s->Remaining--;
                    pc = PcOf(op) + sizeof(uint);
                    if (relies && _translationsChanged)
                    {
                        return EnterAt(pc);
                    }

                    charged = count + 1;
                    code = place;
                    break;
            }
        }
    }

    // The next time a jump to the op's address stays in translated code.
    private void NoteJump(CpuState* s, Op* op, byte* code, long generation)
    {
        if (_jumpsGeneration != generation)
        {
            DropJumps();
            _jumpsGeneration = generation;
        }

        // A handler that goes on inside a page may have taken its translation away.
        ulong pc = PcOf(op);
        ref TlbContext.InstructionEntry entry = ref _context.Instruction(Pstate.ExceptionLevel(s->Pstate), pc);
        if (entry.Tag == (pc & PageMask) && entry.Page == _page)
        {
            Jumps().Note(pc, entry.SizeBits, entry.Global, code);
        }
    }

    // Some of the translated code was given up, and its memory is used again.
    private void DropJumps()
    {
        foreach (TlbContext? context in _contexts)
        {
            context?.Jumps?.Clear();
        }

        _jumpsEl1?.Clear();
    }
}
