using System.Diagnostics;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu;

namespace Vmm.Emulation.Tests.Boot;

/// <summary>The device tree, judged by the device tree compiler (Debian's device-tree-compiler).</summary>
public sealed class DeviceTreeTests
{
    private static readonly MachineConfig s_config =
        new(CpuModel.Find("max")!, 2, new CpuTopology(1, 1, 4, 1), 512 << 20, new BootConfig(new byte[64], null, "console=ttyAMA0"))
        { Acpi = false };

    [Fact]
    public void Tree_has_every_device_and_the_enabled_cpus_and_dtc_warns_of_nothing()
    {
        (string source, string warnings) = Decompile(DeviceTree.Build(new VirtBoard(s_config), (0x4400_0000, 0x4500_0000)));
        Assert.Equal("", warnings);
        string[] nodes =
        [
            "chosen", "memory@40000000", "psci", "timer", "intc@8000000", "pl011@9000000", "pl031@9010000",
            "cpu@0", "cpu@1", "fw-cfg@9020000", "pl061@9030000", "gpio-keys",
        ];
        Assert.All(nodes, node => Assert.Contains($"{node} {{", source, StringComparison.Ordinal));
        Assert.DoesNotContain("cpu@2 {", source, StringComparison.Ordinal);
        Assert.Contains("bootargs = \"console=ttyAMA0\"", source, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 1, 4, 1)]
    [InlineData(2, 2, 1, 2)]
    [InlineData(1, 1, 512, 1)]
    public void Tree_has_the_topology_and_the_caches_and_dtc_warns_of_nothing(int sockets, int clusters, int cores, int threads)
    {
        var topology = new CpuTopology(sockets, clusters, cores, threads);
        byte[] tree = DeviceTree.Build(new VirtBoard(s_config with { Topology = topology, EnabledCpus = topology.Count }), null);
        Assert.InRange(tree.Length, 0, 1 << 20);
        (string source, string warnings) = Decompile(tree);
        Assert.Equal("", warnings);
        int Count(string text) => source.Split(text).Length - 1;
        Assert.Equal((sockets, sockets * clusters, sockets * clusters * cores), (Count("\tsocket"), Count("\tcluster"), Count("\tcore")));
        Assert.Equal(threads > 1 ? topology.Count : 0, Count("\tthread"));
        Assert.Equal((sockets * clusters * cores, sockets * clusters), (Count("\tl2-cache"), Count("\tl3-cache")));
        Assert.Equal(topology.Count, Count("\td-cache-size"));
        Assert.Equal(topology.Count + (sockets * clusters * cores), Count("next-level-cache"));
    }

    [Fact]
    public void Tree_for_firmware_has_flash_and_with_ACPI_no_power_button_and_dtc_warns_of_nothing()
    {
        MachineConfig config = s_config with
        {
            Acpi = true,
            Firmware = new FirmwareConfig(new FlashImage(default, true), new FlashImage(default, false)),
        };
        (string source, string warnings) = Decompile(DeviceTree.Build(new VirtBoard(config), null));
        Assert.Equal("", warnings);
        Assert.Contains("flash@0 {", source, StringComparison.Ordinal);
        Assert.DoesNotContain("pl061", source, StringComparison.Ordinal);

        // Where there are ACPI tables, they tell the topology.
        Assert.DoesNotContain("cpu-map", source, StringComparison.Ordinal);
    }

    [Fact]
    public void Seeds_differ_in_each_tree()
    {
        (string first, _) = Decompile(DeviceTree.Build(new VirtBoard(s_config), null));
        (string second, _) = Decompile(DeviceTree.Build(new VirtBoard(s_config), null));
        Assert.Contains("kaslr-seed", first, StringComparison.Ordinal);
        Assert.Contains("rng-seed", first, StringComparison.Ordinal);
        Assert.NotEqual(first, second);
    }

    [Fact]
    public void Without_randomness_trees_have_no_seeds_and_repeat()
    {
        MachineConfig config = s_config with { DtbRandomness = false };
        byte[] tree = DeviceTree.Build(new VirtBoard(config), null);
        Assert.DoesNotContain("seed", Decompile(tree).Source, StringComparison.Ordinal);
        Assert.Equal(tree, DeviceTree.Build(new VirtBoard(config), null));
    }

    private static (string Source, string Warnings) Decompile(byte[] tree)
    {
        var start = new ProcessStartInfo("dtc", ["-I", "dtb", "-O", "dts"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process dtc = Process.Start(start)!;
        Task<string> warnings = dtc.StandardError.ReadToEndAsync();
        Task<string> source = dtc.StandardOutput.ReadToEndAsync();
        dtc.StandardInput.BaseStream.Write(tree);
        dtc.StandardInput.Close();
        dtc.WaitForExit();
        return (source.Result, warnings.Result);
    }
}
