using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Lockstep;
using Vmm.Emulation.Tests.InstructionOracle;

namespace Vmm.Emulation.Tests.Jit;

/// <summary>Lockstep sees what is wrong in translated code: each test changes bytes of it, as a wrong emitter would.</summary>
public sealed unsafe class LockstepTests
{
    private const uint Wfi = 0xD503_207F;

    // MOVZ X0, #0x1234: an immediate.
    [Fact]
    public void Wrong_register_is_reported()
    {
        string report = Report([0xD282_4680], [0x34, 0x12, 0, 0], [0x35, 0x12, 0, 0]);
        Assert.Contains("X0           translated 0x0000000000001235, interpreted 0x0000000000001234", report, StringComparison.Ordinal);
        Assert.Contains("d2824680  MOVZ", report, StringComparison.Ordinal);
        Assert.Contains("mov esi, 0x1235", report, StringComparison.Ordinal);
        Assert.Contains("after 1 instructions from 0x0000000050000000", report, StringComparison.Ordinal);
    }

    // CMP X0, #0x77 of 0x77.
    [Fact]
    public void Wrong_flag_is_reported()
    {
        string report = Report([0xF101_DC1F], [0x83, 0xFE, 0x77], [0x83, 0xFE, 0x78]);
        Assert.Contains("Nzcv         translated 0x80000000, interpreted 0x60000000", report, StringComparison.Ordinal);
    }

    // STR X1, [X0, #8]: the value by another register, X2.
    [Fact]
    public void Wrong_value_in_memory_is_reported()
    {
        string report = Report([0xF900_0401], [0x48, 0x89, 0x3C, 0x08], [0x48, 0x89, 0x1C, 0x08], x0: OracleRecord.Window);
        Assert.Contains("memory 0x50080008 translated 22, interpreted 11", report, StringComparison.Ordinal);
    }

    // The same to another place: both the store that is too many and the one that is missing are seen.
    [Fact]
    public void Wrong_address_of_a_store_is_reported()
    {
        string report = Report([0xF900_0401], [0x48, 0x8D, 0x46, 0x08], [0x48, 0x8D, 0x46, 0x28], x0: OracleRecord.Window);
        Assert.Contains("memory 0x50080008 translated ", report, StringComparison.Ordinal);
        Assert.Contains("memory 0x50080028 translated 11, interpreted ", report, StringComparison.Ordinal);
    }

    // CBZ X0, .+8, with the other condition.
    [Fact]
    public void Wrong_way_of_a_branch_is_reported()
    {
        string report = Report([0xB400_0040, 0xD282_4680], [0x48, 0x85, 0xF6, 0x0F, 0x85], [0x48, 0x85, 0xF6, 0x0F, 0x84]);
        Assert.Contains("PC           translated 0x000000005000000", report, StringComparison.Ordinal);
    }

    // A loop in which only the last of many blocks is wrong: the report is of that block.
    [Fact]
    public void First_different_block_is_found()
    {
        // again: ADD X1, X1, #1; SUBS X0, X0, #1; B.NE again; MOVZ X3, #0x1234.
        string report = Report([0x9100_0421, 0xF100_0400, 0x54FF_FFC1, 0xD282_4683], [0x34, 0x12, 0, 0], [0x35, 0x12, 0, 0], x0: 20);
        Assert.Contains("X3           translated 0x0000000000001235, interpreted 0x0000000000001234", report, StringComparison.Ordinal);
        Assert.Contains("after 4 instructions from", report, StringComparison.Ordinal);
    }

    [Fact]
    public void What_agrees_is_counted_and_executed_once()
    {
        using var engine = new EngineUnderTest(CpuModel.Find("max")!, Accelerator.Lockstep);

        // LDADD X1, X2, [X0]; STR X1, [X0, #8].
        engine.PlantProgram([0xF821_0002, 0xF900_0401, Wfi]);
        for (ulong i = 1; i < 4; i++)
        {
            OracleRecord state = Start(OracleRecord.Window);
            Assert.Equal(VcpuExit.WaitForInterrupt, engine.RunProgram(ref state, 100));
            Assert.Equal(0ul, state.X[2]);
            Assert.Equal(0x11, state.Memory[0]);
            Assert.Equal(0x11, state.Memory[8]);
        }

        Assert.True(engine.LockstepInstructions >= 4);
    }

    private static OracleRecord Start(ulong x0)
    {
        var state = default(OracleRecord);
        state.Pc = OracleRecord.Code;
        state.X[0] = x0;
        state.X[1] = 0x1111_1111_1111_1111;
        state.X[2] = 0x2222_2222_2222_2222;
        return state;
    }

    // Runs a program, which ends well; then with bytes of its code changed. Returns what lockstep says.
    private static string Report(uint[] program, byte[] bytes, byte[] changed, ulong x0 = 0x77)
    {
        using var engine = new EngineUnderTest(CpuModel.Find("max")!, Accelerator.Lockstep);
        engine.PlantProgram([.. program, Wfi, Wfi]);
        OracleRecord state = Start(x0);
        for (int i = 0; i < 3; i++)
        {
            // Translated, linked, and with the TLB filled.
            OracleRecord first = state;
            Assert.Equal(VcpuExit.WaitForInterrupt, engine.RunProgram(ref first, 1000));
        }

        Span<byte> code = engine.TranslatedCode(OracleRecord.Code);
        int at = code.IndexOf(bytes);
        Assert.True(at >= 0, $"not in the code: {Convert.ToHexString(code)}");
        changed.CopyTo(code[at..]);
        return Assert.Throws<LockstepException>(() => engine.RunProgram(ref state, 1000)).Message;
    }
}
