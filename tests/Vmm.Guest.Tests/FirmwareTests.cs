using System.Globalization;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Host.Options;
using Vmm.Tests;

namespace Vmm.Guest.Tests;

/// <summary>Unmodified EDK2 (Debian's qemu-efi-aarch64) in flash: its shell, and Debian's kernel through its EFI stub.</summary>
public sealed class FirmwareTests
{
    private const string Bios = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd";
    private const string Sets = "cd /sys/devices/system/cpu; grep . enabled online offline";

    // What the kernel calls a fault of the firmware or of ACPI tables, by their prefixes, and what it logs as a warning or worse. That it
    // lacks a seed is one: EDK2 has none to give, and the kernel reads RNDR. That something took long is said of a busy host.
    private const string Complaints =
        "dmesg -r | grep -E '^<[0-4]>|Firmware Bug|Firmware Warn|ACPI (BIOS )?(Error|Warning|Exception)|ACPI: .*([Ii]nvalid|[Ff]ail)' | "
            + "grep -vE 'hrtimer: interrupt took|hogged CPU for|sched: (RT throttling|DL replenish)'; echo end";

    [Fact]
    public async Task Firmware_without_a_kernel_comes_to_its_shell_and_powers_off()
    {
        await using ShellVm vm = await ShellVm.StartAsync(new MachineConfig(
            CpuModel.Find("max")!, 1, new CpuTopology(1, 1, 1, 1), 256 << 20, new BootConfig(default, null, ""))
        {
            Firmware = FirmwareOption.Open(Bios, []),
        });
        await vm.Shell.UntilAsync("UEFI Interactive Shell");
        await vm.Shell.UntilAsync("to skip");
        vm.Shell.Type("\r");
        await vm.Shell.UntilAsync("Shell> ");
        vm.Shell.Type("smbiosview -t 1\r");
        await vm.Shell.UntilAsync("Vmm Virtual Machine");
        vm.Shell.Type("reset -s\r");
        await vm.EndAsync();
    }

    /// <summary>
    /// Two disks with an EFI system partition each, one of them with a program that says nothing: what is booted is the one with the lower
    /// <c>bootindex=</c>, though the other one has the first place.
    /// </summary>
    [Theory]
    [InlineData("virtio-blk-pci,addr=2", "virtio-blk-pci,addr=6")]
    [InlineData("virtio-blk-pci,addr=2", "pcie-root-port,id=rp -device virtio-blk-pci,bus=rp")]
    [InlineData("virtio-blk-device", "virtio-blk-device")]
    public async Task Firmware_boots_from_the_disk_with_the_lowest_bootindex(string first, string second)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("vmm-esp-");
        string kernel = Path.Combine(folder.FullName, "kernel.raw");
        string other = Path.Combine(folder.FullName, "other.raw");
        EspImage.Write(kernel, TestGuest.CloudKernel);
        EspImage.Write(other, new byte[4096]);
        MachineConfig config = CommandLine.Parse([
            "-m", "512", "-bios", Bios, "-drive", $"if=none,id=k,file={kernel},format=raw", "-drive",
            $"if=none,id=o,file={other},format=raw", "-boot", "menu=on,splash-time=100",
            "-device", .. $"{first},drive=o,bootindex=7".Split(' '), "-device", .. $"{second},drive=k,bootindex=3".Split(' ')]).Machine
            .ToConfig();
        try
        {
            await using ShellVm vm = await ShellVm.StartAsync(config);
            await vm.Shell.UntilAsync("EFI stub: Booting Linux Kernel...");
            await vm.Shell.UntilAsync("Unable to mount root fs");
        }
        finally
        {
            foreach (IDisposable device in config.VirtioMmio.Concat<IDisposable>(config.PciDevices))
            {
                device.Dispose();
            }

            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Firmware_boots_from_an_ISO_image()
    {
        string iso = Path.Combine(Path.GetTempPath(), $"vmm-{Guid.NewGuid():n}.iso");
        EspImage.WriteIso(iso, TestGuest.CloudKernel);
        MachineConfig config = CommandLine.Parse(["-m", "512", "-bios", Bios, "-cdrom", iso]).Machine.ToConfig();
        try
        {
            await using ShellVm vm = await ShellVm.StartAsync(config);
            await vm.Shell.UntilAsync("EFI stub: Booting Linux Kernel...");
            await vm.Shell.UntilAsync("Unable to mount root fs");
            Assert.Contains($"{iso} (raw, read-only)", await vm.MonitorAsync("info block"), StringComparison.Ordinal);
        }
        finally
        {
            DiskFolder.Close(config);
            File.Delete(iso);
        }
    }

    [Fact]
    public async Task Kernel_that_firmware_boots_plugs_and_unplugs_and_keeps_the_CPU_over_reboot_and_reset()
    {
        await using ShellVm vm = await ShellVm.BootAsync(
            "max", 4, 6, append: "console=ttyAMA0 root=/dev/ram rdinit=/init maxcpus=2 acpi=force",
            firmware: FirmwareOption.Open(Bios, []));
        Assert.Equal("/sys/firmware/efi/systab", await vm.Shell.RunAsync("ls /sys/firmware/efi/systab"));
        Assert.Equal("enabled:0-3\nonline:0-1\noffline:2-5", await vm.Shell.RunAsync(Sets));
        Assert.Equal("done", await vm.HotplugAsync("device_add max-arm-cpu,id=core4,core-id=4"));
        Assert.Equal("", await vm.Shell.RunAsync("echo 1 > /sys/devices/system/cpu/cpu4/online"));
        Assert.Equal("enabled:0-4\nonline:0-1,4\noffline:2-3,5", await vm.Shell.RunAsync(Sets));

        vm.Shell.Type("reboot -f");
        await vm.Shell.UntilAsync("UEFI firmware");
        await vm.AwaitShellAsync();
        Assert.Equal("enabled:0-4\nonline:0-1\noffline:2-5", await vm.Shell.RunAsync(Sets));

        Assert.Equal("", await vm.MonitorAsync("system_reset"));
        await vm.Shell.UntilAsync("UEFI firmware");
        await vm.AwaitShellAsync();
        Assert.Equal("enabled:0-4\nonline:0-1\noffline:2-5", await vm.Shell.RunAsync(Sets));

        // It still is a hot-plugged CPU.
        Assert.Equal("", await vm.Shell.RunAsync("echo 1 > /sys/devices/system/cpu/cpu4/online"));
        Assert.Equal("done", await vm.HotplugAsync("device_del core4"));
        Assert.Equal("enabled:0-3\nonline:0-1\noffline:2-5", await vm.Shell.RunAsync(Sets));
        await vm.PowerOffAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Kernel_finds_no_fault_in_firmware_and_tables(bool firmware)
    {
        await using ShellVm vm =
            await ShellVm.BootAsync("max", 2, 4, append: "ignore_loglevel", firmware: firmware ? FirmwareOption.Open(Bios, []) : null);
        Assert.Equal("end", await vm.Shell.RunAsync(Complaints));
        Assert.Equal("Vmm Virtual Machine", await vm.Shell.RunAsync("cat /sys/class/dmi/id/product_name"));
        await vm.PowerOffAsync();
    }

    [Fact]
    public async Task Variables_that_the_kernel_sets_are_kept_in_the_file()
    {
        const string Name = "/tmp/VmmTest-12345678-1234-1234-1234-123456789abc";
        string path = Path.Combine(Path.GetTempPath(), $"vmm-variables-{Guid.NewGuid():N}");
        try
        {
            string value = Guid.NewGuid().ToString();
            await WithVariablesAsync(path, async vm =>
            {
                Assert.Equal("", await vm.Shell.RunAsync($"printf '\\007\\000\\000\\000{value}' > {Name}"));
                Assert.Equal(value, await vm.Shell.RunAsync($"tail -c +5 {Name}; echo"));
            });
            await WithVariablesAsync(path, async vm => Assert.Equal(value, await vm.Shell.RunAsync($"tail -c +5 {Name}; echo")));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Fw_cfg_driver_of_the_kernel_finds_the_device_and_its_files(bool acpi)
    {
        await using ShellVm vm = await ShellVm.BootAsync("max", 2, 2, acpi: acpi, firmware: FirmwareOption.Open(Bios, []),
            moreInitramfs: TestPackages.FirmwareModules);
        Assert.Equal("", await vm.Shell.RunAsync("insmod /qemu_fw_cfg.ko; cd /sys/firmware/qemu_fw_cfg/by_name"));
        Assert.Equal("_SM3_", await vm.Shell.RunAsync("head -c 5 etc/smbios/smbios-anchor/raw; echo"));
        Assert.Equal(acpi ? "3"
            : "0", await vm.Shell.RunAsync("ls etc/acpi/tables/raw etc/acpi/rsdp/raw etc/table-loader/raw 2>/dev/null | wc -l"));
        if (acpi)
        {
            Assert.Equal("CPUS DSDT FACP", await vm.Shell.RunAsync("grep -aoE 'DSDT|FACP|CPUS' etc/acpi/tables/raw | sort -u | xargs"));
        }

        await vm.PowerOffAsync();
    }

    [Fact]
    public async Task Device_tree_of_the_firmware_boots_a_kernel_without_ACPI()
    {
        await using ShellVm vm = await ShellVm.BootAsync("max", 2, 2, acpi: false, firmware: FirmwareOption.Open(Bios, []));
        Assert.Equal("2", await vm.Shell.RunAsync("nproc"));
        Assert.Equal("", await vm.Shell.RunAsync("dmesg | grep -i 'acpi: rsdp'"));
        Assert.Equal("1", await vm.Shell.RunAsync("dmesg | grep -c 'PL061 GPIO chip registered'"));
        Assert.Equal("3", await vm.Shell.RunAsync(
            "ls -d /sys/firmware/devicetree/base/flash@0 /sys/firmware/devicetree/base/pl061@9030000 /sys/firmware/efi | wc -l"));
        await vm.PowerOffAsync();
    }

    [LongTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Kexec_after_a_plug_boots_the_same_kernel_with_the_CPU(bool firmware)
    {
        byte[] kernel = TestGuest.CloudKernel;
        var archive = new Host.Guest.CpioArchive();
        archive.AddFile("vmlinuz", kernel);
        archive.AddFile("initramfs.cpio", await File.ReadAllBytesAsync(TestGuest.Files(Host.Guest.GuestFlavour.Cloud).Initramfs));
        await using ShellVm vm = await ShellVm.BootAsync(
            "max", 2, 4, mebibytes: 768, firmware: firmware ? FirmwareOption.Open(Bios, [])
                : null, moreInitramfs: [.. TestPackages.Kexec, .. archive.ToArray()]);
        Assert.Equal("done", await vm.HotplugAsync("device_add max-arm-cpu,id=core3,core-id=3"));
        Assert.Equal("", await vm.Shell.RunAsync("echo 1 > /sys/devices/system/cpu/cpu3/online"));
        Assert.Equal("0", await vm.Shell.RunAsync(
            "/sbin/kexec -c -l /vmlinuz --initrd=/initramfs.cpio --append='console=ttyAMA0 kexeced' >/tmp/log 2>&1; echo $?"));
        vm.Shell.Type("/sbin/kexec -e");
        await vm.AwaitShellAsync();
        Assert.Equal("1", await vm.Shell.RunAsync("grep -c kexeced /proc/cmdline"));

        // Runtime services serve the second kernel where the first one had them.
        Assert.Equal("rtc-efi rtc-efi.0", await vm.Shell.RunAsync("cat /sys/class/rtc/rtc0/name"));
        Assert.Equal(DateTime.UtcNow.ToString("yyyy-MM", CultureInfo.InvariantCulture),
            await vm.Shell.RunAsync("hwclock -s -u; date -u +%Y-%m"));
        Assert.Equal("enabled:0-1,3\nonline:0-1,3\noffline:2", await vm.Shell.RunAsync(Sets));
        Assert.Equal("done", await vm.HotplugAsync("device_del core3"));
        Assert.Equal("done", await vm.HotplugAsync("device_add max-arm-cpu,id=core2,core-id=2"));
        Assert.Equal("enabled:0-2\nonline:0-1\noffline:2-3", await vm.Shell.RunAsync(Sets));
        await vm.PowerOffAsync();
    }

    // A boot with a bank of variables in a file, mounted at /tmp.
    private static async Task WithVariablesAsync(string path, Func<ShellVm, Task> use)
    {
        using var variables = new VariableFile(path);
        await using ShellVm vm = await ShellVm.BootAsync(
            "max", 2, 2, firmware: variables.Firmware, moreInitramfs: TestPackages.FirmwareModules);
        Assert.Equal("", await vm.Shell.RunAsync("insmod /efivarfs.ko && mount -t efivarfs efivarfs /tmp"));
        await use(vm);
        await vm.PowerOffAsync();
    }
}
