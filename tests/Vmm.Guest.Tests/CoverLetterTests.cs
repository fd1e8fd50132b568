using System.Diagnostics;
using Vmm.Emulation.Boards;
using Vmm.Host.Demo;
using Vmm.Host.Guest;
using Vmm.Host.Options;
using Vmm.Tests;

namespace Vmm.Guest.Tests;

/// <summary>A user of QEMU's series types what its cover letter says, and gets what it says.</summary>
public sealed class CoverLetterTests
{
    private const string Bios = "QEMU_EFI.fd";

    private static IReadOnlyList<string> Line(string? firmware, string engine = "kvm:jit")
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        return CoverLetter.LaunchLine(files.Kernel, files.Initramfs, engine, firmware);
    }

    [Theory]
    [InlineData(null)]
    [InlineData(Bios)]
    public async Task Launch_line_and_monitor_lines_give_the_sample_outputs(string? firmware)
    {
        MachineConfig config = CommandLine.Parse(Line(firmware)).Machine.ToConfig();
        IReadOnlyList<Finding> findings = await HotplugScenario.RunAsync(config, rounds: 0, _ => { });
        Assert.True(findings.Count > 30);
        Assert.All(findings, f => Assert.Equal(f.Expected, f.Seen));
    }

    [Fact]
    public async Task Enable_kvm_names_the_choice_in_one_line()
    {
        (int code, string answer, string errors) = await VmmProcess.RunAsync(["--enable-kvm", .. Line(null).Skip(2)]);
        Assert.Equal((1, "", "vmm: there is no KVM for Arm guests here: use -accel jit (kvm:jit falls back to it)\n"),
            (code, answer, errors));
    }

    /// <summary>The program with its terminal: Ctrl-A c goes to the monitor and back.</summary>
    [Fact]
    public async Task Person_at_the_terminal_plugs_and_unplugs()
    {
        using Process vmm = VmmProcess.Start(Line(Bios));
        try
        {
            var shell = new GuestShell(bytes =>
            {
                vmm.StandardInput.BaseStream.Write(bytes);
                vmm.StandardInput.BaseStream.Flush();
            }) { Patience = Patience.Limit };
            Task pump = Pump(vmm.StandardOutput.BaseStream, shell);
            await shell.UntilAsync(Initramfs.Banner);
            await shell.PromptAsync();
            await shell.RunAsync("dmesg -n 1; stty cols 200; cd /sys/devices/system/cpu");
            Assert.Equal("0-5\n0-5\n0-3\n0-1\n2-5", await shell.RunAsync("cat possible present enabled online offline"));

            await Monitor(shell, CoverLetter.Plug, "plug of core4 (CPU 4): done");
            Assert.Equal("", await shell.RunAsync("echo 1 > cpu4/online"));
            Assert.Equal("0-5\n0-5\n0-4\n0-1,4\n2-3,5", await shell.RunAsync("cat possible present enabled online offline"));

            await Monitor(shell, CoverLetter.Unplug, "unplug of core4 (CPU 4): done");
            Assert.Equal("0-5\n0-5\n0-3\n0-1\n2-5", await shell.RunAsync("cat possible present enabled online offline"));
            shell.Type("poweroff -f");
            await vmm.WaitForExitAsync().WaitAsync(Patience.Limit);
            await pump;
            Assert.Equal(0, vmm.ExitCode);
        }
        finally
        {
            if (!vmm.HasExited)
            {
                vmm.Kill();
            }
        }
    }

    private static async Task Monitor(GuestShell shell, string line, string answer)
    {
        shell.Send("\u0001c");
        await shell.UntilAsync("(vmm) ");
        shell.Type(line);
        await shell.UntilAsync(answer);
        shell.Send("\u0001c");
        shell.Type("");
        await shell.PromptAsync();
    }

    private static async Task Pump(Stream output, GuestShell shell)
    {
        byte[] buffer = new byte[4096];
        int read;
        while ((read = await output.ReadAsync(buffer)) > 0)
        {
            shell.Receive(buffer.AsMemory(0, read));
        }

        shell.End("the program has ended");
    }
}
