using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Tests;
using Vmm.Host.Guest;

namespace Vmm.Guest.Tests;

/// <summary>What the kernel makes of what the CPUs say they are and have.</summary>
public sealed class CpuDescriptionTests
{
    // Level, type, size and who shares it, of all caches of a CPU.
    private static string Caches(int cpu) =>
        $"cd /sys/devices/system/cpu/cpu{cpu}/cache; for i in index*; do echo $(cat $i/level $i/type $i/size $i/shared_cpu_list); done";

    [Fact]
    public async Task Caches_are_private_to_cores_and_shared_by_clusters()
    {
        await using ShellVm vm = await BootAsync("max", new CpuTopology(2, 2, 1, 2));
        Assert.Equal("1 Data 64K 0-1\n1 Instruction 64K 0-1\n2 Unified 1024K 0-1\n3 Unified 4096K 0-1", await vm.Shell.RunAsync(Caches(0)));
        Assert.Equal("1 Data 64K 6-7\n1 Instruction 64K 6-7\n2 Unified 1024K 6-7\n3 Unified 4096K 6-7", await vm.Shell.RunAsync(Caches(7)));
        await vm.PowerOffAsync();
    }

    [Fact]
    public async Task Caches_are_private_to_cores_and_shared_by_sockets_and_the_log_has_no_complaint()
    {
        await using ShellVm vm = await BootAsync("neoverse-n1", new CpuTopology(2, 1, 2, 1));
        Assert.Equal("1 Data 64K 1\n1 Instruction 64K 1\n2 Unified 1024K 1\n3 Unified 4096K 0-1", await vm.Shell.RunAsync(Caches(1)));
        Assert.Equal("1 Data 64K 2\n1 Instruction 64K 2\n2 Unified 1024K 2\n3 Unified 4096K 2-3", await vm.Shell.RunAsync(Caches(2)));
        Assert.Equal("", await vm.Shell.RunAsync("dmesg | grep -iE 'setend|lack of seed|cache hierarchy'"));
        await vm.PowerOffAsync();
    }

    [Fact]
    public async Task Device_tree_tells_the_same()
    {
        await using ShellVm vm = await BootAsync("max", new CpuTopology(2, 1, 2, 1), acpi: false);
        Assert.Equal("1 Data 64K 2\n1 Instruction 64K 2\n2 Unified 1024K 2\n3 Unified 4096K 2-3", await vm.Shell.RunAsync(Caches(2)));
        Assert.Equal("1 0", await vm.Shell.RunAsync("cd ../topology; echo $(cat physical_package_id core_id)"));
        await vm.PowerOffAsync();
    }

    /// <summary>What Linux finds in <c>max</c> of QEMU 10 without SME it finds in ours.</summary>
    [Fact]
    public async Task Max_has_the_features_of_QEMU()
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        string[] machine =
        [
            "-machine", "virt,gic-version=3,mte=on", "-m", "300M", "-kernel", files.Kernel, "-initrd", files.Initramfs,
            "-append", TestGuest.Patient, "-nodefaults", "-display", "none", "-serial", "stdio",
        ];
        string[] theirs = await FeaturesAsync([.. RecentQemu.System, "-audio", "none", "-cpu", "max,sme=off", .. machine]);
        string[] ours = await FeaturesAsync(["dotnet", VmmProcess.Program, "-cpu", "max", .. machine]);
        Assert.Contains("mte3", theirs);
        Assert.Empty(theirs.Except(ours));
    }

    private static async Task<string[]> FeaturesAsync(string[] command)
    {
        await using ProcessGuest guest = await ProcessGuest.StartAsync(command);
        string line = await guest.Shell.RunAsync("grep -m 1 Features /proc/cpuinfo");
        return line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[2..];
    }

    private static async Task<ShellVm> BootAsync(string cpu, CpuTopology topology, bool acpi = true)
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        var boot = new BootConfig(await File.ReadAllBytesAsync(files.Kernel), await File.ReadAllBytesAsync(files.Initramfs), "");
        ShellVm vm =
            await ShellVm.StartAsync(new MachineConfig(CpuModel.Find(cpu)!, topology.Count, topology, 300 << 20, boot) { Acpi = acpi });
        await vm.AwaitShellAsync();
        return vm;
    }
}
