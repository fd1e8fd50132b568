using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;

namespace Vmm.Emulation.Tests.InstructionOracle;

/// <summary>The independent implementation: oracle.c under QEMU's user mode.</summary>
internal sealed class QemuPeer : IDisposable
{
    public const int MaximumCases = 4096;
    public const int MaximumSlots = OracleRecord.CodeSize / OracleRecord.SlotSize;

    private readonly Process _process;
    private readonly string _program;

    /// <param name="vectorBytes">The vector length of SVE; 0 for a CPU without SVE.</param>
    public QemuPeer(int vectorBytes = 0)
    {
        string scalable = vectorBytes == 0 ? "sve=off" : $"sve-default-vector-length={vectorBytes}";
        string directory = Directory.CreateTempSubdirectory("vmm-oracle-").FullName;
        string source = Path.Combine(directory, "oracle.c");
        _program = Path.Combine(directory, "oracle");
        using (Stream resource = Assembly.GetExecutingAssembly().GetManifestResourceStream("oracle.c")!)
        using (FileStream file = File.Create(source))
        {
            resource.CopyTo(file);
        }

        using (Process compiler = Process.Start(
            "aarch64-linux-gnu-gcc",
            [
                "-O1", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-mgeneral-regs-only",

                // Where no register of a case happens to point.
                "-mcmodel=small", "-Wl,-Ttext-segment=0x5a5a5a5a0000", "-o", _program, source,
            ]))
        {
            compiler.WaitForExit();
            Assert.Equal(0, compiler.ExitCode);
        }

        _process = Process.Start(new ProcessStartInfo(
            RecentQemu.User[0], [.. RecentQemu.User[1..], "-cpu", $"max,{scalable},sme=off,pauth=off", _program])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
    }

    /// <summary>Runs a batch of one or two instructions in each slot; the records come back with the state afterwards.</summary>
    /// <exception cref="EndOfStreamException">The peer died.</exception>
    public void Run(ReadOnlySpan<ulong> slots, Span<OracleRecord> cases, Span<byte> scalable = default) =>
        Run(MemoryMarshal.Cast<ulong, uint>(slots), 2, OracleRecord.SlotSize, cases, scalable);

    /// <summary>The same of programs.</summary>
    /// <param name="words">Of all programs, one behind the other.</param>
    /// <param name="length">Words of each, filled up.</param>
    /// <param name="stride">Bytes from the place of one to that of the next.</param>
    /// <param name="scalable">With SVE the <see cref="ScalableRecord"/> of each case, in a row.</param>
    public void Run(ReadOnlySpan<uint> words, int length, int stride, Span<OracleRecord> cases, Span<byte> scalable = default)
    {
        Stream input = _process.StandardInput.BaseStream;
        input.Write(MemoryMarshal.AsBytes<int>([words.Length / length, length, stride, cases.Length]));
        input.Write(MemoryMarshal.AsBytes(words));
        input.Write(MemoryMarshal.AsBytes(cases));
        input.Write(scalable);
        input.Flush();
        _process.StandardOutput.BaseStream.ReadExactly(MemoryMarshal.AsBytes(cases));
        _process.StandardOutput.BaseStream.ReadExactly(scalable);
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(Patience.Limit))
        {
            _process.Kill();
        }

        _process.Dispose();
        Directory.Delete(Path.GetDirectoryName(_program)!, recursive: true);
    }
}
