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
    /// one, and log2 of the words of a line less two. The wide form (FEAT_CCIDX) has no policy, and the sets in the upper half.
    /// </summary>
    public ulong Ccsidr(bool wide) => ((ulong)(Ways - 1) << 3) | 2
        | (wide ? (ulong)(Sets - 1) << 32 : ((Kind == CacheKind.Instruction ? 2ul : 7) << 28) | ((ulong)(Sets - 1) << 13));

    /// <summary>Cortex-A53 (TRM 6.1, with the ways that QEMU has): 32 KiB and 32 KiB; the cores of a cluster share 1 MiB.</summary>
    public static IReadOnlyList<CpuCache> CortexA53 { get; } =
        [new(1, CacheKind.Instruction, 512, 1), new(1, CacheKind.Data, 128, 4), new(2, CacheKind.Unified, 1024, 16, Shared: true)];

    /// <summary>Cortex-A55 (TRM A1.2): 32 KiB and 32 KiB; 512 KiB as in QEMU.</summary>
    public static IReadOnlyList<CpuCache> CortexA55 { get; } =
        [new(1, CacheKind.Instruction, 128, 4), new(1, CacheKind.Data, 128, 4), new(2, CacheKind.Unified, 512, 16)];

    /// <summary>Cortex-A57 (TRM 6.1): 48 KiB of instructions, 32 KiB of data; the cores of a cluster share 2 MiB.</summary>
    public static IReadOnlyList<CpuCache> CortexA57 { get; } =
        [new(1, CacheKind.Instruction, 256, 3), new(1, CacheKind.Data, 256, 2), new(2, CacheKind.Unified, 2048, 16, Shared: true)];

    /// <summary>Cortex-A72 (TRM 6.1): as <see cref="CortexA57"/>, with 1 MiB.</summary>
    public static IReadOnlyList<CpuCache> CortexA72 { get; } =
        [new(1, CacheKind.Instruction, 256, 3), new(1, CacheKind.Data, 256, 2), new(2, CacheKind.Unified, 1024, 16, Shared: true)];

    /// <summary>Cortex-A76 (TRM A1.2), Cortex-A710 and Neoverse N2: 64 KiB and 64 KiB, and 512 KiB for each core.</summary>
    public static IReadOnlyList<CpuCache> CortexA76 { get; } =
        [new(1, CacheKind.Instruction, 256, 4), new(1, CacheKind.Data, 256, 4), new(2, CacheKind.Unified, 1024, 8)];

    /// <summary>
    /// Neoverse N1 (TRM A1.3) in a DynamIQ cluster: 64 KiB and 64 KiB, and 1 MiB for each core; the cores of a cluster share 4 MiB.
    /// </summary>
    public static IReadOnlyList<CpuCache> NeoverseN1 { get; } =
    [
        new(1, CacheKind.Instruction, 256, 4), new(1, CacheKind.Data, 256, 4), new(2, CacheKind.Unified, 2048, 8),
        new(3, CacheKind.Unified, 4096, 16, Shared: true),
    ];
}
