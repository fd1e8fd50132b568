using System.Diagnostics;

namespace Vmm.Guest.Tests;

/// <summary>The guest's kernel and initial RAM disk, fetched and built once.</summary>
internal static class GuestFiles
{
    private static readonly Lazy<byte[]> CloudKernelOnce = new(() => File.ReadAllBytes(Run(Path.Combine(Root, "scripts/fetch-guest"), "").Trim()));
    private static readonly Lazy<byte[]> InitrdOnce = new(BuildInitrd);

    /// <summary>Debian's arm64 cloud kernel.</summary>
    public static byte[] CloudKernel => CloudKernelOnce.Value;

    /// <summary>An initial RAM disk with <c>tests/payloads/hotplug-init.c</c> as its first process.</summary>
    public static byte[] Initrd => InitrdOnce.Value;

    private static string Root
    {
        get
        {
            string? folder = AppContext.BaseDirectory;
            while (folder != null && !File.Exists(Path.Combine(folder, "Vmm.sln")))
            {
                folder = Path.GetDirectoryName(folder);
            }

            return folder ?? throw new DirectoryNotFoundException("the tests must run inside the repository");
        }
    }

    private static byte[] BuildInitrd()
    {
        string output = Path.Combine(Path.GetTempPath(), $"vmm-init-{Environment.ProcessId}");
        try
        {
            Run(
                "aarch64-linux-gnu-gcc",
                $"-O1 -mgeneral-regs-only -nostdlib -static -ffreestanding -fno-builtin -o {output} {Path.Combine(Root, "tests/payloads/hotplug-init.c")}");
            return new Cpio().AddFolder("dev").AddCharacterDevice("dev/console", 5, 1).AddFile("init", File.ReadAllBytes(output)).ToArray();
        }
        finally
        {
            File.Delete(output);
        }
    }

    private static string Run(string command, string arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{command} failed: {errors.Result}");
    }
}
