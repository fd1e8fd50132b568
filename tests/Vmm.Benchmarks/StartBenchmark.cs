using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Vmm.Host.Guest;

namespace Vmm.Benchmarks;

/// <summary>
/// How long the host needs until a guest executes its first instruction, how many methods the .NET runtime compiles meanwhile, and how long
/// Debian's cloud kernel takes to its init: Vmm and QEMU in turn.
/// </summary>
/// <param name="qemu">QEMU's command; empty for Vmm alone.</param>
internal sealed class StartBenchmark(string vmm, IReadOnlyList<string> qemu, TextWriter output)
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(3);
    private static readonly string[] s_machine =
    [
        "-M", "virt,gic-version=3", "-cpu", "max", "-smp", "1", "-m", "512M", "-append", "console=ttyAMA0 quiet",
        "-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio",
    ];

    public async Task<int> RunAsync(int runs)
    {
        GuestFiles files = await GuestAssets.EnsureAsync(new GuestKernel()).ConfigureAwait(false);
        string folder = Directory.CreateTempSubdirectory("vmm-start-").FullName;
        try
        {
            string speaks = Path.Combine(folder, "Image");
            await File.WriteAllBytesAsync(speaks, FirstInstruction()).ConfigureAwait(false);
            await output.WriteLineAsync($"| milliseconds, {runs} runs | least | median | worst |\n|---|--:|--:|--:|").ConfigureAwait(false);
            await CompareAsync("to the guest's first instruction", runs, [.. s_machine, "-kernel", speaks, "-initrd", files.Initramfs], "G")
                .ConfigureAwait(false);
            await CompareAsync("to the init of Debian's kernel", runs,
                [.. s_machine, "-kernel", files.Kernel, "-initrd", files.Initramfs], Initramfs.Banner).ConfigureAwait(false);
            int compiled = await CountCompiledAsync(Path.Combine(folder, "compiled"),
                [.. s_machine, "-kernel", speaks, "-initrd", files.Initramfs]).ConfigureAwait(false);
            await output.WriteLineAsync($"\nMethods that the runtime compiles before the guest's first instruction: {compiled}")
                .ConfigureAwait(false);
            return 0;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private async Task CompareAsync(string what, int runs, string[] arguments, string until)
    {
        var ours = new double[runs];
        var theirs = new double[runs];
        for (int i = 0; i < runs; i++)
        {
            ours[i] = await MeasureAsync([vmm], arguments, until).ConfigureAwait(false);
            theirs[i] = qemu.Count == 0 ? 0 : await MeasureAsync(qemu, arguments, until).ConfigureAwait(false);
        }

        double mine = await ReportAsync($"Vmm {what}", ours).ConfigureAwait(false);
        if (qemu.Count > 0)
        {
            double other = await ReportAsync($"QEMU {what}", theirs).ConfigureAwait(false);
            await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"| Vmm ÷ QEMU | | {mine / other:F2} | |"))
                .ConfigureAwait(false);
        }
    }

    private async Task<double> ReportAsync(string what, double[] milliseconds)
    {
        Array.Sort(milliseconds);
        double median = milliseconds[milliseconds.Length / 2];
        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
            $"| {what} | {milliseconds[0]:F0} | {median:F0} | {milliseconds[^1]:F0} |")).ConfigureAwait(false);
        return median;
    }

    private async Task<int> CountCompiledAsync(string list, string[] arguments)
    {
        await MeasureAsync([vmm], arguments, "G", ("DOTNET_JitStdOutFile", list), ("DOTNET_JitDisasmSummary", "1")).ConfigureAwait(false);
        return (await File.ReadAllLinesAsync(list).ConfigureAwait(false)).Length;
    }

    // Milliseconds from the start of the process until it has printed the text.
    private static async Task<double> MeasureAsync(
        IReadOnlyList<string> program, string[] arguments, string until, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(program[0], [.. program.Skip(1), .. arguments])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true,
        };
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        var clock = Stopwatch.StartNew();
        using Process guest = Process.Start(start)!;
        using var timeout = new CancellationTokenSource(s_patience);
        var said = new StringBuilder();
        byte[] buffer = new byte[4096];
        try
        {
            while (!said.ToString().Contains(until, StringComparison.Ordinal))
            {
                int count = await guest.StandardOutput.BaseStream.ReadAsync(buffer, timeout.Token).ConfigureAwait(false);
                said.Append(count > 0
                    ? Encoding.UTF8.GetString(buffer, 0, count)
                    : throw new InvalidOperationException($"{program[0]} ended too early: {said}"));
            }

            return clock.Elapsed.TotalMilliseconds;
        }
        finally
        {
            guest.Kill(entireProcessTree: true);
            await guest.WaitForExitAsync().ConfigureAwait(false);
        }
    }

    // An Image (Documentation/arch/arm64/booting.rst) that writes a letter to the PL011, which is at 0x0900_0000, and waits for ever.
    private static byte[] FirstInstruction()
    {
        const uint HeaderBytes = 64;
        const uint ImageBytes = 0x1_0000;
        byte[] image = new byte[ImageBytes];
        uint[] code =
        [
            0xD2A12001, // movz x1, #0x900, lsl #16
            0x528008E0, // movz w0, #'G'
            0xB9000020, // str w0, [x1]
            0xD503207F, // wfi
            0x17FFFFFF, // b to the wfi
        ];
        BinaryPrimitives.WriteUInt32LittleEndian(image, 0x14000000 | (HeaderBytes / 4)); // b to the code
        BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(16), ImageBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(24), 0xA); // little-endian, 4 KiB pages, anywhere in memory
        "ARM\x64"u8.CopyTo(image.AsSpan(56));
        for (int i = 0; i < code.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan((int)HeaderBytes + (i * 4)), code[i]);
        }

        return image;
    }
}
