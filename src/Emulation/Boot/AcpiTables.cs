using Vmm.Acpi;
using Vmm.Acpi.Aml;
using Vmm.Acpi.Tables;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.InterruptController;
using Vmm.Emulation.Interrupts.GicV3;

namespace Vmm.Emulation.Boot;

/// <summary>The ACPI tables of a machine.</summary>
public static class AcpiTables
{
    /// <param name="board">The board. Its devices add their parts of the tables.</param>
    /// <param name="address">Guest physical address of the first byte.</param>
    public static AcpiTableSet Build(IBoard board, ulong address)
    {
        var devices = new Sink();
        foreach (PlacedDevice placed in board.Devices)
        {
            placed.Device.Describe(devices, placed.At);
        }

        MachineConfig config = board.Config;
        CpuTopology topology = config.Topology;
        return new AcpiTableSet(
            address,
            new AcpiTable("DSDT", 2, Asl.Scope(@"\_SB", [.. devices.Objects])),
            Fadt.Build,
            [
                Apic(board),
                Timers(board.Map.CpuInterrupts),
                .. devices.Tables,
                Pptt.Build(topology.Sockets, topology.Clusters, topology.Cores, topology.Threads, [.. config.Cpu.Caches.Select(Describe)]),
            ]);
    }

    private static AcpiTable Apic(IBoard board) => Madt.Build(
        board.Map.Distributor.Value,
        [.. Enumerable.Range(0, board.Config.PossibleCpus).Select(i => Cpu(board.Config, i))],
        board.Map.SpreadRedistributors(board.Config.PossibleCpus)
            .Select(r => (r.Address.Value, (uint)((ulong)r.Count * GicSpec.RedistributorStride))),
        board.Devices.FirstOrDefault(d => d.Device is ItsDevice)?.At.Address,
        board.Devices.Select(d => d.Device).OfType<GicV2mFrame>().FirstOrDefault()?.Entry,
        board.Config.Cpu.Has(Feature.Pmuv3) ? Gsiv(board.Map.CpuInterrupts.Pmu) : 0,
        Gsiv(board.Map.CpuInterrupts.VirtualGicMaintenance));

    private static AcpiTable Timers(CpuInterrupts interrupts) => Gtdt.Build(
        Gsiv(interrupts.SecurePhysicalTimer),
        Gsiv(interrupts.PhysicalTimer),
        Gsiv(interrupts.VirtualTimer),
        Gsiv(interrupts.HypervisorTimer));

    private static PpttCache Describe(CpuCache cache) => new(cache.Level, cache.Kind switch
    {
        CacheKind.Data => PpttCacheType.Data,
        CacheKind.Instruction => PpttCacheType.Instruction,
        _ => PpttCacheType.Unified,
    }, cache.Sets, cache.Ways, CpuCache.LineBytes, cache.Shared);

    private static MadtCpu Cpu(MachineConfig config, int cpu) => new(Mpidr.FromIndex(new CpuIndex(cpu)).Affinity, State(config, cpu));

    private static GiccState State(MachineConfig config, int cpu) =>
        cpu == 0 || (cpu < config.EnabledCpus && !config.ColdPluggedCpusOnlineCapable) ? GiccState.Enabled : GiccState.OnlineCapable;

    private static uint Gsiv(IntId id) => (uint)id.Value;

    private sealed class Sink : IAmlSink
    {
        public List<byte[]> Objects { get; } = [];

        public List<AcpiTable> Tables { get; } = [];

        public void Add(byte[] aml) => Objects.Add(aml);

        public void AddTable(AcpiTable table) => Tables.Add(table);
    }
}
