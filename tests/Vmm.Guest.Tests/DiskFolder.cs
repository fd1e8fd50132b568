using System.Diagnostics;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Host.Guest;
using Vmm.Host.Options;

namespace Vmm.Guest.Tests;

/// <summary>A folder with disk images for a guest of Debian's kernel, and Debian's tools that look at them afterwards.</summary>
internal sealed class DiskFolder : IDisposable
{
    // The kernel has the driver of virtio on PCI built in.
    private const string Mount = "insmod /virtio_mmio.ko; insmod /virtio_blk.ko; mkdir -p /m; mount -t ext4 /dev/vda /m";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-disk-");
    private bool _isMounted;

    public string PathOf(string name) => Path.Combine(_folder.FullName, name);

    public void Dispose()
    {
        if (_isMounted)
        {
            Run("umount", "-l", _folder.FullName);
        }

        _folder.Delete(recursive: true);
    }

    /// <summary>Gives the folder a file system of its own with so much room, or changes its room; only root can.</summary>
    public bool TryLimit(int mebibytes)
    {
        if (!Environment.IsPrivilegedProcess)
        {
            return false;
        }

        string[] what = _isMounted ? ["-o", $"remount,size={mebibytes}m"] : ["-t", "tmpfs", "-o", $"size={mebibytes}m", "none"];
        Run("mount", [.. what, _folder.FullName]);
        return _isMounted = true;
    }

    /// <summary>A disk of 64 MiB with a file system, in an image that has room for it alone.</summary>
    public string MakeImage(string format)
    {
        string raw = PathOf("image.raw");
        using (FileStream file = File.Create(raw))
        {
            file.SetLength(64 << 20);
        }

        Run("/usr/sbin/mke2fs", "-q", "-t", "ext4", raw);
        string image = PathOf($"image.{format}");
        if (format != "raw")
        {
            Run("qemu-img", "convert", "-f", "raw", "-O", format, raw, image);
            File.Delete(raw);
        }

        return image;
    }

    /// <summary>The checksum of <c>/file</c> in an image, when its format and its file system are found whole.</summary>
    public string SumOf(string image, string format)
    {
        string raw = image;
        if (format != "raw")
        {
            Run("qemu-img", "check", "-q", "-f", format, image);
            raw = PathOf("check.raw");
            Run("qemu-img", "convert", "-f", format, "-O", "raw", image, raw);
        }

        Run("/usr/sbin/e2fsck", "-fn", raw);
        string copy = PathOf("file");
        Run("/usr/sbin/debugfs", "-R", $"dump /file {copy}", raw);
#pragma warning disable CA5351 // what busybox has
        return Convert.ToHexStringLower(System.Security.Cryptography.MD5.HashData(File.ReadAllBytes(copy)));
#pragma warning restore CA5351
    }

    /// <summary>A machine with disks of the command line; whoever has it closes them.</summary>
    public static async Task<MachineConfig> ConfigAsync(bool acpi, params string[] drives)
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        byte[] initramfs = [.. await File.ReadAllBytesAsync(files.Initramfs), .. TestPackages.DiskModules];
        MachineOptions disks = CommandLine.Parse(["-smp", "2", "-kernel", files.Kernel, .. drives]).Machine;
        MachineConfig config = disks.ToConfig();
        return new MachineConfig(CpuModel.Find("max")!, 2, new CpuTopology(1, 1, 2, 1), 300 << 20,
            new BootConfig(await File.ReadAllBytesAsync(files.Kernel), initramfs, TestGuest.Patient))
        {
            Acpi = acpi,
            Msi = config.Msi,
            VirtioMmio = config.VirtioMmio,
            PciDevices = config.PciDevices,
        };
    }

    /// <summary>Finds the disk as <c>/m</c>, when a guest has booted.</summary>
    public static async Task MountAsync(ShellVm vm)
    {
        await vm.AwaitShellAsync();
        Assert.Equal("", await vm.Shell.RunAsync(Mount));
    }

    /// <summary>The checksum of <c>/m/file</c>, as it is on the disk.</summary>
    public static Task<string> ReadSumAsync(ShellVm vm) => vm.Shell.RunAsync("echo 3 > /proc/sys/vm/drop_caches; md5sum < /m/file");

    public static void Close(MachineConfig config)
    {
        foreach (IDisposable device in config.VirtioMmio.Concat<IDisposable>(config.PciDevices))
        {
            device.Dispose();
        }
    }

    public static void Run(string program, params string[] arguments)
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
