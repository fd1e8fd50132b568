using System.Runtime.CompilerServices;

namespace Vmm.Emulation.Cpu.Interpreter;

/// <summary>NZCV of integer results, in bits 31:28 (Arm ARM, AddWithCarry in J1.3).</summary>
internal static class Flags
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Logical64(ulong r) => ((uint)(r >> 32) & Pstate.N) | (r == 0 ? Pstate.Z : 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Logical32(uint r) => (r & Pstate.N) | (r == 0 ? Pstate.Z : 0);

    /// <summary>The flags of <paramref name="r"/> = a + b.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Add64(ulong a, ulong b, ulong r) =>
        Logical64(r) | (r < a ? Pstate.C : 0) | ((uint)(((a ^ r) & (b ^ r)) >> 63) << 28);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Add32(uint a, uint b, uint r) =>
        Logical32(r) | (r < a ? Pstate.C : 0) | ((((a ^ r) & (b ^ r)) >> 31) << 28);

    /// <summary>The flags of <paramref name="r"/> = a - b.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Sub64(ulong a, ulong b, ulong r) =>
        Logical64(r) | (a >= b ? Pstate.C : 0) | ((uint)(((a ^ b) & (a ^ r)) >> 63) << 28);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Sub32(uint a, uint b, uint r) =>
        Logical32(r) | (a >= b ? Pstate.C : 0) | ((((a ^ b) & (a ^ r)) >> 31) << 28);

    /// <summary>The flags of <paramref name="r"/> = a + b + carry.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint AddCarry64(ulong a, ulong b, ulong r, bool carry) =>
        Logical64(r) | (r < a || (carry && r == a) ? Pstate.C : 0) | ((uint)(((a ^ r) & (b ^ r)) >> 63) << 28);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint AddCarry32(uint a, uint b, uint r, bool carry) =>
        Logical32(r) | (r < a || (carry && r == a) ? Pstate.C : 0) | ((((a ^ r) & (b ^ r)) >> 31) << 28);
}
