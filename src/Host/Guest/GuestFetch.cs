using System.CommandLine;
using Vmm.Host.Commands;
using Vmm.Host.Guest.Disk;

namespace Vmm.Host.Guest;

/// <summary>The command <c>vmm guest fetch</c>: fills the cache and prints the paths.</summary>
public static class GuestFetch
{
    private static readonly Dictionary<string, GuestFlavour> s_flavours = new()
    {
        ["cloud"] = GuestFlavour.Cloud, ["generic"] = GuestFlavour.Generic, ["16k"] = GuestFlavour.Pages16K,
    };

    public static Command Create()
    {
        var flavour = new Option<string>("--flavour") { Description = Choices(s_flavours.Keys), DefaultValueFactory = _ => "cloud" };
        flavour.CompletionSources.Add([.. s_flavours.Keys]);
        var suite = new Option<string>("--suite") { Description = $"Debian's suite: {Choices(GuestKernel.Suites)}",
            DefaultValueFactory = _ => GuestKernel.DefaultSuite };
        suite.CompletionSources.Add([.. GuestKernel.Suites]);
        var release =
            new Option<string?>("--release") { Description = "a kernel release of the suite, such as 7.0, in place of its newest" };
        var disk = new Option<bool>("--disk")
        {
            Description = "make a disk with Debian trixie on it in place of that (some minutes), and print its path",
        };
        var fetch = new Command("fetch", "Fetch a kernel of Debian's and busybox into the cache, and print their paths") { flavour, suite,
            release, disk };
        fetch.SetAction((parsed, cancellation) => RunAsync(
            async progress => parsed.GetValue(disk) ? [await GuestDisk.EnsureAsync(progress, cancellation)]
                : await FilesAsync(Parse(parsed.GetValue(flavour)!, parsed.GetValue(suite)!, parsed.GetValue(release)), progress,
                    cancellation)));
        return new Command("guest", "Guest assets") { fetch, GuestSeed.Create() };
    }

    /// <summary>The kernel that the words of the command line name.</summary>
    /// <exception cref="GuestAssetsException">A word is unknown. The message lists those that are known.</exception>
    public static GuestKernel Parse(string flavour, string suite, string? release)
    {
        if (!s_flavours.TryGetValue(flavour, out GuestFlavour known))
        {
            throw new GuestAssetsException($"unknown flavour '{flavour}': {Choices(s_flavours.Keys)}");
        }

        if (!GuestKernel.Suites.Contains(suite))
        {
            throw new GuestAssetsException($"unknown suite '{suite}': {Choices(GuestKernel.Suites)}");
        }

        return release == null || GuestKernel.IsRelease(release)
            ? new GuestKernel(known, suite, release)
            : throw new GuestAssetsException($"--release takes the beginning of a kernel release, such as 7.0, not '{release}'");
    }

    private static async Task<string[]> FilesAsync(GuestKernel kernel, ProgressBar progress, CancellationToken cancellation)
    {
        GuestFiles files = await GuestAssets.EnsureAsync(kernel, progress, cancellation);
        return [files.Kernel, files.Initramfs];
    }

    private static async Task<int> RunAsync(Func<ProgressBar, Task<string[]>> fetch)
    {
        try
        {
            foreach (string path in await fetch(new ProgressBar(System.Console.Error, !System.Console.IsErrorRedirected)))
            {
                System.Console.WriteLine(path);
            }

            return ExitCode.Success;
        }
        catch (Exception e) when (e is GuestAssetsException or GuestSilentException or IOException or UnauthorizedAccessException)
        {
            return await Complaint.Write(e.Message);
        }
    }

    // Joins words as "a, b or c".
    private static string Choices(IEnumerable<string> words) => string.Join(", ", words.SkipLast(1)) + " or " + words.Last();
}
