using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Vmm.Emulation.Tests.Simd;

/// <summary>One instruction and the state around it; the layout of <c>struct record</c> in <c>simd-runner.c</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct InstructionRecord
{
    public const int MemorySize = 1024;

    /// <summary>Guest address of <see cref="Memory"/>.</summary>
    public const ulong MemoryAddress = 0x5000_0000;

    public uint Word;
    public uint Undefined;
    public ulong Fpsr;
    public ulong Sp;
    public fixed ulong X[16];
    public fixed ulong V[64];
    public fixed byte Memory[MemorySize];
}

/// <summary>Runs records under qemu-aarch64-static, through a small program that is compiled on first use.</summary>
internal static class QemuRunner
{
    private static readonly Lazy<string> Program = new(Compile);

    public static InstructionRecord[] Run(ReadOnlySpan<InstructionRecord> records)
    {
        var start = new ProcessStartInfo("qemu-aarch64-static")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            ArgumentList = { "-cpu", "max", Program.Value },
        };
        using Process process = Process.Start(start)!;
        byte[] input = MemoryMarshal.AsBytes(records).ToArray();
        Task writer = Task.Run(() =>
        {
            process.StandardInput.BaseStream.Write(input);
            process.StandardInput.Close();
        });
        var output = new InstructionRecord[records.Length];
        process.StandardOutput.BaseStream.ReadExactly(MemoryMarshal.AsBytes(output.AsSpan()));
        writer.Wait();
        process.WaitForExit();
        return output;
    }

    private static string Compile()
    {
        string directory = Directory.CreateTempSubdirectory("vmm-simd-").FullName;
        string program = Path.Combine(directory, "simd-runner");
        string source = Path.Combine(AppContext.BaseDirectory, "Simd", "simd-runner.c");
        using Process compiler = Process.Start("aarch64-linux-gnu-gcc", ["-static", "-O1", "-o", program, source]);
        compiler.WaitForExit();
        return compiler.ExitCode == 0 ? program : throw new InvalidOperationException("aarch64-linux-gnu-gcc failed on simd-runner.c");
    }
}
