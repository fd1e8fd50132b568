using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Host.Guest;

namespace Vmm.Guest.Tests;

/// <summary>
/// Debian's kernel and a program with memory tags: faults as Linux tells them, on CPUs that come and go, after a snapshot's way of a move.
/// </summary>
public sealed class MemoryTaggingTests
{
    // SEGV_MTESERR is 9, SEGV_MTEAERR 8. A copy writes up to the first granule with another tag, which it names.
    private static readonly string[] s_synchronous = ["right 0,", "load 9 at 0,", "store 9 at 0,", "copy 9 at 64,"];

    [Theory]
    [InlineData(Accelerator.Interpreter)]
    [InlineData(Accelerator.Jit)]
    public async Task Linux_tells_of_wrong_tags(Accelerator accelerator)
    {
        await using ShellVm vm = await ShellVm.StartAsync(await ConfigAsync(true, 1, 1, accelerator));
        await vm.AwaitShellAsync();
        Assert.NotEqual("0", (await vm.Shell.RunAsync("grep -c ' mte mte3\\| mte .* mte3' /proc/cpuinfo")).Trim());
        await RunAsync(vm, 0);
        await vm.PowerOffAsync();
    }

    /// <summary>A CPU that was plugged, that came back, and one of a VM to which the guest moved with its tags.</summary>
    [Fact]
    public async Task Plugged_cpu_checks_tags_too_and_goes_on_after_a_move()
    {
        MachineConfig config = await ConfigAsync(true, 2, 3, Accelerators.Default);
        await using ShellVm vm = await ShellVm.StartAsync(config);
        await vm.AwaitShellAsync();
        await vm.PlugTwiceAsync(2, () => RunAsync(vm, 2));
        Func<ShellVm, Task<string>> goOn = await vm.BeginAsync("/tags 2", "wrong");
        await using ShellVm moved = await vm.MoveAsync(vm.Machine.Config);
        string text = await goOn(moved);
        Assert.Contains("again: " + string.Join(' ', s_synchronous), text);
        Assert.Equal(2, text.Split("wrong tags 0").Length - 1);
        await RunAsync(moved, 2);
        await moved.PowerOffAsync();
    }

    [Fact]
    public async Task Machine_without_tags_says_so()
    {
        await using ShellVm vm = await ShellVm.StartAsync(await ConfigAsync(false, 1, 1, Accelerators.Default));
        await vm.AwaitShellAsync();
        Assert.Contains("no mte", await vm.Shell.RunAsync("/tags 0"));
        await vm.PowerOffAsync();
    }

    private static async Task RunAsync(ShellVm vm, int cpu)
    {
        string text = await vm.Shell.RunAsync($"/tags {cpu}");
        Assert.Contains("sync: " + string.Join(' ', s_synchronous), text);
        Assert.Contains("async: right 0, load 8, store 8, copy 8,", text);
        Assert.Contains("irg fffe", text);
        Assert.Contains("wrong tags 0", text);
    }

    private static async Task<MachineConfig> ConfigAsync(bool tags, int enabled, int possible, Accelerator accelerator)
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        byte[] initramfs = [.. await File.ReadAllBytesAsync(files.Initramfs), .. TestGuest.BuildGuestProgram("tags")];
        var boot = new BootConfig(await File.ReadAllBytesAsync(files.Kernel), initramfs, TestGuest.Patient);
        CpuModel max = CpuModel.Find("max")!;
        return new MachineConfig(tags ? max.WithMemoryTags() : max, enabled, new CpuTopology(1, 1, possible, 1), 300 << 20, boot)
        {
            Accelerator = accelerator,
        };
    }
}
