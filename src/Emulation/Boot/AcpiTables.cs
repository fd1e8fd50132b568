using Vmm.Acpi;
using Vmm.Acpi.Aml;
using Vmm.Acpi.Tables;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices.CpuHotplug;
using Vmm.Emulation.Devices.FwCfg;
using Vmm.Emulation.Devices.Ged;
using Vmm.Emulation.Devices.Pl011;

namespace Vmm.Emulation.Boot;

/// <summary>The ACPI tables of a machine.</summary>
public static class AcpiTables
{
    public static AcpiTableSet Build(MachineConfig config, ulong address) => new(address, Dsdt(config), Fadt.Build, Others(config));

    private static AcpiTable Dsdt(MachineConfig config) => new(
        "DSDT",
        2,
        Asl.Scope(
            @"\_SB",
            Pl011Aml.Describe((uint)VirtMemoryMap.Uart.Value, (uint)VirtMemoryMap.UartSize, Gsiv(VirtInterruptMap.Uart)),
            FwCfgAml.Describe((uint)VirtMemoryMap.FwCfg.Value, (uint)VirtMemoryMap.FwCfgSize),
            GedAml.Describe(VirtMemoryMap.Ged.Value, Gsiv(VirtInterruptMap.Ged), CpuHotplugAml.ScanMethod),
            GedAml.DescribePowerButton(),
            CpuHotplugAml.DescribeBlock(VirtMemoryMap.CpuHotplug.Value, VirtMemoryMap.CpuHotplugSize),
            CpuHotplugAml.DescribeCpus(config.PossibleCpus)));

    private static IEnumerable<AcpiTable> Others(MachineConfig config)
    {
        yield return Madt.Build(
            VirtMemoryMap.GicDistributor.Value,
            [.. Enumerable.Range(0, config.PossibleCpus).Select(i => new MadtCpu(Mpidr.FromIndex(new CpuIndex(i)).Affinity, State(config, i)))],
            RedistributorRanges(config),
            Gsiv(VirtInterruptMap.Pmu),
            Gsiv(VirtInterruptMap.VirtualGicMaintenance));
        yield return Gtdt.Build(
            Gsiv(VirtInterruptMap.SecurePhysicalTimer),
            Gsiv(VirtInterruptMap.PhysicalTimer),
            Gsiv(VirtInterruptMap.VirtualTimer),
            Gsiv(VirtInterruptMap.HypervisorTimer));
        yield return Spcr.Build(VirtMemoryMap.Uart.Value, Gsiv(VirtInterruptMap.Uart));
        yield return Dbg2.Build(VirtMemoryMap.Uart.Value, (uint)VirtMemoryMap.UartSize, @"\_SB.COM0");
        CpuTopology topology = config.Topology;
        yield return Pptt.Build(topology.Sockets, topology.Clusters, topology.Cores, topology.Threads, [.. config.Cpu.Caches.Select(Describe)]);
    }

    private static PpttCache Describe(CpuCache cache) => new(cache.Level, cache.Kind switch
    {
        CacheKind.Data => PpttCacheType.Data,
        CacheKind.Instruction => PpttCacheType.Instruction,
        _ => PpttCacheType.Unified,
    }, cache.Sets, cache.Ways, CpuCache.LineBytes, cache.Shared);

    private static GiccState State(MachineConfig config, int cpu) =>
        cpu == 0 || (cpu < config.EnabledCpus && !config.ColdPluggedCpusOnlineCapable) ? GiccState.Enabled : GiccState.OnlineCapable;

    private static IEnumerable<(ulong Address, uint Length)> RedistributorRanges(MachineConfig config)
    {
        int low = Math.Min(config.PossibleCpus, VirtMemoryMap.GicRedistributorCount);
        yield return (VirtMemoryMap.GicRedistributor.Value, (uint)((ulong)low * VirtMemoryMap.GicRedistributorStride));
        if (config.PossibleCpus > low)
        {
            yield return (VirtMemoryMap.GicRedistributorHigh.Value, (uint)((ulong)(config.PossibleCpus - low) * VirtMemoryMap.GicRedistributorStride));
        }
    }

    private static uint Gsiv(IntId id) => (uint)id.Value;
}
