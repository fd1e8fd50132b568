using Vmm.Host.Guest;
using Vmm.Host.Guest.Disk;

namespace Vmm.Benchmarks.Io;

/// <summary>Looks at a disk of Debian's after its machine has ended, by Debian's own tools.</summary>
internal static class DiskCheck
{
    /// <summary>What is wrong with an image; null for nothing.</summary>
    /// <param name="mayLeak">Whether clusters may be counted that nothing uses, which a repair gives back.</param>
    public static async Task<string?> OfImageAsync(string format, string image, bool mayLeak)
    {
        if (format == "raw")
        {
            return null;
        }

        // 3 is for such clusters alone (qemu-img(1)).
        (int code, string said) = await TryRunAsync("qemu-img", "check", "-f", format, image).ConfigureAwait(false);
        return code == 0 || (mayLeak && code == 3) ? null : $"qemu-img check: {said}";
    }

    /// <summary>What is wrong with the file system of the root partition, which a guest may have read-only; null for nothing.</summary>
    /// <param name="folder">Has room for the whole disk.</param>
    public static async Task<string?> OfFileSystemAsync(string format, string image, string folder)
    {
        string raw = image;
        if (format != "raw")
        {
            raw = Path.Combine(folder, "check.raw");
            await RunAsync("qemu-img", "convert", "-U", "-f", format, "-O", "raw", image, raw).ConfigureAwait(false);
        }

        (int status, string e2fsck) =
            await TryRunAsync("/usr/sbin/e2fsck", "-fn", $"{raw}?offset={DiskRecipe.RootOffset}").ConfigureAwait(false);
        return status == 0 ? null : $"e2fsck: {e2fsck}";
    }

    /// <summary>Runs a program of this host; what it printed.</summary>
    /// <exception cref="InvalidOperationException">It failed.</exception>
    public static async Task<string> RunAsync(string program, params string[] arguments)
    {
        (int code, string said) = await TryRunAsync(program, arguments).ConfigureAwait(false);
        return code == 0 ? said : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {said}");
    }

    private static async Task<(int Code, string Said)> TryRunAsync(string program, params string[] arguments)
    {
        (int code, string said, string error) = await HostTools.RunAsync(program, arguments, CancellationToken.None).ConfigureAwait(false);
        return (code, said + error);
    }
}
