using System.Diagnostics;

namespace Vmm.Benchmarks;

/// <summary>The program as <c>./vmm</c> builds it.</summary>
internal static class VmmBuild
{
    /// <summary>The root of the repository.</summary>
    public static string Root
    {
        get
        {
            string? folder = AppContext.BaseDirectory;
            while (folder != null && !File.Exists(Path.Combine(folder, "Vmm.sln")))
            {
                folder = Path.GetDirectoryName(folder);
            }

            return folder ?? throw new DirectoryNotFoundException("the benchmarks must run inside the repository");
        }
    }

    /// <summary>Builds it if need be, outside of what is measured; the command that starts it without the script.</summary>
    public static string[] Program()
    {
        using Process build = Process.Start(new ProcessStartInfo(Path.Combine(Root, "vmm"), ["--version"]) { RedirectStandardOutput = true })!;
        build.StandardOutput.ReadToEnd();
        build.WaitForExit();
        return build.ExitCode == 0 ? [Path.Combine(Root, "artifacts/vmm/vmm")] : throw new InvalidOperationException("vmm does not build");
    }
}
