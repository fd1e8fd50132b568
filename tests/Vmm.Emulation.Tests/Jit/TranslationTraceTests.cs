using System.Text;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Tests.InstructionOracle;
using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Tests.Jit;

/// <summary><c>--trace in_asm,op,out_asm</c>.</summary>
public sealed unsafe class TranslationTraceTests
{
    // subs x0, x0, #1; ldr x3, [x27]; subs x1, x1, #1; b.ne to the first; wfi; undefined.
    private static readonly uint[] s_words = [0xF100_0400, 0xF940_0363, 0xF100_0421, 0x54FF_FFA1, 0xD503_207F, 0];

    [Fact]
    public void InAsm_has_the_instructions_of_a_block()
    {
        string[] lines = Trace(TraceCategories.InAsm);
        Assert.Equal(s_words.Length, lines.Length);
        Assert.Equal("in_asm 0x0000000050000004 f9400363 LDR (unsigned offset) 64", lines[1]);
        Assert.Equal("in_asm 0x0000000050000014 00000000 UNDEFINED", lines[5]);
    }

    [Fact]
    public void Op_says_what_each_instruction_became()
    {
        string[] lines = Trace(TraceCategories.Op);
        Assert.Equal(s_words.Length, lines.Length);
        Assert.Matches("SUBS .*: emitted, [0-9]+ bytes, entry, flags dead$", lines[0]);
        Assert.Matches("LDR .*: emitted, [0-9]+ bytes, TLB probe$", lines[1]);
        Assert.Matches("SUBS .*: emitted, [0-9]+ bytes, flags wanted$", lines[2]);
        Assert.Matches("WFI: interpreted, [0-9]+ bytes$", lines[4]);
        Assert.Matches("UNDEFINED: interpreted, [0-9]+ bytes$", lines[5]);
    }

    [Fact]
    public void OutAsm_is_all_of_the_block_and_decodes()
    {
        string[] lines = Trace(TraceCategories.OutAsm);
        Assert.DoesNotContain(lines, line => line.Contains("(bad)", StringComparison.Ordinal));
        Assert.Equal(s_words.Length, lines.Count(line => !line.StartsWith("out_asm  ", StringComparison.Ordinal)));

        // Each call that leaves has what it says behind it.
        string[] calls = [.. lines.Where(line => line.Contains(" call ", StringComparison.Ordinal)
            && line.Contains(" ; ", StringComparison.Ordinal))];
        Assert.Equal(calls.Length, lines.Count(line => line.Contains(" .exit at ", StringComparison.Ordinal)));
        Assert.Contains(calls, line => line.EndsWith(" ; interpret", StringComparison.Ordinal));
        Assert.Contains(calls, line => line.EndsWith(" ; attention", StringComparison.Ordinal));
    }

    // The lines without their times.
    private static string[] Trace(TraceCategories category)
    {
        var stream = new MemoryStream();
        using (var trace = new TraceLog(stream, category))
        {
            using var jit = new EngineUnderTest(CpuModel.Find("max")!, Accelerator.Jit);
            jit.Translations!.TraceTo(trace);
            jit.PlantProgram(s_words);
            OracleRecord record = default;
            record.Pc = OracleRecord.Code;
            record.X[1] = 2;
            record.X[27] = OracleRecord.Window;
            Assert.Equal(VcpuExit.WaitForInterrupt, jit.RunProgram(ref record, 100));
        }

        return [.. Encoding.UTF8.GetString(stream.ToArray()).TrimEnd('\n').Split('\n')
            .Select(line => line[(line.IndexOf(' ', StringComparison.Ordinal) + 1)..])];
    }
}
