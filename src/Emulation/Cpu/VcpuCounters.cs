namespace Vmm.Emulation.Cpu;

/// <summary>
/// What one vCPU counts, on paths that are slow anyway, since it was made. Owner: its thread. Any thread reads, without a fence: each
/// figure is whole and may be a little old, so sums need not agree to the last unit.
/// </summary>
internal sealed class VcpuCounters
{
    /// <summary>How often translated code was left, by <see cref="Jit.ExitCounters"/>; null before the vCPU has run any.</summary>
    public long[]? Exits { get; set; }

    public long DataTlbFills { get; set; }

    public long InstructionTlbFills { get; set; }

    /// <summary>Pairs of translation tables for which a set of TLBs was made or emptied.</summary>
    public long ContextsMade { get; set; }

    /// <summary>TLBI instructions, by <see cref="Mmu.TlbScope"/>.</summary>
    public long[] TlbInvalidations { get; } = new long[4];

    /// <summary>TLBI instructions of other vCPUs that this one carried out.</summary>
    public long BroadcastsServed { get; set; }

    /// <summary>How often others had asked for more than it remembers, so that it forgot all translations.</summary>
    public long BroadcastFlushes { get; set; }
}
