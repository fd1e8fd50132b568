using System.CommandLine;
using Vmm.Host.Commands;

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
        var fetch = new Command("fetch", "Fetch a kernel of Debian's and busybox into the cache, and print their paths") { flavour, suite,
            release };
        fetch.SetAction((parsed, cancellation) =>
            RunAsync(parsed.GetValue(flavour)!, parsed.GetValue(suite)!, parsed.GetValue(release), cancellation));
        return new Command("guest", "Guest assets") { fetch };
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

    private static async Task<int> RunAsync(string flavour, string suite, string? release, CancellationToken cancellation)
    {
        try
        {
            var progress = new ProgressBar(System.Console.Error, !System.Console.IsErrorRedirected);
            GuestFiles files = await GuestAssets.EnsureAsync(Parse(flavour, suite, release), progress, cancellation);
            System.Console.WriteLine(files.Kernel);
            System.Console.WriteLine(files.Initramfs);
            return ExitCode.Success;
        }
        catch (Exception e) when (e is GuestAssetsException or IOException or UnauthorizedAccessException)
        {
            return await Complaint.Write(e.Message);
        }
    }

    // Joins words as "a, b or c".
    private static string Choices(IEnumerable<string> words) => string.Join(", ", words.SkipLast(1)) + " or " + words.Last();
}
