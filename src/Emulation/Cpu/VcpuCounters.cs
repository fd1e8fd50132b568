namespace Vmm.Emulation.Cpu;

/// <summary>
/// The counters of one vCPU since it was made. They count on paths that are slow anyway. Owner: the thread of the vCPU. Any thread may read
/// them without a fence: each figure is whole and may be a little old, so sums need not agree to the last unit.
/// </summary>
internal sealed class VcpuCounters
{
    /// <summary>
    /// The number of times that translated code was left, by <see cref="Jit.ExitCounters"/>; null before the vCPU has run any.
    /// </summary>
    public long[]? Exits { get; set; }

    public long DataTlbFills { get; set; }

    public long InstructionTlbFills { get; set; }

    /// <summary>Pairs of translation tables for which a set of TLBs was made or emptied.</summary>
    public long ContextsMade { get; set; }

    /// <summary>TLBI instructions, by <see cref="Mmu.TlbScope"/>.</summary>
    public long[] TlbInvalidations { get; } = new long[4];

    /// <summary>TLBI instructions of other vCPUs that this one carried out.</summary>
    public long BroadcastsServed { get; set; }

    /// <summary>
    /// The number of times that other vCPUs had asked for more than the list holds, so that this one forgot all translations.
    /// </summary>
    public long BroadcastFlushes { get; set; }
}
