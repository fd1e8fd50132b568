using System.Runtime.CompilerServices;

namespace Vmm.Emulation.Cpu;

/// <summary>
/// Mixed endianness (Arm ARM B2.10; ID_AA64MMFR0_EL1.BigEnd). SCTLR_EL1.E0E makes data accesses at EL0 big-endian. SCTLR_EL1.EE makes table
/// walks and data accesses at EL1 big-endian, the unprivileged ones too. While either is set, no data page is in a TLB. So all accesses
/// take the slow path, which looks here.
/// </summary>
internal static unsafe class Endianness
{
    public static bool IsBig(CpuState* s) =>
        (s->SctlrEl1 & (Pstate.ExceptionLevel(s->Pstate) == 0 ? Sctlr.E0e : Sctlr.Ee)) != 0;

    /// <summary>A value of memory as a register has it, or the reverse: the bytes of one element.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Ordered<T>(CpuState* s, T value)
        where T : unmanaged => (s->SctlrEl1 & (Sctlr.E0e | Sctlr.Ee)) == 0 || !IsBig(s) ? value : Reverse(value);

    /// <summary><see cref="Ordered{T}"/> of two 32-bit elements.</summary>
    public static ulong OrderedPair(CpuState* s, ulong value) => Ordered(s, (uint)value) | ((ulong)Ordered(s, (uint)(value >> 32)) << 32);

    private static T Reverse<T>(T value)
        where T : unmanaged
    {
        new Span<byte>(&value, sizeof(T)).Reverse();
        return value;
    }
}
