using System.Text;

namespace Vmm.Emulation.Cpu.Lockstep;

/// <summary>
/// The registers of SVE behind <see cref="CpuState"/> on which both engines must agree. The upper part of a Z register is zero where
/// <see cref="CpuState.ScalableLive"/> says so, and may as well be there as zeros: translated code writes these where it reads the
/// register.
/// </summary>
internal static unsafe class ScalableComparison
{
    private static readonly byte[] s_zeros = new byte[ScalableRegisters.HighBytes];

    public static bool AreEqual(CpuState* left, CpuState* right)
    {
        for (int i = 0; i < ScalableRegisters.Vectors + ScalableRegisters.Predicates; i++)
        {
            if (!Register(left, i).SequenceEqual(Register(right, i)))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>
    /// Lets an equal state say as that of translated code of which Z registers the upper parts are zero: the code goes on with what it
    /// knows of them.
    /// </summary>
    public static void TakeLive(CpuState* state, CpuState* translated)
    {
        for (int i = 0; i < ScalableRegisters.Vectors; i++)
        {
            if (ScalableRegisters.IsLive(translated, i) && !ScalableRegisters.IsLive(state, i))
            {
                s_zeros.CopyTo(new Span<byte>((byte*)state + ScalableRegisters.OffsetOfHigh(i), ScalableRegisters.HighBytes));
            }
        }

        new ReadOnlySpan<ulong>(translated->ScalableLive, CpuState.ScalableLiveWords)
            .CopyTo(new Span<ulong>(state->ScalableLive, CpuState.ScalableLiveWords));
    }

    /// <summary>A line for each register that differs, as each engine left it.</summary>
    public static void Describe(StringBuilder text, CpuState* translated, CpuState* interpreted)
    {
        for (int i = 0; i < ScalableRegisters.Vectors + ScalableRegisters.Predicates; i++)
        {
            ReadOnlySpan<byte> theirs = Register(translated, i);
            ReadOnlySpan<byte> ours = Register(interpreted, i);
            if (!theirs.SequenceEqual(ours))
            {
                string name = i < ScalableRegisters.Vectors ? $"Z{i}, from byte 16" : $"P{i - ScalableRegisters.Vectors}";
                text.Append($"  {name} translated {Convert.ToHexStringLower(theirs)}, interpreted {Convert.ToHexStringLower(ours)}\n");
            }
        }
    }

    // The upper parts of Z0–Z31, then P0–P15 and FFR.
    private static ReadOnlySpan<byte> Register(CpuState* s, int index)
    {
        int predicate = index - ScalableRegisters.Vectors;
        if (predicate >= 0)
        {
            return new ReadOnlySpan<byte>((byte*)s + ScalableRegisters.OffsetOfPredicate(predicate), ScalableRegisters.PredicateBytes);
        }

        return ScalableRegisters.IsLive(s, index)
            ? new ReadOnlySpan<byte>((byte*)s + ScalableRegisters.OffsetOfHigh(index), ScalableRegisters.HighBytes)
            : s_zeros;
    }
}
