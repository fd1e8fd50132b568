namespace Vmm.Emulation.Cpu;

/// <summary>The contents of a cache.</summary>
public enum CacheKind
{
    Data,
    Instruction,
    Unified,
}

/// <summary>
/// A cache that a CPU model reports. Guests learn of it from CLIDR_EL1, CCSIDR_EL1 and the ACPI tables, and lay out work by it. A line has
/// <see cref="LineBytes"/> bytes.
/// </summary>
/// <param name="Level">The level; 1 is nearest to the CPU.</param>
/// <param name="Shared">True: all cores of a cluster, or of a socket without clusters, share it. False: each core has one.</param>
public sealed record CpuCache(int Level, CacheKind Kind, int Sets, int Ways, bool Shared = false)
{
    public const int LineBytes = 64;

    public int Bytes => Sets * Ways * LineBytes;

    /// <summary>
    /// CCSIDR_EL1 (Arm ARM D24.2.25). The allocation and write policy are those of the TRMs. Then come the sets less one, the ways less
    /// one, and log2 of the words of a line less two.
    /// </summary>
    public uint Ccsidr => (Kind == CacheKind.Instruction ? 2u : 7u) << 28 | (uint)(Sets - 1) << 13 | (uint)(Ways - 1) << 3 | 2;

    /// <summary>Cortex-A57 (TRM 6.1): 48 KiB of instructions, 32 KiB of data; the cores of a cluster share 2 MiB.</summary>
    public static IReadOnlyList<CpuCache> CortexA57 { get; } =
        [new(1, CacheKind.Instruction, 256, 3), new(1, CacheKind.Data, 256, 2), new(2, CacheKind.Unified, 2048, 16, Shared: true)];

    /// <summary>Cortex-A72 (TRM 6.1): as <see cref="CortexA57"/>, with 1 MiB.</summary>
    public static IReadOnlyList<CpuCache> CortexA72 { get; } =
        [new(1, CacheKind.Instruction, 256, 3), new(1, CacheKind.Data, 256, 2), new(2, CacheKind.Unified, 1024, 16, Shared: true)];

    /// <summary>
    /// Neoverse N1 (TRM A1.3) in a DynamIQ cluster: 64 KiB and 64 KiB, and 1 MiB for each core; the cores of a cluster share 4 MiB.
    /// </summary>
    public static IReadOnlyList<CpuCache> NeoverseN1 { get; } =
    [
        new(1, CacheKind.Instruction, 256, 4), new(1, CacheKind.Data, 256, 4), new(2, CacheKind.Unified, 2048, 8),
        new(3, CacheKind.Unified, 4096, 16, Shared: true),
    ];
}
