using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit.Plan;

/// <summary>What an instruction does with NZCV.</summary>
internal enum FlagEffect : byte
{
    None,

    /// <summary>Writes all four and reads none.</summary>
    Sets,

    /// <summary>
    /// Reads some, or may: also each system instruction. Behind these the flags are in memory, since some set them (RNDR).
    /// </summary>
    Reads,
}

/// <summary>
/// Whether flags are wanted at a place: whether some way on may read them before it writes them. Where they are not, SPSR_EL1 of an
/// exception may show older flags, of which the program that was interrupted sees nothing.
/// </summary>
internal static unsafe class FlagEffects
{
    private const int Horizon = 24;

    private static readonly FlagEffect[] s_effects = [.. EncodingTable.Rows.Select(Of)];

    public static FlagEffect OfRow(int row) => s_effects[row];

    /// <summary>Whether flags are wanted at a word of the decoder's page. True where a few instructions do not decide it.</summary>
    public static bool WantedAt(PageDecoder decoder, int word)
    {
        int budget = Horizon;
        return Wanted(decoder, word, ref budget);
    }

    private static bool Wanted(PageDecoder decoder, int word, ref int budget)
    {
        for (; word < CodePage.Words; word++)
        {
            if (budget-- <= 0)
            {
                return true;
            }

            Op* op = decoder.At(word);
            if (!op->IsAllocated)
            {
                return true;
            }

            switch (s_effects[op->Row])
            {
                case FlagEffect.Sets:
                    return false;
                case FlagEffect.Reads:
                    return true;
            }

            if (!EncodingTable.Rows[op->Row].May(Effects.Jump))
            {
                continue;
            }

            // B, CBZ, CBNZ, TBZ and TBNZ inside the page are followed. B.cond has read the flags; calls and returns are not followed.
            ulong offset = op->Offset + op->Imm;
            bool unconditional = op->Word >> 26 == 0b000101;
            bool conditional = ((op->Word >> 25) & 0x3F) is 0b011010 or 0b011011;
            if (!(unconditional || conditional) || offset >= CodePage.Words * 4)
            {
                return true;
            }

            int target = (int)(offset >> 2);
            if (unconditional)
            {
                word = target - 1;
            }
            else if (Wanted(decoder, target, ref budget))
            {
                return true;
            }
        }

        return true;
    }

    private static FlagEffect Of(EncodingRow row) =>
        row.May(Effects.ReadFlags) ? FlagEffect.Reads : row.May(Effects.WriteFlags) ? FlagEffect.Sets : FlagEffect.None;
}
