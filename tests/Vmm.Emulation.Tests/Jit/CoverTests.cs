using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Tests.InstructionOracle;

namespace Vmm.Emulation.Tests.Jit;

/// <summary>Loads and stores at one base register that translated code looks up together, where that cannot be done.</summary>
public sealed unsafe class CoverTests
{
    private const uint Wfi = 0xD503_207F;
    private const ulong Border = OracleRecord.Window;
    private const ulong End = OracleRecord.Region + OracleRecord.RegionSize;

    private static readonly CpuModel s_model = CpuModel.Find("max")!;

    // Each accesses 32 bytes at X27, with X1–X4 as they come.
    private static readonly uint[][] s_programs =
    [
        [0xF940_0361, 0xF940_0762, 0xF940_0B63, 0xF940_0F64, Wfi], // ldr x1, [x27]; ldr x2, [x27, #8]; #16; #24
        [0xF900_0361, 0xF900_0762, 0xF900_0B63, 0xF900_0F64, Wfi], // str
        [0xA940_0B61, 0xA901_1363, 0xA941_0361, Wfi], // ldp x1, x2, [x27]; stp x3, x4, [x27, #16]; ldp x1, x0, [x27, #16]
        [0xA8C1_0B61, 0xA8C1_1363, 0xD100_837B, Wfi], // ldp x1, x2, [x27], #16; ldp x3, x4, [x27], #16; sub x27, x27, #32
        [0xA9BE_0B61, 0xA901_1363, 0xA8C2_0361, Wfi], // stp x1, x2, [x27, #-32]!; stp x3, x4, [x27, #16]; ldp x1, x0, [x27], #32
        [0xAD00_0361, 0x3DC0_0362, 0x3DC0_0763, Wfi], // stp q1, q0, [x27]; ldr q2, [x27]; ldr q3, [x27, #16]
        [0xF940_0361, 0xF900_0F62, 0xF940_0B63, 0xF900_0764, 0xF940_0F60, Wfi], // ldr, str, ldr, str, ldr
        // mov x0, #2; and in a loop ldr x1; ldr x2, #24; subs; b.ne
        [0xD280_0040, 0xF940_0361, 0xF940_0F62, 0xF100_0400, 0x54FF_FFA1, Wfi],
        [0x9100_037F, 0xF940_03E1, 0xF940_0FE2, 0xF900_07E1, Wfi], // mov sp, x27; ldr x1, [sp]; ldr x2, [sp, #24]; str x1, [sp, #8]
    ];

    /// <summary>The border of two pages at every place inside, again and again: what is found and written is the interpreter's.</summary>
    [Fact]
    public void Accesses_in_two_pages_are_taken_apart()
    {
        using var interpreter = new EngineUnderTest(s_model, Accelerator.Interpreter);
        using var jit = new EngineUnderTest(s_model, Accelerator.Jit);
        foreach (uint[] program in s_programs)
        {
            long before = jit.Exits(ExitCounters.Apart);
            interpreter.PlantProgram(program);
            jit.PlantProgram(program);
            for (int round = 0; round < 3; round++)
            {
                for (ulong offset = 0; offset <= 64; offset++)
                {
                    Compare(interpreter, jit, Border - 32 + offset);
                }
            }

            long taken = jit.Exits(ExitCounters.Apart) - before;
            Assert.True(taken is > 0 and < 10, $"{taken} times, of which each leads to code that is there the next time");
        }
    }

    /// <summary>The second page is not there: what comes before the fault has happened, and nothing after.</summary>
    [Fact]
    public void Fault_in_the_second_page_comes_at_its_instruction()
    {
        using var interpreter = new EngineUnderTest(s_model, Accelerator.Interpreter);
        using var jit = new EngineUnderTest(s_model, Accelerator.Jit);
        foreach (uint[] program in s_programs)
        {
            interpreter.PlantProgram(program);
            jit.PlantProgram(program);
            for (int round = 0; round < 3; round++)
            {
                Compare(interpreter, jit, Border);
                for (ulong offset = 0; offset <= 64; offset++)
                {
                    Compare(interpreter, jit, End - 48 + offset);
                }
            }
        }
    }

    private static void Compare(EngineUnderTest interpreter, EngineUnderTest jit, ulong address)
    {
        OracleRecord theirs = default;
        theirs.Pc = OracleRecord.Code;
        for (int i = 0; i < 31; i++)
        {
            theirs.X[i] = 0x0101_0101_0101_0101 * (ulong)(i + 1);
        }

        for (int i = 0; i < OracleRecord.WindowSize; i++)
        {
            theirs.Memory[i] = (byte)i;
        }

        theirs.X[27] = address;
        theirs.Sp = OracleRecord.Window + 128;
        OracleRecord ours = theirs;
        Assert.Equal(interpreter.RunProgram(ref theirs, 100), jit.RunProgram(ref ours, 100));
        Assert.True(
            new ReadOnlySpan<byte>(&ours, sizeof(OracleRecord)).SequenceEqual(new ReadOnlySpan<byte>(&theirs, sizeof(OracleRecord))),
            $"at {address:x}: PC {ours.Pc:x} and {theirs.Pc:x}, X1 {ours.X[1]:x} and {theirs.X[1]:x}, "
            + $"X2 {ours.X[2]:x} and {theirs.X[2]:x}, X27 {ours.X[27]:x} and {theirs.X[27]:x}");
    }
}
