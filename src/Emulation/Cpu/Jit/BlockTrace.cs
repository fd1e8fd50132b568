using System.Globalization;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.Plan;
using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>
/// Writes what a block is made of to the trace, when it has just been translated: its instructions (in_asm), what each became (op), the
/// code of the host (out_asm).
/// </summary>
internal sealed unsafe class BlockTrace(TraceLog trace, IHostBackend backend, BlockPlan plan)
{
    /// <summary>The categories that are written here.</summary>
    public const TraceCategories Categories = TraceCategories.InAsm | TraceCategories.Op | TraceCategories.OutAsm;

    /// <summary>Writes the lines of the block that was translated last.</summary>
    /// <param name="address">The virtual address of its first instruction, for whoever it was translated for.</param>
    /// <param name="executableOffset">From where its code is to where it is executed.</param>
    public void Write(ulong address, BlockCode block, nint executableOffset)
    {
        for (int i = 0; i < plan.Length; i++)
        {
            string line = string.Create(
                CultureInfo.InvariantCulture,
                $"0x{address + (ulong)(i * 4):x16} {plan.At(i)->Word:x8} {NameOf(plan.At(i))}");
            if (trace.Traces(TraceCategories.InAsm))
            {
                trace.Write(TraceCategories.InAsm, line);
            }

            if (trace.Traces(TraceCategories.Op))
            {
                trace.Write(TraceCategories.Op, $"{line}: {Describe(i)}");
            }
        }

        if (trace.Traces(TraceCategories.OutAsm))
        {
            WriteHostCode(address, block, executableOffset);
        }
    }

    private static string NameOf(Op* op) => op->IsAllocated ? EncodingTable.Rows[op->Row].Mnemonic : "UNDEFINED";

    private string Describe(int index)
    {
        Op* op = plan.At(index);
        InstructionCode code = backend.Describe(index);
        var said = new List<string> { code.IsEmitted ? "emitted" : "interpreted", $"{code.End - code.Start} bytes" };
        if (plan.IsEntry(index))
        {
            said.Add("entry");
        }
        else if (plan.IsLabel(index))
        {
            said.Add("label");
        }

        if (op->IsAllocated && FlagEffects.OfRow(op->Row) == FlagEffect.Sets)
        {
            said.Add(plan.AreFlagsWanted(index + 1) ? "flags wanted" : "flags dead");
        }

        for (int i = 0; i < code.Links; i++)
        {
            said.Add("jump to be linked");
        }

        if (code.LookUps > 0)
        {
            said.Add("TLB probe");
        }

        if (code.RareCases > 0)
        {
            said.Add(code.RareCases == 1 ? "a rare case interpreted" : $"{code.RareCases} rare cases interpreted");
        }

        return string.Join(", ", said);
    }

    private void WriteHostCode(ulong address, BlockCode block, nint executableOffset)
    {
        int instruction = 0;
        backend.Disassemble(block.Hot, block.HotEnd, executableOffset, (at, text) =>
        {
            while (instruction < plan.Length && backend.Describe(instruction).Start + executableOffset <= at)
            {
                string line = string.Create(
                    CultureInfo.InvariantCulture,
                    $"0x{address + (ulong)(instruction * 4):x16} {NameOf(plan.At(instruction++))}");
                trace.Write(TraceCategories.OutAsm, line);
            }

            WriteHostCode(at, text);
        });
        backend.Disassemble(block.Ways, block.ColdEnd, executableOffset, WriteHostCode);
    }

    private void WriteHostCode(byte* at, string text) =>
        trace.Write(TraceCategories.OutAsm, string.Create(CultureInfo.InvariantCulture, $"  0x{(nint)at:x} {text}"));
}
