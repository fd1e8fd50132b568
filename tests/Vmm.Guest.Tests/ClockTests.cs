using System.Globalization;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices.Pl031;
using Vmm.Host.Guest;

namespace Vmm.Guest.Tests;

/// <summary>The date of an unmodified kernel: by EFI runtime services with ACPI, by its own driver for the PL031 without.</summary>
public sealed class ClockTests
{
    private const ulong Rtcdr = 0x0901_0000;

    [Theory]
    [InlineData(GuestFlavour.Cloud, true, "rtc-efi rtc-efi.0")]
    [InlineData(GuestFlavour.Pages16K, true, "rtc-efi rtc-efi.0")]
    [InlineData(GuestFlavour.Cloud, false, "rtc-pl031 9010000.pl031")]
    public async Task Guest_has_the_date_of_the_real_time_clock_and_sets_it(GuestFlavour flavour, bool acpi, string driver)
    {
        GuestFiles files = TestGuest.Files(flavour);
        var boot = new BootConfig(await File.ReadAllBytesAsync(files.Kernel), await File.ReadAllBytesAsync(files.Initramfs),
            TestGuest.Patient);
        await using ShellVm vm =
            await ShellVm.StartAsync(new MachineConfig(CpuModel.Find("max")!, 2, new CpuTopology(1, 1, 2, 1), 512 << 20, boot)
        {
            Acpi = acpi,
            Rtc = new RtcConfig(new DateTimeOffset(2024, 2, 29, 12, 0, 0, TimeSpan.Zero), RtcClock.Host),
        });
        await vm.AwaitShellAsync();
        Assert.Equal(driver, await vm.Shell.RunAsync("cat /sys/class/rtc/rtc0/name"));
        Assert.Equal("2024-02-29 12", await vm.Shell.RunAsync("date -u '+%F %H'"));
        Assert.StartsWith("Thu Feb 29 12:", await vm.Shell.RunAsync("hwclock -r -u"), StringComparison.Ordinal);

        const uint Set = 4107542400;
        Assert.Equal("", await vm.Shell.RunAsync(
            "date -u -s '2100-03-01 00:00:00' >/dev/null; hwclock -w -u; date -u -s '2000-01-01 00:00:00' >/dev/null"));
        Assert.True(vm.Machine.Bus.TryRead(Rtcdr, 4, out ulong seconds));
        Assert.InRange(seconds, Set, Set + 3600);

        // The next kernel finds what this one has set.
        vm.Shell.Type("reboot -f");
        await vm.AwaitShellAsync();
        ulong later = ulong.Parse(await vm.Shell.RunAsync("date -u +%s"), CultureInfo.InvariantCulture);
        Assert.InRange(later, seconds, seconds + 3600);
        await vm.PowerOffAsync();
    }
}
