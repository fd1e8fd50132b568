using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Host.Guest;

namespace Vmm.Guest.Tests;

/// <summary>A program uses SVE at each vector length under Debian's kernel, on CPUs that come and go, and across a move.</summary>
public sealed class ScalableVectorTests
{
    // The vector lengths in bytes that a CPU with all of them has.
    private const string AllLengths = "lengths 16 32 48 64 80 96 112 128 144 160 176 192 208 224 240 256; wrong 0";

    [Theory]
    [InlineData(Accelerator.Interpreter)]
    [InlineData(Accelerator.Jit)]
    public async Task Linux_gives_programs_the_lengths_that_the_cpu_has(Accelerator accelerator)
    {
        // 128, 256 and 512 bits: Linux takes the next one below.
        await using ShellVm vm = await ShellVm.StartAsync(await ConfigAsync(0b1011, 1, 1, accelerator));
        await vm.AwaitShellAsync();
        Assert.NotEqual("0", (await vm.Shell.RunAsync("grep -c ' sve .* sve2 ' /proc/cpuinfo")).Trim());
        Assert.Contains("lengths 16 32 (32) 64 (64)", await vm.Shell.RunAsync("/sve 0"));
        Assert.Contains("wrong 0", await vm.Shell.RunAsync("/sve 0"));
        await vm.PowerOffAsync();
    }

    /// <summary>Z, P and FFR of a program that computes while it moves come along.</summary>
    [Fact]
    public async Task Plugged_cpu_has_the_same_vectors_and_goes_on_after_a_move()
    {
        await using ShellVm vm = await ShellVm.StartAsync(await ConfigAsync(0xFFFF, 2, 3, Accelerators.Default));
        await vm.AwaitShellAsync();
        await vm.PlugTwiceAsync(2, async () => Assert.Contains(AllLengths, await vm.Shell.RunAsync("/sve 2")));
        Func<ShellVm, Task<string>> goOn = await vm.BeginAsync("/sve 2", "wrong");
        await using ShellVm moved = await vm.MoveAsync(vm.Machine.Config);
        string text = await goOn(moved);
        Assert.Contains(AllLengths, text);
        Assert.Contains("held wrong 0", text);
        Assert.Contains(AllLengths, await moved.Shell.RunAsync("/sve 2"));
        await moved.PowerOffAsync();
    }

    /// <param name="lengths">The vector lengths, bit n for (n + 1) × 128 bits.</param>
    private static async Task<MachineConfig> ConfigAsync(uint lengths, int enabled, int possible, Accelerator accelerator)
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        byte[] initramfs = [.. await File.ReadAllBytesAsync(files.Initramfs), .. TestGuest.BuildGuestProgram("sve")];
        var boot = new BootConfig(await File.ReadAllBytesAsync(files.Kernel), initramfs, TestGuest.Patient);
        CpuModel model = CpuModel.Find("max")!.WithScalable(lengths);
        return new MachineConfig(model, enabled, new CpuTopology(1, 1, possible, 1), 300 << 20, boot) { Accelerator = accelerator };
    }
}
