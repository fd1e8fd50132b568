using System.Globalization;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Tests.InstructionOracle;

namespace Vmm.Emulation.Tests.Jit;

/// <summary>What <c>info jit</c> says of programs whose every exit is known.</summary>
public sealed unsafe class JitReportTests
{
    private const uint Wfi = 0xD503_207F;

    [Fact]
    public void Exits_are_counted_by_reason_and_by_mnemonic()
    {
        EncodingRow untranslated = EncodingTable.Rows.First(row => row.Operation == Operation.Sm3ss1);
        uint[] words =
        [
            0xD280_00BC, // mov x28, #5
            untranslated.Value, // loop:
            untranslated.Value,
            0xF940_0363, // ldr x3, [x27]
            0xF100_079C, // subs x28, x28, #1
            0x54FF_FF81, // b.ne loop
            Wfi,
        ];
        Dictionary<string, long> report = Run(words, address: OracleRecord.Window);
        Assert.Equal(27, report["Executed"]);
        Assert.Equal(10, report[untranslated.Mnemonic]);
        Assert.Equal(1, report["WFI"]);
        Assert.Equal(11, report["not translated"]);
        Assert.Equal(1, report["LDR (unsigned offset) 64"]);
        Assert.Equal(1, report["TLB misses"]);
        Assert.Equal(0, report["rare cases"]);
        Assert.Equal(12, report["Interpreted"]);
        Assert.Equal(1, report["TLB fills"]);
    }

    [Fact]
    public void Access_over_two_pages_misses_the_TLB_each_time()
    {
        uint[] words = [0xD280_00BC, 0xF940_0363, 0xF100_079C, 0x54FF_FFC1, Wfi];
        Dictionary<string, long> report = Run(words, OracleRecord.Window + 0xFFC);
        Assert.Equal(5, report["LDR (unsigned offset) 64"]);
        Assert.Equal(5, report["TLB misses"]);
    }

    [Fact]
    public void Undefined_word_and_translated_code_are_counted()
    {
        Dictionary<string, long> report = Run([0xD503_201F, 0xD503_201F, 0x0000_0000], OracleRecord.Window);
        Assert.Equal(1, report["UNDEFINED"]);
        Assert.True(report["Blocks"] >= 1);
        Assert.True(report["Guest instructions"] >= 3);
        Assert.True(report["Host bytes"] >= 16);
    }

    // The first number of each line, by its title. The address is in X27.
    private static Dictionary<string, long> Run(uint[] words, ulong address)
    {
        using var jit = new EngineUnderTest(CpuModel.Find("max")!, Accelerator.Jit);
        jit.PlantProgram(words);
        OracleRecord record = default;
        record.Pc = OracleRecord.Code;
        record.X[27] = address;
        jit.RunProgram(ref record, 1000);
        var report = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (string line in jit.DescribeJit().Split('\n'))
        {
            string figure = line[32..].Trim().Split(' ', ',')[0];
            report[line[..32].Trim()] = long.TryParse(figure, NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value : -1;
        }

        return report;
    }
}
