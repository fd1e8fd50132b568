using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Tests.InstructionOracle;

namespace Vmm.Emulation.Tests.Jit;

/// <summary>Code that the guest changes: what is translated anew, and what stays.</summary>
public sealed unsafe class CodeChangeTests
{
    private const int LineWords = 16;
    private const uint Nop = 0xD503_201F;
    private const uint Wfi = 0xD503_207F;
    private const uint Ret = 0xD65F_03C0;

    /// <summary>Lines that hold what they held cost nothing, whatever the guest invalidates.</summary>
    [Fact]
    public void Same_bytes_keep_their_blocks()
    {
        using var jit = new EngineUnderTest(CpuModel.Find("max")!, Accelerator.Jit);
        uint[] program = Calls(1, 2);
        jit.PlantProgram(program);
        Assert.Equal(3ul, Run(jit));
        long blocks = jit.Translations!.Statistics.Blocks;
        for (int i = 0; i < 100; i++)
        {
            jit.PlantProgram(program);
            Assert.Equal(3ul, Run(jit));
        }

        Assert.Equal(blocks, jit.Translations.Statistics.Blocks);
        Assert.Equal(0, jit.Translations.Statistics.BlocksGivenUp);
    }

    /// <summary>A line that changed costs the block that it is part of, and no other of its page.</summary>
    [Fact]
    public void Changed_line_gives_up_its_own_block_only()
    {
        using var jit = new EngineUnderTest(CpuModel.Find("max")!, Accelerator.Jit);
        jit.PlantProgram(Calls(1, 2));
        Assert.Equal(3ul, Run(jit));
        long blocks = jit.Translations!.Statistics.Blocks;
        for (int i = 1; i <= 100; i++)
        {
            jit.PlantProgram(Calls(1, (uint)(2 + i)));
            Assert.Equal((ulong)(3 + i), Run(jit));
            Assert.Equal(i, jit.Translations.Statistics.BlocksGivenUp);
            Assert.Equal(blocks + i, jit.Translations.Statistics.Blocks);
        }
    }

    /// <summary>A jump into a block that was given up leads to the new one, and after one exit directly.</summary>
    [Fact]
    public void Jumps_into_a_block_that_was_given_up_are_linked_anew()
    {
        using var jit = new EngineUnderTest(CpuModel.Find("max")!, Accelerator.Jit);
        jit.PlantProgram(Jump(0));
        Assert.Equal(0ul, Run(jit));
        Assert.Equal(0ul, Run(jit));
        long links = jit.Exits(ExitCounters.Link);
        for (uint i = 1; i <= 10; i++)
        {
            jit.PlantProgram(Jump(i));
            Assert.Equal(i, jit.Translations!.Statistics.BlocksGivenUp);
            Assert.Equal(i, Run(jit));
            Assert.Equal(links + i, jit.Exits(ExitCounters.Link));
            long attention = jit.Exits(ExitCounters.Attention);
            Assert.Equal(i, Run(jit));
            Assert.Equal(links + i, jit.Exits(ExitCounters.Link));
            Assert.Equal(attention, jit.Exits(ExitCounters.Attention));
        }
    }

    /// <summary>
    /// A block leaves out flags that the code behind its jumps overwrites: it depends on that code, which is in another line.
    /// </summary>
    [Theory]
    [InlineData(Accelerator.Jit)]
    [InlineData(Accelerator.Interpreter)]
    [InlineData(Accelerator.Lockstep)]
    public void Block_is_given_up_for_a_line_that_it_only_looked_at(Accelerator accelerator)
    {
        using var engine = new EngineUnderTest(CpuModel.Find("max")!, accelerator);
        uint[] program = Nops(4);
        program[0] = 0xF100_001F; // cmp x0, #0: Z is 1
        program[1] = 0x1400_0000 | ((3 * LineWords) - 1); // b to the fourth line
        program[3 * LineWords] = 0xF100_041F; // cmp x0, #1: Z is 0
        program[(3 * LineWords) + 1] = 0x9A9F_17E1; // cset x1, eq
        program[(3 * LineWords) + 2] = Wfi;
        engine.PlantProgram(program);
        Assert.Equal(0ul, Run(engine));
        program[3 * LineWords] = Nop;
        engine.PlantProgram(program);
        Assert.Equal(1ul, Run(engine));
    }

    /// <summary>A loop that changes an instruction behind it, in its own line, with all that the architecture wants for it.</summary>
    [Theory]
    [InlineData(Accelerator.Jit)]
    [InlineData(Accelerator.Interpreter)]
    [InlineData(Accelerator.Lockstep)]
    public void Code_that_rewrites_its_own_line_executes_what_it_wrote(Accelerator accelerator)
    {
        const ulong rounds = 2000;
        using var engine = new EngineUnderTest(CpuModel.Find("max")!, accelerator);
        engine.PlantProgram(
        [
            0x1000_0154, // adr  x20, target
            0xD280_0001, // mov  x1, #0
            0xB940_0282, // loop: ldr w2, [x20]
            0x1100_8042, // add  w2, w2, #0x20
            0xB900_0282, // str  w2, [x20]
            0xD50B_7B34, // dc   cvau, x20
            0xD503_3B9F, // dsb  ish
            0xD50B_7534, // ic   ivau, x20
            0xD503_3B9F, // dsb  ish
            0xD503_3FDF, // isb
            0xD280_0003, // target: mov x3, #0
            0x8B03_0021, // add  x1, x1, x3
            0xEB16_007F, // cmp  x3, x22
            0x54FF_FEA3, // b.lo loop
            Wfi,
        ]);
        OracleRecord record = default;
        record.Pc = OracleRecord.Code;
        record.X[22] = rounds;
        Assert.Equal(VcpuExit.WaitForInterrupt, engine.RunProgram(ref record, 1_000_000));
        Assert.Equal(rounds * (rounds + 1) / 2, record.X[1]);
    }

    /// <summary>Code that is written for ever uses the room of its own garbage again, and what stays in force stays translated.</summary>
    [Fact]
    public void Garbage_makes_room_for_code_and_what_is_in_force_stays()
    {
        using var jit = new EngineUnderTest(CpuModel.Find("max")!, Accelerator.Jit, 4 << 20);
        jit.PlantProgram(Calls(0, 0));
        Assert.Equal(0ul, Run(jit));
        long blocks = jit.Translations!.Statistics.Blocks;
        uint written = 0;
        while (jit.Translations.GivenUp < 20)
        {
            Assert.True(++written < 100_000, $"given up {jit.Translations.GivenUp} times");
            jit.PlantProgram(Calls(0, written & 0xFFFF));
            Assert.Equal(written & 0xFFFF, Run(jit));
        }

        TranslationStatistics statistics = jit.Translations.Statistics;
        Assert.Equal(1, statistics.Pages);
        Assert.InRange(statistics.Used, 1, statistics.Capacity);
        Assert.InRange(statistics.Live, 1, 10_000);

        // What was in force in a segment was made again each time it was given up, at most.
        Assert.InRange(statistics.Blocks - blocks - written, 0, blocks * statistics.GivenUp);
    }

    // X1 = the sum of what two functions return in X0, each in a line of its own.
    private static uint[] Calls(uint first, uint second)
    {
        uint[] program = Nops(3);
        program[0] = 0x1000_0209; // adr x9, first
        program[1] = 0xD63F_0120; // blr x9
        program[2] = 0xAA00_03E1; // mov x1, x0
        program[3] = 0x1000_03A9; // adr x9, second
        program[4] = 0xD63F_0120; // blr x9
        program[5] = 0x8B00_0021; // add x1, x1, x0
        program[6] = Wfi;
        program[LineWords] = 0xD280_0000 | (first << 5); // first: mov x0, #…
        program[LineWords + 1] = Ret;
        program[2 * LineWords] = 0xD280_0000 | (second << 5); // second: mov x0, #…
        program[(2 * LineWords) + 1] = Ret;
        return program;
    }

    // A jump to a block that begins in one line, which says that flags are dead, and ends in another, with X1 = a number.
    private static uint[] Jump(uint number)
    {
        uint[] program = Nops(4);
        program[0] = 0x1400_0000 | (2 * LineWords); // b block
        program[2 * LineWords] = 0xF100_001F; // block: cmp x0, #0
        program[3 * LineWords] = 0xD280_0001 | (number << 5); // mov x1, #…
        program[(3 * LineWords) + 1] = Wfi;
        return program;
    }

    private static uint[] Nops(int lines)
    {
        var program = new uint[lines * LineWords];
        program.AsSpan().Fill(Nop);
        return program;
    }

    private static ulong Run(EngineUnderTest engine)
    {
        OracleRecord record = default;
        record.Pc = OracleRecord.Code;
        Assert.Equal(VcpuExit.WaitForInterrupt, engine.RunProgram(ref record, 10_000));
        return record.X[1];
    }
}
