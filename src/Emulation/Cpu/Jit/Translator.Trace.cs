using System.Globalization;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.Plan;
using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>
/// What the block that was translated last is made of, for the trace: the instructions (in_asm), what each became (op), the host's code
/// (out_asm).
/// </content>
internal sealed unsafe partial class Translator
{
    /// <summary>The categories that are written here.</summary>
    public const TraceCategories Traced = TraceCategories.InAsm | TraceCategories.Op | TraceCategories.OutAsm;

    // Of each instruction of the block, and of its end: where its code begins, how many stubs there were, whether it is emitted.
    private readonly (nint Position, int Stubs, bool Emitted)[] _became = new (nint, int, bool)[MaxBlock + 1];

    /// <summary>Writes the lines of the block that was translated last.</summary>
    /// <param name="address">The virtual address of its first instruction, for whoever it was translated for.</param>
    /// <param name="executableOffset">From where its code is to where it is executed.</param>
    public void Trace(TraceLog trace, ulong address, BlockCode block, nint executableOffset)
    {
        for (int i = 0; i < _plan.Length; i++)
        {
            string line = string.Create(
                CultureInfo.InvariantCulture,
                $"0x{address + (ulong)(i * 4):x16} {_plan.At(i)->Word:x8} {NameOf(_plan.At(i))}");
            Write(trace, TraceCategories.InAsm, line);
            if (trace.Traces(TraceCategories.Op))
            {
                Write(trace, TraceCategories.Op, $"{line}: {Describe(i)}");
            }
        }

        if (trace.Traces(TraceCategories.OutAsm))
        {
            TraceHostCode(trace, address, block, executableOffset);
        }
    }

    private static void Write(TraceLog trace, TraceCategories category, string line)
    {
        if (trace.Traces(category))
        {
            trace.Write(category, line);
        }
    }

    private static string NameOf(Op* op) => op->IsAllocated ? EncodingTable.Rows[op->Row].Mnemonic : "UNDEFINED";

    private string Describe(int index)
    {
        Op* op = _plan.At(index);
        var said = new List<string>
        {
            _became[index].Emitted ? "emitted" : "interpreted",
            $"{_became[index + 1].Position - _became[index].Position} bytes",
        };
        if (_plan.IsEntry(index))
        {
            said.Add("entry");
        }
        else if (_plan.IsLabel(index))
        {
            said.Add("label");
        }

        if (op->IsAllocated && FlagEffects.OfRow(op->Row) == FlagEffect.Sets)
        {
            said.Add(_plan.AreFlagsWanted(index + 1) ? "flags wanted" : "flags dead");
        }

        int probes = 0;
        int rare = 0;
        for (int i = _became[index].Stubs; i < _became[index + 1].Stubs; i++)
        {
            ref readonly Stub stub = ref _stubs[i];
            probes += stub.Kind == ExitKind.Interpret && stub.Reason == ExitReason.TlbMiss ? 1 : 0;
            rare += stub.Kind == ExitKind.Interpret && stub.Reason == ExitReason.RareCase ? 1 : 0;
            if (stub.Kind == ExitKind.Link)
            {
                said.Add("jump to be linked");
            }
        }

        if (probes > 0)
        {
            said.Add("TLB probe");
        }

        if (rare > 0)
        {
            said.Add(rare == 1 ? "a rare case interpreted" : $"{rare} rare cases interpreted");
        }

        return string.Join(", ", said);
    }

    private void TraceHostCode(TraceLog trace, ulong address, BlockCode block, nint executableOffset)
    {
        int instruction = 0;
        HostDisassembler.Disassemble(cache, block.Hot + executableOffset, block.HotEnd + executableOffset, (at, text) =>
        {
            while (instruction < _plan.Length && _became[instruction].Position + executableOffset <= (nint)at)
            {
                string line = string.Create(
                    CultureInfo.InvariantCulture,
                    $"0x{address + (ulong)(instruction * 4):x16} {NameOf(_plan.At(instruction++))}");
                trace.Write(TraceCategories.OutAsm, line);
            }

            trace.Write(TraceCategories.OutAsm, string.Create(CultureInfo.InvariantCulture, $"  0x{(nint)at:x} {text}"));
        });
        HostDisassembler.Disassemble(cache, block.Ways + executableOffset, block.ColdEnd + executableOffset, (at, text) =>
            trace.Write(TraceCategories.OutAsm, string.Create(CultureInfo.InvariantCulture, $"  0x{(nint)at:x} {text}")));
    }
}
