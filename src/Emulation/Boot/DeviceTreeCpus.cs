using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices;
using PlacedCpu = (Vmm.Emulation.Boards.CpuLocation At, uint Handle);

namespace Vmm.Emulation.Boot;

/// <summary>
/// The node /cpus. It lists only the enabled CPUs, because without ACPI the others cannot be plugged. For kernels without ACPI it also has
/// the topology and the caches of the CPUs (Devicetree Specification 0.4, 3.8 and 3.9; Linux,
/// Documentation/devicetree/bindings/cpu/cpu-topology.txt).
/// </summary>
internal static class DeviceTreeCpus
{
    // The first phandle of CPUs, which are numbered by index. Caches of a level are numbered by the core or cluster that has them.
    private const uint CpuHandle = 0x1_0000;
    private const uint CacheHandle = 0x2_0000;
    private const int HandlesOfLevel = 0x1_0000;

    public static void Add(Fdt cpus, MachineConfig config)
    {
        cpus.Cells("#address-cells", 1).Cells("#size-cells", 0);
        for (int i = 0; i < config.EnabledCpus; i++)
        {
            var index = new CpuIndex(i);
            ulong affinity = Mpidr.FromIndex(index).Affinity;
            cpus.Node($"cpu@{affinity:x}", cpu =>
            {
                cpu.Text("device_type", "cpu").Text("compatible", "arm,armv8").Cells("reg", (uint)affinity).Text("enable-method", "psci");
                if (!config.Acpi)
                {
                    cpu.Cells("phandle", CpuHandle + (uint)i);
                    FirstLevel(cpu, config, index);
                }
            });
        }

        if (!config.Acpi)
        {
            Caches(cpus, config);
            Map(cpus, config);
        }
    }

    private static void FirstLevel(Fdt cpu, MachineConfig config, CpuIndex index)
    {
        foreach (CpuCache cache in config.Cpu.Caches.Where(c => c.Level == 1))
        {
            Shape(cpu, cache, cache.Kind == CacheKind.Instruction ? "i-" : "d-");
        }

        Next(cpu, config, index, 1);
    }

    // Adds a node for each unified cache.
    private static void Caches(Fdt cpus, MachineConfig config)
    {
        foreach (CpuCache cache in config.Cpu.Caches.Where(c => c.Level > 1))
        {
            foreach (CpuIndex cpu in Enumerable.Range(0, config.EnabledCpus).Select(i => new CpuIndex(i))
                .DistinctBy(i => Owner(cache, config.Topology, i)))
            {
                cpus.Node($"l{cache.Level}-cache{Owner(cache, config.Topology, cpu)}", node =>
                {
                    node.Text("compatible", "cache").Cells("cache-level", (uint)cache.Level)
                        .Flag("cache-unified").Cells("phandle", Handle(cache, config.Topology, cpu));
                    Shape(node, cache, "");
                    Next(node, config, cpu, cache.Level);
                });
            }
        }
    }

    private static void Shape(Fdt node, CpuCache cache, string prefix) => node
        .Cells($"{prefix}cache-size", (uint)cache.Bytes).Cells($"{prefix}cache-line-size", CpuCache.LineBytes)
        .Cells($"{prefix}cache-sets", (uint)cache.Sets);

    private static void Next(Fdt node, MachineConfig config, CpuIndex cpu, int level)
    {
        if (config.Cpu.Caches.FirstOrDefault(c => c.Level == level + 1) is { } next)
        {
            node.Cells("next-level-cache", Handle(next, config.Topology, cpu));
        }
    }

    private static uint Handle(CpuCache cache, CpuTopology topology, CpuIndex cpu) =>
        CacheHandle + (uint)((cache.Level * HandlesOfLevel) + Owner(cache, topology, cpu));

    // The number of the core or cluster that has the cache.
    private static int Owner(CpuCache cache, CpuTopology topology, CpuIndex cpu) =>
        cpu.Value / (cache.Shared ? topology.Threads * topology.Cores : topology.Threads);

    private static void Map(Fdt cpus, MachineConfig config) => cpus.Node("cpu-map", map =>
    {
        PlacedCpu[] all = [.. Enumerable.Range(0, config.EnabledCpus)
            .Select(i => (config.Topology.Locate(new CpuIndex(i)), CpuHandle + (uint)i))];
        foreach (IGrouping<int, PlacedCpu> socket in all.GroupBy(c => c.At.Socket))
        {
            map.Node($"socket{socket.Key}", package =>
            {
                foreach (IGrouping<int, PlacedCpu> cluster in socket.GroupBy(c => c.At.Cluster))
                {
                    package.Node($"cluster{cluster.Key}", cores =>
                    {
                        foreach (IGrouping<int, PlacedCpu> core in cluster.GroupBy(c => c.At.Core))
                        {
                            cores.Node($"core{core.Key}", node => Threads(node, config.Topology.Threads, core));
                        }
                    });
                }
            });
        }
    });

    private static void Threads(Fdt core, int threads, IEnumerable<PlacedCpu> cpus)
    {
        foreach ((CpuLocation at, uint handle) in cpus)
        {
            if (threads == 1)
            {
                core.Cells("cpu", handle);
            }
            else
            {
                core.Node($"thread{at.Thread}", thread => thread.Cells("cpu", handle));
            }
        }
    }
}
