using System.Numerics;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Exceptions;
using Vmm.Emulation.Cpu.Interpreter.Handlers;

namespace Vmm.Emulation.Cpu.Interpreter;

/// <summary>What a CPU with SVE does before the handlers of SVE, FP and SIMD, and behind them.</summary>
internal static unsafe class ScalableGates
{
    /// <summary>
    /// An instruction of SVE: the checks of CPACR_EL1.ZEN and then FPEN (Arm ARM, CheckSVEEnabled), and of SP as a base. Where no element
    /// is active the architecture leaves open whether SP is checked.
    /// </summary>
    public static Op* Scalable(VcpuCore core, CpuState* s, Op* op)
    {
        if (!IsEnabled(s))
        {
            return TakeAccessTrap(core, op);
        }

        if (s->FpEnabled == 0)
        {
            return core.TakeFpAccessTrap(op);
        }

        ref EncodingRow row = ref EncodingTable.Rows[op->Row];
        return (row.Effects & (Effects.Load | Effects.Store)) != 0 && LoadStore.StackMisaligned(core, op, s->X[CpuState.Sp])
            ? core.TakeStackAlignment(op)
            : row.Handler(core, s, op);
    }

    /// <summary>
    /// An FP or SIMD instruction that writes V registers: it makes the rest of their Z registers zero, unless it takes an exception.
    /// </summary>
    public static Op* Vector(VcpuCore core, CpuState* s, Op* op)
    {
        if (s->FpEnabled == 0)
        {
            return core.TakeFpAccessTrap(op);
        }

        ref EncodingRow row = ref EncodingTable.Rows[op->Row];
        Op* next = row.Handler(core, s, op);

        // Behind an exception, whose vector may follow the instruction, a run starts.
        if (next == op + 1 && s->RunStart != next)
        {
            for (uint written = WrittenVectors(row.Effects, op); written != 0; written &= written - 1)
            {
                ((byte*)s->ScalableLive)[BitOperations.TrailingZeroCount(written)] = 0;
            }
        }

        return next;
    }

    /// <summary>The V registers that an FP or SIMD instruction writes, by bit.</summary>
    public static uint WrittenVectors(Effects effects, Op* op)
    {
        uint written = (effects & Effects.WriteVa) != 0 ? 1u << op->Ra : 0;
        if ((effects & Effects.WriteVd) != 0)
        {
            // Of a load of several registers there are as many as Ra says.
            bool isLoad = (effects & (Effects.List | Effects.Load)) == (Effects.List | Effects.Load);
            uint several = isLoad ? (1u << op->Ra) - 1 : 1;
            written |= BitOperations.RotateLeft(several, op->Rd);
        }

        return written;
    }

    /// <summary>Whether CPACR_EL1.ZEN lets the current exception level use SVE.</summary>
    public static bool IsEnabled(CpuState* s)
    {
        int enabled = (int)(s->CpacrEl1 >> 16) & 3;
        return enabled == 3 || (enabled == 1 && Pstate.ExceptionLevel(s->Pstate) != 0);
    }

    public static Op* TakeAccessTrap(VcpuCore core, Op* op) => core.Take(op, ExceptionClass.ScalableAccess, 0);
}
