namespace Vmm.Host.Guest;

/// <summary>Debian's arm64 kernel flavours that we fetch.</summary>
public enum GuestFlavour
{
    /// <summary>For virtual machines: few drivers, 4K pages.</summary>
    Cloud,

    /// <summary>All drivers, 4K pages.</summary>
    Generic,

    /// <summary>All drivers, 16K pages.</summary>
    Pages16K,
}

/// <summary>Files of one guest, in the cache.</summary>
/// <param name="Kernel">An arm64 Image.</param>
/// <param name="Initramfs">An uncompressed cpio archive.</param>
public sealed record GuestFiles(string Kernel, string Initramfs);

/// <summary>The assets cannot be had; the message is one line for the user.</summary>
public sealed class GuestAssetsException(string message) : Exception(message);

/// <summary>Bytes of a download so far, and in total.</summary>
public readonly record struct FetchProgress(string What, long Bytes, long TotalBytes);

/// <summary>
/// Debian's kernel and busybox for the guest, fetched once from the archive that this host already uses, and cached. apt verifies
/// everything by the archive's signatures.
/// </summary>
public static class GuestAssets
{
    /// <summary><c>$XDG_CACHE_HOME/vmm</c>, by default <c>~/.cache/vmm</c>.</summary>
    public static string CacheFolder { get; } = Path.Combine(CacheHome(), "vmm");

    /// <returns>The files when they are in the cache, else null.</returns>
    public static GuestFiles? Cached(GuestFlavour flavour)
    {
        var files = new GuestFiles(KernelPath(flavour), Path.Combine(CacheFolder, "initramfs.cpio"));
        return File.Exists(files.Kernel) && File.Exists(files.Initramfs) ? files : null;
    }

    /// <summary>Fetches what the cache lacks. Safe to call from several processes at once.</summary>
    /// <exception cref="GuestAssetsException">The assets cannot be had.</exception>
    public static async Task<GuestFiles> EnsureAsync(
        GuestFlavour flavour, IProgress<FetchProgress>? progress = null, CancellationToken cancellation = default)
    {
        Directory.CreateDirectory(CacheFolder);
        await using FileStream held = await LockAsync(cancellation);
        if (!File.Exists(KernelPath(flavour)) || !File.Exists(BusyboxPath))
        {
            await FetchAsync(flavour, progress, cancellation);
        }

        // Built anew each time, so that a cache written by an older build never serves an older init.
        var files = new GuestFiles(KernelPath(flavour), Path.Combine(CacheFolder, "initramfs.cpio"));
        byte[] initramfs = Initramfs.Build(await File.ReadAllBytesAsync(BusyboxPath, cancellation));
        byte[]? present = File.Exists(files.Initramfs) ? await File.ReadAllBytesAsync(files.Initramfs, cancellation) : null;
        if (!initramfs.AsSpan().SequenceEqual(present))
        {
            await File.WriteAllBytesAsync(files.Initramfs + ".new", initramfs, cancellation);
            File.Move(files.Initramfs + ".new", files.Initramfs, overwrite: true);
        }

        return files;
    }

    private static string BusyboxPath => Path.Combine(CacheFolder, "busybox");

    private static string KernelPath(GuestFlavour flavour) =>
        Path.Combine(CacheFolder, $"vmlinuz-{flavour.ToString().ToLowerInvariant()}");

    private static string MetaPackage(GuestFlavour flavour) => flavour switch
    {
        GuestFlavour.Cloud => "linux-image-cloud-arm64",
        GuestFlavour.Generic => "linux-image-arm64",
        GuestFlavour.Pages16K => "linux-image-arm64-16k",
        _ => throw new ArgumentOutOfRangeException(nameof(flavour)),
    };

    private static async Task FetchAsync(GuestFlavour flavour, IProgress<FetchProgress>? progress, CancellationToken cancellation)
    {
        string work = Directory.CreateTempSubdirectory("vmm-fetch-").FullName;
        try
        {
            var apt = await AptArchive.OpenAsync(Path.Combine(CacheFolder, "apt"), cancellation);
            if (!File.Exists(KernelPath(flavour)))
            {
                string package = await apt.ResolveAsync(MetaPackage(flavour), "linux-image-", cancellation);
                string tree = await apt.FetchAsync(package, work, progress, cancellation);
                Keep(Directory.EnumerateFiles(Path.Combine(tree, "boot"), "vmlinuz-*").FirstOrDefault(), KernelPath(flavour), package);
            }

            if (!File.Exists(BusyboxPath))
            {
                string tree = await apt.FetchAsync("busybox-static", work, progress, cancellation);
                string[] places = [Path.Combine(tree, "usr/bin/busybox"), Path.Combine(tree, "bin/busybox")];
                Keep(places.FirstOrDefault(File.Exists), BusyboxPath, "busybox-static");
            }
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    // The copy may cross file systems; the rename that makes it visible does not.
    private static void Keep(string? file, string destination, string package)
    {
        File.Copy(file ?? throw new GuestAssetsException($"package {package} lacks the expected file"), destination + ".new", overwrite: true);
        File.Move(destination + ".new", destination, overwrite: true);
    }

    private static async Task<FileStream> LockAsync(CancellationToken cancellation)
    {
        while (true)
        {
            try
            {
                return new FileStream(Path.Combine(CacheFolder, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
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
