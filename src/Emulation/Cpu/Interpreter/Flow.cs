using System.Runtime.CompilerServices;
using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu.Interpreter;

/// <summary>Handlers that move execution from op to op and belong to no instruction, and code that branch handlers share.</summary>
internal static unsafe class Flow
{
    /// <summary>The handler of an op that was not executed yet: decodes it and executes it.</summary>
    public static Op* Undecoded(VcpuCore core, CpuState* s, Op* op)
    {
        core.DecodeCurrent(op);
        return op->Handler(core, s, op);
    }

    /// <summary>The handler of the op after the last of a page. It is no instruction, and goes on to the next page.</summary>
    public static Op* PageEnd(VcpuCore core, CpuState* s, Op* op)
    {
        s->Remaining -= op - s->RunStart;
        return core.EnterAt(s->CodePageVa + op->Offset);
    }

    public static Op* Undefined(VcpuCore core, CpuState* s, Op* op) => core.TakeUndefined(op);

    /// <summary>The check of CPACR_EL1.FPEN before each FP and SIMD handler.</summary>
    public static Op* FpSimdGate(VcpuCore core, CpuState* s, Op* op) =>
        s->FpEnabled != 0 ? EncodingTable.Rows[op->Row].Handler(core, s, op) : core.TakeFpAccessTrap(op);

    /// <summary>
    /// A taken branch by a displacement in bytes: <see cref="Op.Imm"/> of every direct branch. A branch that leaves the page, or leaves for
    /// pending work, reads no op but its own: with a translator there is no other.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* TakenBy(VcpuCore core, CpuState* s, Op* op, long displacement)
    {
        ulong offset = op->Offset + (ulong)displacement;
        if (offset >= 4096)
        {
            return TakenTo(core, s, op, s->CodePageVa + offset);
        }

        Op* target = op + (displacement >> 2);
        long remaining = s->Remaining - (op - s->RunStart) - 1;
        s->Remaining = remaining;
        s->RunStart = target;
        return remaining > 0 && s->Attention == 0 ? target : core.EnterAt(s->CodePageVa + offset);
    }

    /// <summary>A taken branch to any virtual address.</summary>
    public static Op* TakenTo(VcpuCore core, CpuState* s, Op* op, ulong target)
    {
        s->Remaining -= op - s->RunStart + 1;
        return core.EnterAt(target);
    }
}
