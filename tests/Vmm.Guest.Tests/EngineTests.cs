using Vmm.Emulation;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Host.Options;

namespace Vmm.Guest.Tests;

/// <summary>An unmodified Debian kernel, with its own ACPI interpreter, on the engine without actors.</summary>
public sealed class EngineTests
{
    private static MachineConfig Config(string cpu, int enabled, int possible, string commandLine) => new(
        CpuModel.Find(cpu)!,
        enabled,
        new CpuTopology(1, 1, possible, 1),
        300 << 20,
        new BootConfig(TestGuest.CloudKernel, TestGuest.BareInitrd, $"{TestGuest.Patient} {commandLine}"));

    [Theory]
    [InlineData("cortex-a57", 1)]
    [InlineData("neoverse-n1", 2)]
    [InlineData("max", 6)]
    public void Kernel_boots_with_acpi_to_the_first_process(string cpu, int cpus)
    {
        using var guest = new BareRunner(Config(cpu, cpus, cpus, "rdinit=/init"));
        guest.Start();
        guest.Expect("guest is up");
        Assert.Contains("ACPI: Interpreter enabled", guest.Console, StringComparison.Ordinal);
        AssertSets(guest, enabled: Range(cpus), online: Range(cpus), offline: "");
        PowerOff(guest);
    }

    [Theory]
    [InlineData(Accelerator.Jit, false)]
    [InlineData(Accelerator.Interpreter, false)]
    [InlineData(Accelerator.Jit, true)]
    public void Kernel_boots_while_its_RAM_arrives(Accelerator accelerator, bool firmware)
    {
        using var guest = new BareRunner(Config("max", 2, 2, "rdinit=/init acpi=force") with
        {
            Accelerator = accelerator,
            Firmware = firmware ? FirmwareOption.Open("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd", []) : null,
        });
        guest.Start(ramArrives: true);
        guest.Expect("guest is up");
        AssertSets(guest, enabled: "0-1", online: "0-1", offline: "");
        PowerOff(guest);
        Assert.True(guest.PagesAskedFor > 1000, $"{guest.PagesAskedFor} pages were asked for");
    }

    [Fact]
    public void Kernel_boots_with_a_device_tree()
    {
        using var guest = new BareRunner(Config("max", 2, 2, "rdinit=/init") with { Acpi = false });
        guest.Start();
        guest.Expect("guest is up");
        Assert.Contains("Machine model: linux,dummy-virt", guest.Console, StringComparison.Ordinal);
        AssertSets(guest, enabled: "0-1", online: "0-1", offline: "");
        PowerOff(guest);
    }

    [Fact]
    public void Kernel_boots_with_little_translated_code_mapped_twice()
    {
        using var guest = new BareRunner(
            Config("max", 2, 2, "rdinit=/init") with { Accelerator = Accelerator.Jit, DualMapping = true, TranslationBytes = 1 << 20 });
        guest.Start();
        guest.Expect("guest is up");
        AssertSets(guest, enabled: "0-1", online: "0-1", offline: "");
        Assert.True(guest.Machine.DescribeJit().CodeGivenUp() > 3, guest.Machine.DescribeJit());
        PowerOff(guest);
    }

    [Fact]
    public void Vcpu_is_plugged_into_the_running_guest_and_taken_out_again()
    {
        using var guest = new BareRunner(Config("cortex-a57", 4, 6, "maxcpus=2 rdinit=/init"));
        var cpu4 = new CpuIndex(4);
        guest.Start();
        guest.Expect("guest is up");
        AssertSets(guest, enabled: "0-3", online: "0-1", offline: "2-5");

        for (int round = 0; round < 3; round++)
        {
            guest.Plug(cpu4);
            guest.Type("write 1 /sys/devices/system/cpu/cpu4/online");
            guest.Expect("wrote 1");
            AssertSets(guest, enabled: "0-4", online: "0-1,4", offline: "2-3,5");
            guest.Type("pin 4");
            guest.Expect("pin 0 ran on cpu 4");
            Assert.True(TimerTicks(guest, column: 2) > 0);

            guest.Unplug(cpu4);
            AssertSets(guest, enabled: "0-3", online: "0-1", offline: "2-5");
        }

        PowerOff(guest);
    }

    private static string Range(int cpus) => cpus == 1 ? "0" : $"0-{cpus - 1}";

    private static void AssertSets(BareRunner guest, string enabled, string online, string offline)
    {
        guest.Type("sets");
        guest.Expect("sets");
        string[] lines = [.. guest.Expect("end of sets").Split('\n').Select(l => l.Trim().TrimStart('#', ' '))
            .Where(l => l.Contains('=', StringComparison.Ordinal))];
        Assert.Contains($"possible=0{(guest.Machine.Config.PossibleCpus == 1 ? "" : $"-{guest.Machine.Config.PossibleCpus - 1}")}", lines);
        Assert.Contains($"enabled={enabled}", lines);
        Assert.Contains($"online={online}", lines);
        Assert.Contains($"offline={offline}", lines);
    }

    // The count of the architected timer's interrupt on the n-th online CPU.
    private static long TimerTicks(BareRunner guest, int column)
    {
        guest.Type("cat /proc/interrupts");
        guest.Expect("CPU0");
        string line = guest.Expect("end of file").Split('\n').First(l => l.Contains("arch_timer", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[column + 1]);
    }

    private static void PowerOff(BareRunner guest)
    {
        guest.Type("off");
        Assert.True(guest.Ended.Task.Wait(Patience.Limit), "the guest did not power off");
        Assert.Equal(VcpuExit.SystemOff, guest.Ended.Task.Result);
        string[] faults = ["WARNING:", "Oops", "BUG:", "Call trace", "rcu: INFO", "soft lockup"];
        Assert.All(faults, fault => Assert.DoesNotContain(fault, guest.Console, StringComparison.Ordinal));
    }
}
