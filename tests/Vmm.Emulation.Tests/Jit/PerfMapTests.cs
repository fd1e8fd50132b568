using System.Globalization;
using System.Runtime.InteropServices;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Tests.InstructionOracle;

namespace Vmm.Emulation.Tests.Jit;

/// <summary>/tmp/perf-PID.map, as <c>perf</c> reads it.</summary>
public sealed unsafe partial class PerfMapTests
{
    private static readonly string s_path = $"/tmp/perf-{Environment.ProcessId}.map";

    [Fact]
    public void Thunks_and_blocks_are_named_without_gaps_or_overlaps()
    {
        File.Delete(s_path);
        string[] lines = Translate();
        string[] thunks = ["vmm:enter", "vmm:leave", "vmm:refill", "vmm:store-elements", "vmm:read-counter"];
        Assert.Equal(thunks, lines[..thunks.Length].Select(NameOf));

        // Two blocks: up to the branch, and what it jumps to. The ways out of blocks are a region of their own.
        string[] code = [.. lines.Where(line => !NameOf(line).EndsWith(":out", StringComparison.Ordinal))];
        string[] ways = [.. lines.Except(code)];
        Assert.Equal([$"guest:{OracleRecord.Code:x16}+2", $"guest:{OracleRecord.Code + 12:x16}+3"], code[thunks.Length..].Select(NameOf));
        Assert.Equal([$"guest:{OracleRecord.Code:x16}:out", $"guest:{OracleRecord.Code + 12:x16}:out"], ways.Select(NameOf));
        Assert.True(Start(code[^1]) + Size(code[^1]) < Start(ways[0]));
        foreach (string[] region in (string[][])[code, ways])
        {
            Assert.All(region, line => Assert.True(Size(line) > 0));
            for (int i = 1; i < region.Length; i++)
            {
                Assert.Equal(Start(region[i - 1]) + Size(region[i - 1]), Start(region[i]));
            }
        }
    }

    [Fact]
    public void Lines_of_the_runtime_and_ours_stand_side_by_side()
    {
        // As the runtime does: its own descriptor, not for appending.
        const int WriteOnlyCreateTruncate = 0x241;
        int file = OpenFile(s_path, WriteOnlyCreateTruncate, 0x1B4);
        try
        {
            byte[] line = "1000 10 of the runtime\n"u8.ToArray();
            Write(file, line, line.Length);
            PerfMap first = PerfMap.Open();
            first.AddBlock(new BlockCode((byte*)0x2000, (byte*)0x2010, (byte*)0x9000, (byte*)0x9010, (byte*)0x9020), 0, 0xFFFF_0000, 7);
            first.Dispose();
            Write(file, line, line.Length);
            Assert.Equal(
                [
                    "1000 10 of the runtime", "2000 10 guest:00000000ffff0000+7",
                    "9000 20 guest:00000000ffff0000:out", "1000 10 of the runtime",
                ],
                File.ReadAllLines(s_path));
        }
        finally
        {
            _ = Close(file);
            File.Delete(s_path);
        }
    }

    // nop; b over; (nothing); over: nop; wfi; undefined.
    private static string[] Translate()
    {
        using (var jit = new EngineUnderTest(CpuModel.Find("max")!, Accelerator.Jit))
        {
            jit.Translations!.PerfMap = PerfMap.Open();
            jit.PlantProgram([0xD503_201F, 0x1400_0002, 0, 0xD503_201F, 0xD503_207F, 0]);
            OracleRecord record = default;
            record.Pc = OracleRecord.Code;
            Assert.Equal(VcpuExit.WaitForInterrupt, jit.RunProgram(ref record, 100));
        }

        string[] lines = File.ReadAllLines(s_path);
        File.Delete(s_path);
        return lines;
    }

    private static string NameOf(string line) => line.Split(' ')[2];

    private static long Start(string line) => long.Parse(line.Split(' ')[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private static long Size(string line) => long.Parse(line.Split(' ')[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFile(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "write")]
    private static partial nint Write(int file, ReadOnlySpan<byte> bytes, nint count);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int file);
}
