using System.Text.RegularExpressions;

namespace Vmm.Host.Guest;

/// <summary>The flavours of Debian's arm64 kernels that can be fetched.</summary>
public enum GuestFlavour
{
    /// <summary>A kernel for virtual machines: few drivers, 4K pages.</summary>
    Cloud,

    /// <summary>A kernel with all drivers and 4K pages.</summary>
    Generic,

    /// <summary>A kernel with all drivers and 16K pages.</summary>
    Pages16K,
}

/// <summary>One of Debian's arm64 kernels.</summary>
/// <param name="Suite">One of <see cref="Suites"/>.</param>
/// <param name="Release">The beginning of a kernel release, such as 7.0; the newest package with it is taken. Null for the kernel that the
/// suite installs by default.</param>
public sealed partial record GuestKernel(GuestFlavour Flavour = GuestFlavour.Cloud, string Suite = GuestKernel.DefaultSuite,
    string? Release = null)
{
    public const string DefaultSuite = "trixie";

    /// <summary>The suites of Debian's archive that have kernels with vCPU hotplug (Linux 6.11 and later).</summary>
    public static IReadOnlyList<string> Suites { get; } = [DefaultSuite, "trixie-backports", "sid", "bookworm-backports"];

    /// <summary>
    /// The name of the file in the cache: <c>vmlinuz-cloud</c>, <c>vmlinuz-cloud-sid</c>, <c>vmlinuz-cloud-trixie-backports-7.0</c>.
    /// </summary>
    public string FileName =>
        string.Join('-', ((string?[])["vmlinuz", Flavour.ToString().ToLowerInvariant(), Suite == DefaultSuite ? null : Suite, Release])
            .OfType<string>());

    /// <summary>The package that depends on the newest kernel of the suite.</summary>
    public string MetaPackage => $"linux-image-{Architecture}";

    // Debian's name of the flavour, which ends the names of its packages.
    private string Architecture => Flavour switch
    {
        GuestFlavour.Cloud => "cloud-arm64",
        GuestFlavour.Generic => "arm64",
        GuestFlavour.Pages16K => "arm64-16k",
        _ => throw new InvalidOperationException($"no flavour {Flavour}"),
    };

    /// <summary>Whether a text can be the beginning of a kernel release: numbers with points between them.</summary>
    public static bool IsRelease(string text) => ReleaseBegin().IsMatch(text);

    /// <summary>The newest package of this flavour and release.</summary>
    /// <param name="names">Names of packages.</param>
    /// <returns>Null if there is none.</returns>
    public string? Newest(IEnumerable<string> names)
    {
        var image = new Regex($@"^linux-image-(?<release>{Regex.Escape(Release ?? "")}(?![0-9])[0-9.]*)(\+[^-]*)?-{Architecture}$");
        return names.Select(name => (name, match: image.Match(name)))
            .Where(n => n.match.Success && Version.TryParse(n.match.Groups["release"].Value, out _))
            .OrderByDescending(n => Version.Parse(n.match.Groups["release"].Value)).Select(n => n.name).FirstOrDefault();
    }

    [GeneratedRegex(@"^[0-9]{1,4}(\.[0-9]{1,4}){0,3}$")]
    private static partial Regex ReleaseBegin();
}
