using System.Diagnostics;
using Vmm.Host.Guest;

namespace Vmm.Guest.Tests;

/// <summary>What the tests boot: Debian's kernels, busybox, and an init of our own; fetched and built once.</summary>
internal static class TestGuest
{
    private static readonly Lazy<byte[]> s_bareInitrd = new(BuildBareInitrd);

    /// <summary>Debian's arm64 cloud kernel.</summary>
    public static byte[] CloudKernel => File.ReadAllBytes(Files(GuestFlavour.Cloud).Kernel);

    /// <summary>An initial RAM disk with <c>tests/payloads/hotplug-init.c</c> as its first process.</summary>
    public static byte[] BareInitrd => s_bareInitrd.Value;

    public static GuestFiles Files(GuestFlavour flavour) => GuestAssets.EnsureAsync(flavour).GetAwaiter().GetResult();

    public static string Root
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

    private static byte[] BuildBareInitrd()
    {
        string output = Path.Combine(Path.GetTempPath(), $"vmm-init-{Environment.ProcessId}");
        try
        {
            Run(
                "aarch64-linux-gnu-gcc",
                $"-O1 -mgeneral-regs-only -nostdlib -static -ffreestanding -fno-builtin -o {output} {Path.Combine(Root, "tests/payloads/hotplug-init.c")}");
            var archive = new CpioArchive();
            archive.AddDirectory("dev");
            archive.AddCharacterDevice("dev/console", 5, 1);
            archive.AddFile("init", File.ReadAllBytes(output), 0x1ED);
            return archive.ToArray();
        }
        finally
        {
            File.Delete(output);
        }
    }

    /// <summary>Builds a C program of <c>tests/payloads</c> for the host; returns where it is.</summary>
    public static string BuildHostProgram(string name)
    {
        string output = Path.Combine(Path.GetTempPath(), $"vmm-{name}-{Environment.ProcessId}");
        Run("cc", $"-O1 -Wall -Wextra -Werror -o {output} {Path.Combine(Root, $"tests/payloads/{name}.c")}");
        return output;
    }

    private static void Run(string command, string arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardError = true })!;
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"{command} failed: {errors}");
        }
    }
}
