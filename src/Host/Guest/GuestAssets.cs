namespace Vmm.Host.Guest;

/// <summary>Files of one guest, in the cache.</summary>
/// <param name="Kernel">An arm64 Image.</param>
/// <param name="Initramfs">An uncompressed cpio archive.</param>
public sealed record GuestFiles(string Kernel, string Initramfs);

/// <summary>The files for a guest cannot be fetched. The message is one line for the user.</summary>
public sealed class GuestAssetsException(string message) : Exception(message);

/// <summary>The progress of a download in bytes, or of something that is made in steps: so far, and in total.</summary>
public readonly record struct FetchProgress(string What, long Done, long Total, bool InSteps = false);

/// <summary>
/// Debian's kernel and busybox for the guest, fetched once from the archive that this host already uses, and cached. apt verifies
/// everything by the archive's signatures.
/// </summary>
public static class GuestAssets
{
    /// <summary><c>$XDG_CACHE_HOME/vmm</c>, by default <c>~/.cache/vmm</c>.</summary>
    public static string CacheFolder { get; } = Path.Combine(CacheHome(), "vmm");

    private static string BusyboxPath => Path.Combine(CacheFolder, "busybox");

    /// <summary>Fetches the kernel and the initial RAM disk, unless they are in the cache. Several processes can call it at once.</summary>
    /// <exception cref="GuestAssetsException">They cannot be fetched.</exception>
    public static async Task<GuestFiles> EnsureAsync(GuestKernel kernel, IProgress<FetchProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        string path = Path.Combine(CacheFolder, kernel.FileName);
        Directory.CreateDirectory(CacheFolder);
        await using (await LockAsync(cancellation))
        {
            if (!File.Exists(path))
            {
                await FetchAsync(kernel.Suite, (apt, work) =>
                    FetchKernelAsync(apt, kernel, path, work, progress, cancellation), cancellation);
            }
        }

        return new GuestFiles(path, await EnsureInitramfsAsync(progress, cancellation));
    }

    /// <summary>
    /// Fetches busybox, unless it is in the cache, and builds the initial RAM disk. Several processes can call it at once.
    /// </summary>
    /// <returns>The path of the initial RAM disk.</returns>
    /// <exception cref="GuestAssetsException">Busybox cannot be fetched.</exception>
    public static async Task<string> EnsureInitramfsAsync(IProgress<FetchProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        byte[] busybox = await EnsureBusyboxAsync(progress, cancellation);
        await using FileStream held = await LockAsync(cancellation);

        // The archive is built anew each time, so that a cache of an older version never provides an older init.
        string path = Path.Combine(CacheFolder, "initramfs.cpio");
        byte[] initramfs = Initramfs.Build(busybox);
        byte[]? present = File.Exists(path) ? await File.ReadAllBytesAsync(path, cancellation) : null;
        if (!initramfs.AsSpan().SequenceEqual(present))
        {
            await File.WriteAllBytesAsync(path + ".new", initramfs, cancellation);
            File.Move(path + ".new", path, overwrite: true);
        }

        return path;
    }

    /// <summary>Fetches busybox, unless it is in the cache. Several processes can call it at once.</summary>
    /// <returns>The program, static for arm64.</returns>
    internal static async Task<byte[]> EnsureBusyboxAsync(IProgress<FetchProgress>? progress, CancellationToken cancellation)
    {
        Directory.CreateDirectory(CacheFolder);
        await using FileStream held = await LockAsync(cancellation);
        if (!File.Exists(BusyboxPath))
        {
            await FetchAsync(GuestKernel.DefaultSuite, (apt, work) => FetchBusyboxAsync(apt, work, progress, cancellation), cancellation);
        }

        return await File.ReadAllBytesAsync(BusyboxPath, cancellation);
    }

    /// <summary>Opens a suite, and has something of it fetched; what is downloaded on the way goes to a temporary folder.</summary>
    internal static async Task FetchAsync(string suite, Func<AptArchive, string, Task> fetch, CancellationToken cancellation)
    {
        string work = Directory.CreateTempSubdirectory("vmm-fetch-").FullName;
        try
        {
            string lists = suite == GuestKernel.DefaultSuite ? "apt" : $"apt-{suite}";
            await fetch(await AptArchive.OpenAsync(Path.Combine(CacheFolder, lists), suite, cancellation), work);
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    private static async Task FetchKernelAsync(
        AptArchive apt, GuestKernel kernel, string path, string work, IProgress<FetchProgress>? progress, CancellationToken cancellation)
    {
        const string Image = "linux-image-";
        string image = kernel.Release == null
            ? await apt.ResolveAsync(kernel.MetaPackage, Image, cancellation)
                ?? throw new GuestAssetsException($"{kernel.MetaPackage} of {kernel.Suite} depends on no {Image}* package")
            : kernel.Newest(await apt.NamesAsync($"{Image}{kernel.Release}", cancellation))
                ?? throw new GuestAssetsException($"{kernel.Suite} has no kernel {kernel.Release} of that flavour");
        string package = await apt.ResolveAsync(image, "linux-binary-", cancellation) ?? image;
        string tree = await apt.FetchAsync(package, work, progress, cancellation);

        // The kernel is boot/vmlinuz-RELEASE, in newer packages usr/lib/modules/RELEASE/vmlinuz, and vmlinuz.unsigned in packages without
        // Debian's signature.
        Keep(Directory.EnumerateFiles(tree, "vmlinuz*", SearchOption.AllDirectories).FirstOrDefault(), path, package);
    }

    /// <summary>Fetches EDK2's firmware, unless it is in the cache. Several processes can call it at once.</summary>
    /// <returns>Its path.</returns>
    internal static async Task<string> EnsureFirmwareAsync(IProgress<FetchProgress>? progress, CancellationToken cancellation)
    {
        const string Package = "qemu-efi-aarch64";
        const string Name = "QEMU_EFI.fd";
        string path = Path.Combine(CacheFolder, Name);
        Directory.CreateDirectory(CacheFolder);
        await using FileStream held = await LockAsync(cancellation);
        if (!File.Exists(path))
        {
            await FetchAsync(
                GuestKernel.DefaultSuite,
                async (apt, work) => Keep(
                    Directory.EnumerateFiles(await apt.FetchAsync(Package, work, progress, cancellation), Name, SearchOption.AllDirectories)
                        .FirstOrDefault(),
                    path, Package),
                cancellation);
        }

        return path;
    }

    private static async Task FetchBusyboxAsync(AptArchive apt, string work, IProgress<FetchProgress>? progress,
        CancellationToken cancellation)
    {
        string tree = await apt.FetchAsync("busybox-static", work, progress, cancellation);
        string[] places = [Path.Combine(tree, "usr/bin/busybox"), Path.Combine(tree, "bin/busybox")];
        Keep(places.FirstOrDefault(File.Exists), BusyboxPath, "busybox-static");
    }

    // The copy may go to another file system. The rename that makes it visible does not.
    private static void Keep(string? file, string destination, string package)
    {
        File.Copy(file ?? throw new GuestAssetsException($"package {package} lacks the expected file"), destination
            + ".new", overwrite: true);
        File.Move(destination + ".new", destination, overwrite: true);
    }

    private static Task<FileStream> LockAsync(CancellationToken cancellation) => LockAsync("lock", cancellation);

    /// <summary>Waits for a file of the cache that one process at a time has.</summary>
    internal static async Task<FileStream> LockAsync(string name, CancellationToken cancellation)
    {
        while (true)
        {
            try
            {
                return new FileStream(Path.Combine(CacheFolder, name), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException)
            {
                await Task.Delay(200, cancellation);
            }
        }
    }

    private static string CacheHome() =>
        Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } home
            ? home
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
}
