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

    /// <summary>
    /// The command that starts a build: a program, or an assembly for <c>dotnet</c>. Null stands for the build of this clone, which is
    /// made first if need be, outside of what is measured.
    /// </summary>
    public static string[] Program(string? build = null)
    {
        if (build != null)
        {
            return build.EndsWith(".dll", StringComparison.Ordinal) ? ["dotnet", build] : [build];
        }

        using Process builder = Process.Start(
            new ProcessStartInfo(Path.Combine(Root, "vmm"), ["--version"]) { RedirectStandardOutput = true })!;
        builder.StandardOutput.ReadToEnd();
        builder.WaitForExit();
        return builder.ExitCode == 0
            ? [Path.Combine(Root, "artifacts/vmm/vmm")]
            : throw new InvalidOperationException("vmm does not build");
    }
}
