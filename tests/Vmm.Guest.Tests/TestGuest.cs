using System.Diagnostics;
using System.Text;
using Vmm.Host.Guest;

namespace Vmm.Guest.Tests;

/// <summary>What the tests boot: Debian's kernels, busybox, and an init of our own; fetched and built once.</summary>
internal static class TestGuest
{
    private static readonly Lazy<byte[]> s_bareInitrd = new(BuildBareInitrd);

    /// <summary>
    /// Words for the kernel's command line, against what it says of a host that leaves it no time: a CPU counts as locked up after 120 s
    /// instead of 20, as stalled for RCU after 300 s instead of 21 (Linux, Documentation/admin-guide/kernel-parameters.txt).
    /// </summary>
    public const string Patient = "watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=300";

    /// <summary>Debian's arm64 cloud kernel.</summary>
    public static byte[] CloudKernel => File.ReadAllBytes(Files(GuestFlavour.Cloud).Kernel);

    /// <summary>An initial RAM disk with <c>tests/payloads/hotplug-init.c</c> as its first process.</summary>
    public static byte[] BareInitrd => s_bareInitrd.Value;

    public static GuestFiles Files(GuestFlavour flavour) => Files(new GuestKernel(flavour));

    public static GuestFiles Files(GuestKernel kernel) => GuestAssets.EnsureAsync(kernel).GetAwaiter().GetResult();

    /// <summary>The newest of the kernels that Debian serves: of what stable takes from backports and what is in unstable.</summary>
    public static GuestKernel Newest { get; } = ((GuestKernel[])[new(Suite: "trixie-backports"), new(Suite: "sid")])
        .MaxBy(k => Version.Parse(NumberOf(k)))!;

    /// <summary>What <c>uname -r</c> says, read from a kernel's image.</summary>
    public static string ReleaseOf(ReadOnlySpan<byte> kernel)
    {
        const string Banner = "Linux version ";
        ReadOnlySpan<byte> text = kernel[(kernel.IndexOf(Encoding.ASCII.GetBytes(Banner)) + Banner.Length)..];
        return Encoding.ASCII.GetString(text[..text.IndexOf((byte)' ')]);
    }

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

    // Such as 7.3.4.
    private static string NumberOf(GuestKernel kernel) => ReleaseOf(File.ReadAllBytes(Files(kernel).Kernel)).Split('+', '-')[0];

    private static byte[] BuildBareInitrd()
    {
        string output = Path.Combine(Path.GetTempPath(), $"vmm-init-{Environment.ProcessId}");
        try
        {
            Run(
                "aarch64-linux-gnu-gcc",
                $"-O1 -mgeneral-regs-only -nostdlib -static -ffreestanding -fno-builtin -o {output} "
                    + $"{Path.Combine(Root, "tests/payloads/hotplug-init.c")}");
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

    /// <summary>Builds a C program of <c>tests/payloads</c> for a guest: an archive to append to the initial RAM disk.</summary>
    public static byte[] BuildGuestProgram(string name)
    {
        string output = Path.Combine(Path.GetTempPath(), $"vmm-{name}-{Environment.ProcessId}");
        try
        {
            Run("aarch64-linux-gnu-gcc",
                $"-O1 -Wall -Wextra -Werror -static -o {output} {Path.Combine(Root, $"tests/payloads/{name}.c")}");
            var archive = new CpioArchive();
            archive.AddFile(name, File.ReadAllBytes(output), 0x1ED);
            return archive.ToArray();
        }
        finally
        {
            File.Delete(output);
        }
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
