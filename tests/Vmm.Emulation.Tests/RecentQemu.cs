using System.Diagnostics;

namespace Vmm.Emulation.Tests;

/// <summary>
/// QEMU 10 or later, which knows the extensions of <c>max</c>: <c>bench/fetch-qemu</c> gets it where the host has an older one.
/// </summary>
internal static class RecentQemu
{
    private static readonly Lazy<string[]> s_user = new(() => Fetch("user"));
    private static readonly Lazy<string[]> s_system = new(() => Fetch("aarch64"));

    /// <summary>The emulator of AArch64 programs: a command and its first arguments.</summary>
    public static string[] User => s_user.Value;

    /// <summary>The emulator of AArch64 machines: a command and its first arguments.</summary>
    public static string[] System => s_system.Value;

    private static string[] Fetch(string kind)
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Vmm.sln")))
        {
            folder = Path.GetDirectoryName(folder)!;
        }

        using Process process = Process.Start(
            new ProcessStartInfo(Path.Combine(folder, "bench", "fetch-qemu"), [kind]) { RedirectStandardOutput = true })!;
        string[] words = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return words;
    }
}
