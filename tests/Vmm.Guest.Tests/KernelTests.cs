using System.Text;
using Vmm.Emulation.Boards;
using Vmm.Host.Demo;
using Vmm.Host.Guest;
using Vmm.Host.Options;

namespace Vmm.Guest.Tests;

/// <summary>
/// The scenario on other kernels than stable's: Linux 7.2 and later have CPUs <c>present</c> only that the firmware has enabled or that
/// were plugged, where older ones have all possible CPUs present.
/// </summary>
public sealed class KernelTests
{
    private const string Bios = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd";

    [Fact]
    public Task Hotplug_scenario_holds_on_the_newest_kernel() => AssertScenarioAsync(TestGuest.Newest, firmware: null, rounds: 3);

    [LongTheory]
    [InlineData("trixie", null, null)]
    [InlineData("bookworm-backports", null, null)]
    [InlineData("trixie-backports", "7.0", null)]
    [InlineData("trixie-backports", "7.0", Bios)]
    [InlineData("trixie-backports", null, null)]
    [InlineData("trixie-backports", null, Bios)]
    [InlineData("sid", null, null)]
    [InlineData("sid", null, Bios)]
    public Task Hotplug_scenario_holds_on_each_kernel(string suite, string? release, string? firmware) =>
        AssertScenarioAsync(new GuestKernel(Suite: suite, Release: release), firmware, rounds: 20);

    /// <summary>Another init, whose shell has another prompt and shows what the kernel says.</summary>
    [Fact]
    public async Task Demo_takes_a_kernel_and_an_initial_RAM_disk_of_the_user()
    {
        const string Init = "#!/bin/busybox sh\nbusybox mount -t proc p /proc\nbusybox mount -t sysfs s /sys\nbusybox --install -s "
            + "/bin\nPS1='/ # ' setsid cttyhack sh\n";
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        var archive = new CpioArchive();
        archive.AddFile("init", Encoding.ASCII.GetBytes(Init), 0x1ED);
        string initrd = Path.GetTempFileName();
        try
        {
            await File.WriteAllBytesAsync(initrd, [.. await File.ReadAllBytesAsync(files.Initramfs), .. archive.ToArray()]);
            (int exit, string output, string errors) = await VmmProcess.RunAsync(["demo", "--kernel", files.Kernel, "--initrd", initrd]);
            Assert.True(exit == 0, output + errors);
            Assert.Contains($"-kernel {files.Kernel} -initrd {initrd} ", output, StringComparison.Ordinal);
            Assert.Contains("checks hold", output, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(initrd);
        }
    }

    [Fact]
    public async Task Demo_with_a_kernel_that_is_not_there_is_one_line()
    {
        (int exit, _, string errors) = await VmmProcess.RunAsync(["demo", "--kernel", "/no/such/Image"]);
        Assert.Equal(1, exit);
        Assert.Matches("^vmm: .*/no/such/Image.*\n$", errors);
    }

    private static async Task AssertScenarioAsync(GuestKernel kernel, string? firmware, int rounds)
    {
        GuestFiles files = TestGuest.Files(kernel);
        IReadOnlyList<string> line =
            CoverLetter.LaunchLine(files.Kernel, files.Initramfs, Accelerators.CanTranslate ? "jit" : "interp", firmware);
        var said = new List<string>();
        IReadOnlyList<Finding> findings = await HotplugScenario.RunAsync(CommandLine.Parse(line).Machine.ToConfig(), rounds, said.Add);
        string release = TestGuest.ReleaseOf(await File.ReadAllBytesAsync(files.Kernel));
        Assert.Contains(said, s => s.Contains(release, StringComparison.Ordinal));
        Assert.True(findings.Count > 30);
        Assert.All(findings, f => Assert.Equal(f.Expected, f.Seen));

        // The rule of each kernel, whatever the scenario took for it.
        bool all = Version.Parse(release.Split('+', '-')[0]) < new Version(7, 2);
        Assert.Equal($"present:{(all ? "0-5" : "0-3")}", findings.First(f => f.What == "before: present").Seen);
    }
}
