using System.Diagnostics;

namespace Vmm.Fleet.Tests.Page;

/// <summary>
/// A test in a browser. It is skipped where the build could not fetch Playwright (see <c>src/Npm.targets</c>) or node is too old for it,
/// but with <c>./test --all</c>.
/// </summary>
internal sealed class BrowserFactAttribute : FactAttribute
{
    // Of playwright-core 1.65.
    private const int OldestNode = 20;

    private static readonly string? s_reason = LongTests.SkipReason == null ? null : FindReason();

    public BrowserFactAttribute() => Skip = s_reason;

    private static string? FindReason() =>
        !File.Exists(Path.Combine(PageTests.Npm, "restored")) ? $"npm has not brought Playwright to {PageTests.Npm}: build with a network"
        : NodeVersion() is var version && version < OldestNode ? $"Playwright wants Node.js {OldestNode}, and here is {version}"
        : null;

    private static int NodeVersion()
    {
        using Process node = Process.Start(new ProcessStartInfo("node", "--version") { RedirectStandardOutput = true })!;
        string[] parts = node.StandardOutput.ReadToEnd().TrimStart('v').Split('.');
        node.WaitForExit();
        return int.Parse(parts[0], null);
    }
}
