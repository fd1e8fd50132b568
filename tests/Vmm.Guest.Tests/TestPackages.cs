using System.Diagnostics;
using Vmm.Host.Guest;

namespace Vmm.Guest.Tests;

/// <summary>
/// More of Debian's arm64 packages, each as a cpio archive to append to the initial RAM disk: fetched once, as the kernel is, and kept in
/// the cache.
/// </summary>
internal static class TestPackages
{
    // What kexec is linked with.
    private static readonly string[] s_kexecPackages =
    [
        "kexec-tools", "libc6", "zlib1g", "libxenmisc4.20", "libxencall1", "libxendevicemodel1", "libxenevtchn1", "libxenforeignmemory1",
        "libxengnttab1",
        "libxentoolcore1", "libxentoollog1",
    ];

    private static readonly string[] s_kexecLibraries =
    [
        "ld-linux-aarch64.so.1", "libc.so.6", "libz.so.1", "libxenctrl.so.4.20", "libxencall.so.1", "libxendevicemodel.so.1",
        "libxenevtchn.so.1",
        "libxenforeignmemory.so.1", "libxengnttab.so.1", "libxentoolcore.so.1", "libxentoollog.so.1",
    ];

    private static readonly string[] s_modules = ["efivarfs.ko", "qemu_fw_cfg.ko"];
    private static readonly string[] s_virtioModules = ["virtio_mmio.ko", "virtio_blk.ko"];
    private static readonly string[] s_deviceModules = ["virtio_mmio.ko", "virtio_balloon.ko"];
    private static readonly string[] s_folderModules = ["virtio_mmio.ko", "netfs.ko", "9pnet.ko", "9pnet_virtio.ko", "9p.ko"];
    private static readonly string[] s_netModules = ["virtio_mmio.ko", "failover.ko", "net_failover.ko", "virtio_net.ko"];

    private static readonly string[] s_vsockModules =
        ["virtio_mmio.ko", "vsock.ko", "vmw_vsock_virtio_transport_common.ko", "vmw_vsock_virtio_transport.ko"];

    private static readonly Lazy<byte[]> s_firmwareModules =
        new(() => Cached($"modules-{KernelVersion()}", (apt, work) => BuildModulesAsync(apt, work, s_modules)).GetAwaiter().GetResult());
    private static readonly Lazy<byte[]> s_disk = new(() =>
        Cached($"virtio-{KernelVersion()}", (apt, work) => BuildModulesAsync(apt, work, s_virtioModules)).GetAwaiter().GetResult());
    private static readonly Lazy<byte[]> s_devices = new(() =>
        Cached($"devices-{KernelVersion()}", (apt, work) => BuildModulesAsync(apt, work, s_deviceModules)).GetAwaiter().GetResult());
    private static readonly Lazy<byte[]> s_folder = new(() => Cached(
        $"9p-{KernelVersion(GuestFlavour.Pages16K)}",
        (apt, work) => BuildModulesAsync(apt, work, s_folderModules, GuestFlavour.Pages16K)).GetAwaiter().GetResult());
    private static readonly Lazy<byte[]> s_net = new(() =>
        Cached($"net-{KernelVersion()}", (apt, work) => BuildModulesAsync(apt, work, s_netModules)).GetAwaiter().GetResult());
    private static readonly Lazy<byte[]> s_vsock = new(() =>
        Cached($"vsock-{KernelVersion()}", (apt, work) => BuildModulesAsync(apt, work, s_vsockModules)).GetAwaiter().GetResult());
    private static readonly Lazy<byte[]> s_kexec = new(() => Cached("kexec", BuildKexecAsync).GetAwaiter().GetResult());

    /// <summary>Modules of the cloud kernel that show what firmware has: <c>/efivarfs.ko</c>, <c>/qemu_fw_cfg.ko</c>.</summary>
    public static byte[] FirmwareModules => s_firmwareModules.Value;

    /// <summary>The cloud kernel's modules for disks: <c>/virtio_mmio.ko</c>, <c>/virtio_blk.ko</c>.</summary>
    public static byte[] DiskModules => s_disk.Value;

    /// <summary>Modules of the cloud kernel for other virtio devices: <c>/virtio_mmio.ko</c>, <c>/virtio_balloon.ko</c>.</summary>
    public static byte[] VirtioModules => s_devices.Value;

    /// <summary>
    /// Modules for shared folders of the kernel with 16K pages, as the cloud kernel has none: <c>/virtio_mmio.ko</c>, <c>/netfs.ko</c>,
    /// <c>/9pnet.ko</c>, <c>/9pnet_virtio.ko</c>, <c>/9p.ko</c>.
    /// </summary>
    public static byte[] SharedFolderModules => s_folder.Value;

    /// <summary>The cloud kernel's modules for the network: <c>/virtio_mmio.ko</c>, <c>/virtio_net.ko</c> and what that needs.</summary>
    public static byte[] NetModules => s_net.Value;

    /// <summary>The cloud kernel's modules for sockets to the host: <c>/vmw_vsock_virtio_transport.ko</c> and what that needs.</summary>
    public static byte[] VsockModules => s_vsock.Value;

    /// <summary><c>/sbin/kexec</c> and its libraries.</summary>
    public static byte[] Kexec => s_kexec.Value;

    private static async Task<byte[]> Cached(string name, Func<AptArchive, string, Task<byte[]>> build)
    {
        string path = Path.Combine(GuestAssets.CacheFolder, $"test-{name}.cpio");
        if (!File.Exists(path))
        {
            string work = Directory.CreateTempSubdirectory("vmm-fetch-").FullName;
            try
            {
                AptArchive apt = await AptArchive.OpenAsync(Path.Combine(work, "apt"), GuestKernel.DefaultSuite, CancellationToken.None);
                await File.WriteAllBytesAsync(path + ".new", await build(apt, work));
                File.Move(path + ".new", path, overwrite: true);
            }
            finally
            {
                Directory.Delete(work, recursive: true);
            }
        }

        return await File.ReadAllBytesAsync(path);
    }

    private static async Task<byte[]> BuildModulesAsync(
        AptArchive apt, string work, string[] modules, GuestFlavour flavour = GuestFlavour.Cloud)
    {
        string tree = await apt.FetchAsync($"linux-image-{KernelVersion(flavour)}", work, null, CancellationToken.None);
        var archive = new CpioArchive();
        foreach (string module in modules)
        {
            string compressed = Directory.EnumerateFiles(tree, $"{module}.xz", SearchOption.AllDirectories).Single();
            using Process xz = Process.Start("xz", ["-d", compressed]);
            await xz.WaitForExitAsync();
            Assert.Equal(0, xz.ExitCode);
            archive.AddFile(module, await File.ReadAllBytesAsync(Path.ChangeExtension(compressed, null)));
        }

        return archive.ToArray();
    }

    private static async Task<byte[]> BuildKexecAsync(AptArchive apt, string work)
    {
        var archive = new CpioArchive();
        archive.AddDirectory("lib");
        archive.AddDirectory("sbin");
        foreach (string package in s_kexecPackages)
        {
            string tree = await apt.FetchAsync(package, work, null, CancellationToken.None);
            foreach (string file in Directory.EnumerateFiles(tree, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
            {
                string name = Path.GetFileName(file);
                if (s_kexecLibraries.Contains(name))
                {
                    archive.AddFile($"lib/{name}", await File.ReadAllBytesAsync(file), 0x1ED);
                }
                else if (file.EndsWith("sbin/kexec", StringComparison.Ordinal))
                {
                    archive.AddFile("sbin/kexec", await File.ReadAllBytesAsync(file), 0x1ED);
                }
            }
        }

        return archive.ToArray();
    }

    private static string KernelVersion(GuestFlavour flavour = GuestFlavour.Cloud) =>
        TestGuest.ReleaseOf(File.ReadAllBytes(TestGuest.Files(flavour).Kernel));
}
