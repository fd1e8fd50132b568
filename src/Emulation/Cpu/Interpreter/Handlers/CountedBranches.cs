using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>The handlers of branches while they are counted (<see cref="CodeCache.CountBranches"/>).</summary>
internal static unsafe class CountedBranches
{
    /// <summary>Those of which the table of encodings has the handler.</summary>
    public static Op* Any(VcpuCore core, CpuState* s, Op* op)
    {
        s->Branches++;
        return EncodingTable.Rows[op->Row].Handler(core, s, op);
    }

    /// <summary>BR with FEAT_BTI.</summary>
    public static Op* GuardedBr(VcpuCore core, CpuState* s, Op* op)
    {
        s->Branches++;
        return GuardedBranches.Br(core, s, op);
    }

    /// <summary>BLR with FEAT_BTI.</summary>
    public static Op* GuardedBlr(VcpuCore core, CpuState* s, Op* op)
    {
        s->Branches++;
        return GuardedBranches.Blr(core, s, op);
    }
}
