using System.CommandLine;

namespace Vmm.Host.Guest;

/// <summary><c>vmm guest fetch</c>: fills the cache and prints the paths.</summary>
public static class GuestFetch
{
    public static Command Create()
    {
        var flavour = new Option<string>("--flavour") { Description = "cloud, generic or 16k", DefaultValueFactory = _ => "cloud" };
        var fetch = new Command("fetch", "Fetch Debian's kernel and busybox into the cache, and print their paths") { flavour };
        fetch.SetAction((parsed, cancellation) => RunAsync(parsed.GetValue(flavour)!, cancellation));
        return new Command("guest", "Guest assets") { fetch };
    }

    /// <returns>The flavour of a command line word, null when there is none of that name.</returns>
    public static GuestFlavour? ParseFlavour(string name) => name switch
    {
        "cloud" => GuestFlavour.Cloud,
        "generic" => GuestFlavour.Generic,
        "16k" => GuestFlavour.Pages16K,
        _ => null,
    };

    /// <returns>The exit code: 0, or 1 after one line on standard error.</returns>
    public static async Task<int> RunAsync(string flavourName, CancellationToken cancellation = default)
    {
        if (ParseFlavour(flavourName) is not { } flavour)
        {
            await System.Console.Error.WriteLineAsync($"vmm: unknown flavour '{flavourName}': cloud, generic or 16k");
            return 1;
        }

        try
        {
            GuestFiles files = await GuestAssets.EnsureAsync(flavour, new ProgressBar(System.Console.Error, !System.Console.IsErrorRedirected), cancellation);
            System.Console.WriteLine(files.Kernel);
            System.Console.WriteLine(files.Initramfs);
            return 0;
        }
        catch (GuestAssetsException e)
        {
            await System.Console.Error.WriteLineAsync($"vmm: {e.Message}");
            return 1;
        }
    }
}
