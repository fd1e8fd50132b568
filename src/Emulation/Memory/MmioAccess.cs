namespace Vmm.Emulation.Memory;

/// <summary>Helpers of device cores for accesses of different sizes.</summary>
internal static class MmioAccess
{
    /// <summary>The low <paramref name="size"/> bytes of a register, as <see cref="IMmioDevice.Read"/> must return them.</summary>
    public static ulong Truncate(ulong value, int size) => size >= 8 ? value : value & ((1ul << (size * 8)) - 1);
}
