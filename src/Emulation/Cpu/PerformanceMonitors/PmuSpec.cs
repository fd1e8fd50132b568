using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu.PerformanceMonitors;

/// <summary>Where the figures of an event come from.</summary>
internal enum PmuSource
{
    /// <summary>Nowhere: the event never happens here, or is none.</summary>
    None,
    Instructions,
    Cycles,
    DataTlbRefills,
    InstructionTlbRefills,
    Branches,
    ExceptionsTaken,
    ExceptionReturns,
}

/// <summary>Fields and events of the Performance Monitors Extension (Arm ARM D13, D24.5).</summary>
internal static class PmuSpec
{
    /// <summary>PMCR_EL0.N: the event counters, as on the CPUs that the models are named after.</summary>
    public const int EventCounters = 6;

    /// <summary>The bit of the cycle counter in the masks of counters, and its number in PMSELR_EL0.</summary>
    public const int CycleCounter = 31;

    /// <summary>The bits of all counters that there are.</summary>
    public const uint AllCounters = (1u << CycleCounter) | ((1u << EventCounters) - 1);

    /// <summary>Cycles of one tick of the generic timer's counter: a vCPU has 10^9 a second, as in QEMU.</summary>
    public const ulong CyclesPerTick = 1_000_000_000 / Timers.VirtualClock.Frequency;

    // PMCR_EL0.
    public const ulong Enable = 1ul << 0;
    public const ulong ResetEvents = 1ul << 1;
    public const ulong ResetCycles = 1ul << 2;
    public const ulong ExportEvents = 1ul << 4;
    public const ulong DisableProhibited = 1ul << 5;

    /// <summary>PMCR_EL0.LC: RES1 without AArch32, so the cycle counter overflows from 64 bits.</summary>
    public const ulong LongCycles = 1ul << 6;

    /// <summary>PMCR_EL0.LP, of FEAT_PMUv3p5: event counters overflow from 64 bits.</summary>
    public const ulong LongEvents = 1ul << 7;

    // PMEVTYPER<n>_EL0 and PMCCFILTR_EL0.
    public const uint ExcludeEl1 = 1u << 31;
    public const uint ExcludeEl0 = 1u << 30;

    // PMUSERENR_EL0.
    public const ulong UserAll = 1ul << 0;
    public const ulong UserIncrement = 1ul << 1;
    public const ulong UserCycles = 1ul << 2;
    public const ulong UserEvents = 1ul << 3;

    // Events.
    public const uint SoftwareIncrement = 0x00;
    public const uint Chain = 0x1E;

    // The events that there are. Nothing here waits for a pipeline, so the stalls of FEAT_PMUv3p1 and FEAT_PMUv3p4 never happen.
    private static readonly (uint Event, PmuSource Source, Feature Feature)[] s_events =
    [
        (SoftwareIncrement, PmuSource.None, Feature.Pmuv3),
        (0x02, PmuSource.InstructionTlbRefills, Feature.Pmuv3), // L1I_TLB_REFILL
        (0x05, PmuSource.DataTlbRefills, Feature.Pmuv3), // L1D_TLB_REFILL
        (0x08, PmuSource.Instructions, Feature.Pmuv3), // INST_RETIRED
        (0x09, PmuSource.ExceptionsTaken, Feature.Pmuv3), // EXC_TAKEN
        (0x0A, PmuSource.ExceptionReturns, Feature.Pmuv3), // EXC_RETURN
        (0x11, PmuSource.Cycles, Feature.Pmuv3), // CPU_CYCLES
        (Chain, PmuSource.None, Feature.Pmuv3),
        (0x21, PmuSource.Branches, Feature.Pmuv3), // BR_RETIRED
        (0x23, PmuSource.None, Feature.Pmuv3p1), // STALL_FRONTEND
        (0x24, PmuSource.None, Feature.Pmuv3p1), // STALL_BACKEND
        (0x3C, PmuSource.None, Feature.Pmuv3p5), // STALL
    ];

    public static PmuSource SourceOf(uint type) => Array.Find(s_events, e => e.Event == EventOf(type)).Source;

    public static uint EventOf(uint type) => type & 0xFFFF;

    /// <summary>PMCEID0_EL0 for 0, PMCEID1_EL0 for 1: the common events, a bit each.</summary>
    public static ulong EventsOf(CpuModel model, int register) => s_events
        .Where(e => e.Event / 32 == register && model.Has(e.Feature))
        .Aggregate(0ul, (all, e) => all | (1ul << (int)(e.Event % 32)));
}
