using System.Diagnostics;

namespace Vmm.Emulation.Tests.SystemOracle;

/// <summary>
/// A bare-metal program of <c>tests/payloads/system</c>, built as an arm64 <c>Image</c>. It prints text on the PL011 and ends with PSCI
/// SYSTEM_OFF.
/// </summary>
internal sealed class SystemPayload : IDisposable
{
    /// <summary>What every payload prints last, so that a text that broke off is not taken for a whole one.</summary>
    public const string LastLine = "the end\n";

    private static readonly string[] Common = ["start.S", "payload.c", "mmu.c", "gic.c"];

    private readonly string _directory = Directory.CreateTempSubdirectory("vmm-payload-").FullName;

    /// <param name="name">Its file, without the extension.</param>
    /// <param name="defines">Macros for it, as <c>NAME=VALUE</c>.</param>
    /// <exception cref="InvalidOperationException">It does not compile; the message holds the compiler's.</exception>
    public SystemPayload(string name, params string[] defines)
    {
        string sources = Path.Combine(AppContext.BaseDirectory, "payloads", "system");
        string linked = Path.Combine(_directory, name + ".elf");
        Image = Path.Combine(_directory, name + ".Image");
        Execute(
            "aarch64-linux-gnu-gcc",
            [
                "-O1", "-Wall", "-Werror", "-march=armv8.2-a+ssbs+nolse", "-ffreestanding", "-nostdlib", "-static", "-fno-stack-protector",
                "-mgeneral-regs-only", "-mstrict-align", "-fno-pic", "-no-pie", "-fno-tree-loop-distribute-patterns",
                "-Wl,--build-id=none,--no-warn-rwx-segments", "-Wl,-T," + Path.Combine(sources, "payload.lds"), "-o", linked,
                .. defines.Select(define => "-D" + define),
                .. Common.Append(name + ".c").Select(file => Path.Combine(sources, file)),
            ]);
        Execute("aarch64-linux-gnu-objcopy", ["-O", "binary", linked, Image]);
    }

    /// <summary>The path of the <c>Image</c>.</summary>
    public string Image { get; }

    private static void Execute(string program, IEnumerable<string> arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"{program} failed:\n{errors}");
        }
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);
}
