using System.Diagnostics;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Host.Guest;
using Vmm.Host.Options;

namespace Vmm.Guest.Tests;

/// <summary>
/// Debian's kernel on disks: it mounts a file system, writes and reads it, over stops, resets and moves; Debian's own tools look at the
/// image afterwards.
/// </summary>
public sealed class DiskTests : IDisposable
{
    // The kernel has the driver of virtio on PCI built in.
    private const string Drivers = "insmod /virtio_mmio.ko; insmod /virtio_blk.ko; mkdir -p /m; mount -t ext4 /dev/vda /m";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-disk-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("raw", true, "virtio-blk-device")]
    [InlineData("qcow2", true, "virtio-blk-device,packed=on,num-queues=2")]
    [InlineData("qcow2", false, "virtio-blk-device,event_idx=off,indirect_desc=off")]
    [InlineData("raw", true, "virtio-blk-pci,addr=5")]
    [InlineData("qcow2", true, "pcie-root-port,id=rp1 -device virtio-blk-pci,bus=rp1,packed=on,num-queues=4")]
    [InlineData("qcow2", false, "virtio-blk-pci,vectors=0")]
    public async Task Guest_keeps_its_files_over_stop_and_reset(string format, bool acpi, string device)
    {
        string image = MakeImage(format);
        string[] drive = ["-drive", $"if=none,id=d0,file={image},format={format},discard=unmap", "-device",
            .. $"{device},drive=d0,serial=number-1".Split(' ')];
        MachineConfig config = await ConfigAsync(acpi, drive);
        string sum;
        await using (ShellVm vm = await ShellVm.StartAsync(config))
        {
            await vm.AwaitShellAsync();
            Assert.Equal("", await vm.Shell.RunAsync(Drivers));
            Assert.Equal("number-1", (await vm.Shell.RunAsync("cat /sys/block/vda/serial; echo")).Trim());
            Assert.Equal("", await vm.Shell.RunAsync("dd if=/dev/urandom of=/m/file bs=64k count=200 2>/dev/null; sync"));
            sum = await vm.Shell.RunAsync("md5sum < /m/file");

            // What is written while the VM stops and goes on is there.
            vm.Shell.Type("for i in 1 2 3 4 5 6; do cp /m/file /m/copy; sync; done; md5sum < /m/copy");
            for (int i = 0; i < 5; i++)
            {
                Assert.Equal("", await vm.MonitorAsync("stop"));
                Assert.Contains("paused", await vm.MonitorAsync("info status"), StringComparison.Ordinal);
                Assert.Equal("", await vm.MonitorAsync("cont"));
            }

            await vm.Shell.UntilAsync(sum.Trim());
            await vm.Shell.PromptAsync();
            Assert.Contains($"d0 (#block000): {image} ({format})", await vm.MonitorAsync("info block"), StringComparison.Ordinal);
            Assert.Equal("", await vm.MonitorAsync("block_resize d0 96M"));
            Assert.Equal("196608", (await vm.Shell.RunAsync("cat /sys/block/vda/size")).Trim());
            Assert.Equal("", await vm.MonitorAsync("system_reset"));
            await vm.AwaitShellAsync();
            Assert.Equal("", await vm.Shell.RunAsync(Drivers));
            Assert.Equal(sum, await vm.Shell.RunAsync("echo 3 > /proc/sys/vm/drop_caches; md5sum < /m/file"));
            Assert.Equal("", await vm.Shell.RunAsync("umount /m"));
            await vm.PowerOffAsync();
        }

        Close(config);
        Assert.Equal(sum.Split(' ')[0], SumOf(image, format));
    }

    [Fact]
    public async Task Guest_moves_with_its_disk_which_one_process_at_a_time_has()
    {
        string image = MakeImage("qcow2");
        string[] drive = ["-drive", $"file={image},format=qcow2"];
        MachineConfig here = await ConfigAsync(acpi: true, drive);
        MachineConfig there = await ConfigAsync(acpi: true, [.. drive, "-incoming", "defer"]);
        string sum;
        await using (ShellVm vm = await ShellVm.StartAsync(here))
        {
            await vm.AwaitShellAsync();
            Assert.Equal("", await vm.Shell.RunAsync(Drivers));
            Assert.Equal("", await vm.Shell.RunAsync("dd if=/dev/urandom of=/m/file bs=64k count=100 2>/dev/null"));
            sum = await vm.Shell.RunAsync("md5sum < /m/file");
            await using ShellVm moved = await vm.MoveAsync(there);
            Assert.Equal(sum, await moved.Shell.RunAsync("echo 3 > /proc/sys/vm/drop_caches; md5sum < /m/file"));
            Assert.Equal("", await moved.Shell.RunAsync("cp /m/file /m/copy; umount /m"));
            await moved.PowerOffAsync();
        }

        Close(here);
        Close(there);
        Assert.Equal(sum.Split(' ')[0], SumOf(image, "qcow2"));
    }

    private static async Task<MachineConfig> ConfigAsync(bool acpi, string[] drives)
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        byte[] initramfs = [.. await File.ReadAllBytesAsync(files.Initramfs), .. TestPackages.DiskModules];
        MachineOptions disks = CommandLine.Parse(["-smp", "2", "-kernel", files.Kernel, .. drives]).Machine;
        MachineConfig config = disks.ToConfig();
        return new MachineConfig(CpuModel.Find("max")!, 2, new CpuTopology(1, 1, 2, 1), 300 << 20,
            new BootConfig(await File.ReadAllBytesAsync(files.Kernel), initramfs, TestGuest.Patient))
        {
            Acpi = acpi,
            VirtioMmio = config.VirtioMmio,
            PciDevices = config.PciDevices,
        };
    }

    private static void Close(MachineConfig config)
    {
        foreach (IDisposable device in config.VirtioMmio.Concat<IDisposable>(config.PciDevices))
        {
            device.Dispose();
        }
    }

    private string MakeImage(string format)
    {
        string raw = Path.Combine(_folder.FullName, "image.raw");
        using (FileStream file = File.Create(raw))
        {
            file.SetLength(64 << 20);
        }

        Run("/usr/sbin/mke2fs", "-q", "-t", "ext4", raw);
        string image = Path.Combine(_folder.FullName, $"image.{format}");
        if (format != "raw")
        {
            Run("qemu-img", "convert", "-f", "raw", "-O", format, raw, image);
        }

        return image;
    }

    // The checksum of the file in the image, when its format and its file system are found whole.
    private string SumOf(string image, string format)
    {
        string raw = image;
        if (format != "raw")
        {
            Run("qemu-img", "check", "-q", "-f", format, image);
            raw = Path.Combine(_folder.FullName, "check.raw");
            Run("qemu-img", "convert", "-f", format, "-O", "raw", image, raw);
        }

        Run("/usr/sbin/e2fsck", "-fn", raw);
        string copy = Path.Combine(_folder.FullName, "file");
        Run("/usr/sbin/debugfs", "-R", $"dump /file {copy}", raw);
#pragma warning disable CA5351 // what busybox has
        return Convert.ToHexStringLower(System.Security.Cryptography.MD5.HashData(File.ReadAllBytes(copy)));
#pragma warning restore CA5351
    }

    private static void Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        string said = process.StandardOutput.ReadToEnd() + process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)}: {said}");
    }
}
