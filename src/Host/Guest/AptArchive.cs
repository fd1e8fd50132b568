using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace Vmm.Host.Guest;

/// <summary>The file of a package in apt's cache.</summary>
/// <param name="Name">Such as <c>grep_3.11-4+b1_arm64.deb</c>; in a version's epoch <c>%3a</c> stands for the colon.</param>
/// <param name="Length">In bytes.</param>
internal readonly record struct DebFile(string Name, long Length);

/// <summary>
/// Debian's arm64 archive through the host's apt, without root and without touching the host's own package state: apt keeps lists,
/// cache and sources in a folder of ours (apt.conf(5), the Dir options), and checks signatures as always.
/// </summary>
internal sealed class AptArchive
{
    private static readonly string[] Keyrings =
    [
        "/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg",
    ];

    private static readonly string[] Lean = ["--no-install-recommends"];

    private readonly string[] _options;

    private AptArchive(string[] options) => _options = options;

    /// <param name="folder">The folder of apt's private state. It must be for this suite alone, because apt deletes the lists of other
    /// sources. It is made if it is missing.</param>
    /// <param name="suite">A suite of the archive, such as <c>trixie-backports</c>.</param>
    /// <param name="cancellation">Ends the running apt.</param>
    public static async Task<AptArchive> OpenAsync(string folder, string suite, CancellationToken cancellation)
    {
        string keyring = Keyrings.FirstOrDefault(File.Exists)
            ?? throw new GuestAssetsException("no Debian archive keyring on this host; as root: apt-get install debian-archive-keyring");
        string targets = await RunAsync(
            "apt-get", ["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"], null, cancellation);
        string uri = ArchiveUri(targets)
            ?? throw new GuestAssetsException("apt knows no Debian archive on this host; as root: apt-get update");

        foreach (string name in (ReadOnlySpan<string>)["lists/partial", "cache/archives/partial", "parts"])
        {
            Directory.CreateDirectory(Path.Combine(folder, name));
        }

        string sources = Path.Combine(folder, "sources.list");
        await File.WriteAllTextAsync(sources, $"deb [signed-by={keyring}] {uri} {suite} main\n", cancellation);
        var archive = new AptArchive(
        [
            "-oAPT::Architecture=arm64", "-oAPT::Architectures=arm64", "-oAPT::Sandbox::User=", "-oAcquire::Languages=none",
            $"-oDir::State::Lists={folder}/lists", "-oDir::State::status=/dev/null", $"-oDir::Cache={folder}/cache",
            $"-oDir::Etc::SourceList={sources}", $"-oDir::Etc::SourceParts={folder}/parts",
        ]);
        await RunAsync("apt-get", [.. archive._options, "-q", "-oAPT::Update::Error-Mode=any", "update"], null, cancellation);
        return archive;
    }

    /// <summary>
    /// The name with a prefix among the packages that a package depends on. Meta packages depend on the newest point release, and since
    /// Linux 6.19 Debian's linux-image packages are empty and depend on a linux-binary package.
    /// </summary>
    /// <returns>Null if the package depends on none with that prefix.</returns>
    public async Task<string?> ResolveAsync(string package, string prefix, CancellationToken cancellation) =>
        Dependency(await RunAsync("apt-cache", [.. _options, "show", "--no-all-versions", package], null, cancellation), prefix);

    /// <summary>The names of the suite's packages that begin with a prefix.</summary>
    public async Task<string[]> NamesAsync(string prefix, CancellationToken cancellation) =>
        (await RunAsync("apt-cache", [.. _options, "pkgnames", prefix], null, cancellation))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>
    /// The packages that an empty system needs for some, as file names of apt's cache, in an order in which they can be installed.
    /// </summary>
    /// <param name="packages">Names, or patterns of apt (apt-patterns(7)).</param>
    public async Task<DebFile[]> ClosureAsync(string[] packages, CancellationToken cancellation) =>
        Files(await RunAsync("apt-get", [.. _options, .. Lean, "-qq", "--print-uris", "install", .. packages], null, cancellation));

    /// <summary>Downloads what <see cref="ClosureAsync"/> lists, into a folder.</summary>
    public async Task DownloadAsync(
        string[] packages, string folder, string what, IProgress<FetchProgress>? progress, CancellationToken cancellation)
    {
        long total = (await ClosureAsync(packages, cancellation)).Sum(file => file.Length);
        Directory.CreateDirectory(Path.Combine(folder, "partial"));
        Task download = RunAsync("apt-get",
            [.. _options, .. Lean, $"-oDir::Cache::archives={folder}", "-y", "-qq", "--download-only", "install", .. packages],
            null, cancellation);
        while (await Task.WhenAny(download, Task.Delay(250, cancellation)) != download)
        {
            progress?.Report(new FetchProgress(what, Math.Min(BytesIn(folder), total - 1), total));
        }

        await download;
        progress?.Report(new FetchProgress(what, total, total));
    }

    /// <summary>Unpacks the file of a package into a folder.</summary>
    public static Task UnpackAsync(string deb, string folder, CancellationToken cancellation) =>
        RunAsync("dpkg-deb", ["-x", deb, folder], null, cancellation);

    /// <summary>Downloads and unpacks a package.</summary>
    /// <returns>The folder with the unpacked files.</returns>
    public async Task<string> FetchAsync(string package, string folder, IProgress<FetchProgress>? progress, CancellationToken cancellation)
    {
        string listing = await RunAsync("apt-get", [.. _options, "-qq", "--print-uris", "download", package], folder, cancellation);
        long total = DownloadSize(listing);
        Task<string> download = RunAsync("apt-get", [.. _options, "-qq", "download", package], folder, cancellation);
        while (await Task.WhenAny(download, Task.Delay(250, cancellation)) != download)
        {
            // The end of a download is reported once, after apt has checked the file.
            progress?.Report(new FetchProgress(package, Math.Min(BytesSoFar(folder, package), total - 1), total));
        }

        await download;
        progress?.Report(new FetchProgress(package, total, total));
        string deb = Directory.EnumerateFiles(folder, $"{package}_*.deb").FirstOrDefault()
            ?? throw new GuestAssetsException($"apt-get download {package} left no file");
        string tree = Path.Combine(folder, package);
        await UnpackAsync(deb, tree, cancellation);
        return tree;
    }

    /// <returns>The first main archive in lines "URI RELEASE COMPONENT". Security updates are in a separate archive, which does not have
    /// the suite.</returns>
    internal static string? ArchiveUri(string targets) =>
        targets.Split('\n').Select(line => line.Split(' '))
            .FirstOrDefault(f => f is [var uri, var release, "main", ..]
                && uri.TrimEnd('/').EndsWith("/debian", StringComparison.Ordinal)
                && !release.Contains("security", StringComparison.Ordinal))?[0];

    /// <returns>The first dependency with that prefix in a package's stanza, without its version.</returns>
    internal static string? Dependency(string stanza, string prefix) =>
        stanza.Split('\n').Where(line => line.StartsWith("Depends: ", StringComparison.Ordinal))
            .SelectMany(line => line["Depends: ".Length..].Split(',', StringSplitOptions.TrimEntries))
            .Select(dependency => dependency.Split(' ')[0])
            .FirstOrDefault(name => name.StartsWith(prefix, StringComparison.Ordinal));

    /// <returns>The sizes in lines "'URI' NAME SIZE HASH".</returns>
    internal static long DownloadSize(string listing) => Files(listing).Sum(file => file.Length);

    /// <returns>The files in lines "'URI' NAME SIZE HASH".</returns>
    internal static DebFile[] Files(string listing) =>
    [
        .. listing.Split('\n').Select(line => line.Split(' ')).Where(f => f.Length >= 3 && f[0].StartsWith('\''))
            .Select(f => new DebFile(f[1], long.Parse(f[2], CultureInfo.InvariantCulture))),
    ];

    // What is complete, and what is under way.
    private static long BytesIn(string folder) =>
        new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Exists ? file.Length : 0);

    private static long BytesSoFar(string folder, string package) =>
        new DirectoryInfo(folder).EnumerateFiles($"{package}_*").Sum(file => file.Exists ? file.Length : 0);

    private static async Task<string> RunAsync(string program, string[] arguments, string? folder, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.WorkingDirectory = folder ?? "/";
        start.Environment["LC_ALL"] = "C";
        try
        {
            using Process process = Process.Start(start)!;
            using CancellationTokenRegistration kill = cancellation.Register(process.Kill);
            Task<string> errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
            string output = await process.StandardOutput.ReadToEndAsync(CancellationToken.None);
            await process.WaitForExitAsync(CancellationToken.None);
            cancellation.ThrowIfCancellationRequested();
            if (process.ExitCode == 0)
            {
                return output;
            }

            string? reason = (await errors).Split('\n').FirstOrDefault(line => line.StartsWith("E: ", StringComparison.Ordinal));
            throw new GuestAssetsException($"{program} failed: {reason?[3..] ?? $"exit code {process.ExitCode}"}");
        }
        catch (Win32Exception)
        {
            throw new GuestAssetsException($"{program} is not on this host; the guest assets need a Debian host");
        }
    }
}
