using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu;

public sealed unsafe partial class VcpuCore
{
    private const int InstructionTlbSize = 256;

    private struct InstructionTlbEntry
    {
        public ulong Tag;
        public CodePage? Page;
    }

    // False after a handler asked to re-enter the run loop instead of leaving it.
    private bool _leaving;

    // Holds the executing page alive while its ops are.
    private CodePage? _page;
    private readonly InstructionTlbEntry[] _instructionTlb = new InstructionTlbEntry[InstructionTlbSize];

    /// <summary>The op at a virtual address, after pending work; null to leave the run loop. Takes the exception if the fetch faults.</summary>
    internal Op* EnterAt(ulong pc)
    {
        CpuState* s = _state;
        while (true)
        {
            if (s->Attention != 0)
            {
                s->Pc = pc;
                if (!ServiceAttention())
                {
                    return null;
                }

                pc = s->Pc;
            }

            if (s->Remaining <= 0)
            {
                return Leave(pc, VcpuExit.BudgetSpent);
            }

            ref InstructionTlbEntry entry = ref _instructionTlb[(pc >> GuestMemory.PageShift) & (InstructionTlbSize - 1)];
            ulong tag = pc & ~(ulong)(GuestMemory.PageSize - 1);
            if (entry.Tag == tag && entry.Page is { Stale: false } page && (pc & 3) == 0)
            {
                _page = page;
                s->CodePageVa = tag;
                s->RunStart = page.First + ((pc & (GuestMemory.PageSize - 1)) >> 2);
                return s->RunStart;
            }

            s->Pc = pc;
            FillInstructionTlb(ref entry, pc);
            pc = s->Pc;
        }
    }

    /// <summary>Leaves the run loop; execution goes on at <paramref name="pc"/>.</summary>
    internal Op* Leave(ulong pc, VcpuExit reason)
    {
        _state->Pc = pc;
        ExitReason = reason;
        return null;
    }

    internal void DecodeCurrent(Op* op) => _code.Decode(_page!, op);

    // Attention bits, then pc or exit. False to leave the loop.
    private bool ServiceAttention()
    {
        if (Interrupts.Take(AttentionBits.Exit) != 0)
        {
            ExitReason = VcpuExit.Requested;
            return false;
        }

        return true;
    }

    private void FillInstructionTlb(ref InstructionTlbEntry entry, ulong pc)
    {
        GuestMemory memory = Bus.FindMemory(pc) ?? throw new InvalidOperationException("replaced by the MMU");
        entry.Tag = pc & ~(ulong)(GuestMemory.PageSize - 1);
        entry.Page = _code.Get(memory, pc);
    }

    internal Op* TakeUndefined(Op* op) => Leave(_state->CodePageVa + op->Offset, VcpuExit.Requested);

    internal Op* TakeFpAccessTrap(Op* op) => Leave(_state->CodePageVa + op->Offset, VcpuExit.Requested);
}
