using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit.Plan;

/// <summary>What an instruction may do to general registers, by the <see cref="Effects"/> of its row.</summary>
internal static unsafe class OpEffects
{
    private const int Link = 30;

    private static readonly Effects[] s_effects = [.. EncodingTable.Rows.Select(row => row.Effects)];

    /// <summary>Whether an instruction may write a slot of <see cref="CpuState.X"/>.</summary>
    public static bool MayWrite(Op* op, int slot)
    {
        Effects effects = s_effects[op->Row];
        return effects == Effects.Unknown
            || ((effects & Effects.WriteRd) != 0 && op->Rd == slot)
            || ((effects & Effects.WriteRn) != 0 && op->Rn == slot)
            || ((effects & Effects.WriteRm) != 0 && op->Rm == slot)
            || ((effects & Effects.WriteRa) != 0 && (op->Ra == slot || ((effects & Effects.Pairs) != 0 && op->Ra + 1 == slot)))
            || ((effects & Effects.WriteLink) != 0 && slot == Link);
    }
}
