using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Tests.InstructionOracle;

namespace Vmm.Emulation.Tests.Jit;

/// <summary>Code that is interpreted until it has been executed often enough to be translated.</summary>
public sealed class ColdCodeTests
{
    private const uint Wfi = 0xD503_207F;

    private static readonly CpuModel s_model = CpuModel.Find("max")!;

    // add x1, x1, #1; tbz x1, #0, 12; add x2, x2, #1; b 12; add x3, x3, #1; b 8; add x4, x4, #1; wfi.
    private static readonly uint[] s_program =
        [0x9100_0421, 0x3600_0061, 0x9100_0442, 0x1400_0003, 0x9100_0463, 0x1400_0002, 0x9100_0484, Wfi];

    /// <summary>
    /// The parts of a program, each up to a jump that is taken, are interpreted three times, and from then on nothing is; what comes out is
    /// the same before, meanwhile and after.
    /// </summary>
    [Fact]
    public void Code_is_translated_after_it_was_interpreted_often_enough()
    {
        using var engine = new EngineUnderTest(s_model, Accelerator.Jit, cold: 3);

        // The vCPU has run enough cold code before: cbz xzr, 8; nop; again and again.
        const int Jumps = 400;
        uint[] before = [.. Enumerable.Repeat<uint[]>([0xB400_005F, 0xD503_201F], Jumps).SelectMany(pair => pair), Wfi];
        engine.PlantProgram([.. before, .. s_program]);
        for (int round = 0; round < 20; round++)
        {
            OracleRecord record = default;
            record.Pc = OracleRecord.Code;
            engine.RunProgram(ref record, Jumps + 1);
        }

        long[] interpreted = [.. Enumerable.Range(0, 12).Select(round => Run(engine, (ulong)round, before.Length))];

        // Even rounds have two parts, because the first goes on where the branch is not taken, and odd rounds three. The first is
        // translated in round 3. The other of even rounds is executed for the third time in round 4, those of odd rounds in round 5.
        Assert.Equal([2, 3, 2, 2, 1, 2, 0, 0, 0, 0, 0, 0], interpreted);
    }

    /// <summary>
    /// A vCPU that has just begun interprets five times as often. What goes on in translated code is translated as always, so all is when
    /// the first part is.
    /// </summary>
    [Fact]
    public void Code_is_interpreted_more_often_at_first()
    {
        using var engine = new EngineUnderTest(s_model, Accelerator.Jit, cold: 3);
        engine.PlantProgram(s_program);
        long[] interpreted = [.. Enumerable.Range(0, 20).Select(round => Run(engine, (ulong)round, 0))];
        Assert.Equal([.. Enumerable.Range(0, 20).Select(round => round >= 15 ? 0L : round % 2 == 0 ? 2 : 3)], interpreted);
    }

    /// <summary>A branch to the next instruction is one instruction: a budget ends where it ends in the interpreter.</summary>
    [Fact]
    public void Branch_to_the_next_instruction_is_counted_once()
    {
        // b 4; cbz xzr, 4; b 4; cbz xzr, 4; wfi.
        uint[] program = [0x1400_0001, 0xB400_003F, 0x1400_0001, 0xB400_003F, Wfi];
        for (long budget = 1; budget <= program.Length; budget++)
        {
            using var interpreter = new EngineUnderTest(s_model, Accelerator.Interpreter);
            using var cold = new EngineUnderTest(s_model, Accelerator.Jit, cold: 3);
            interpreter.PlantProgram(program);
            cold.PlantProgram(program);
            OracleRecord theirs = default;
            theirs.Pc = OracleRecord.Code;
            OracleRecord ours = theirs;
            Assert.Equal(interpreter.RunProgram(ref theirs, budget), cold.RunProgram(ref ours, budget));
            Assert.Equal(theirs.Pc, ours.Pc);
        }
    }

    // Runs the program, so many words behind the begin, with a number in X1; how many parts were interpreted.
    private static unsafe long Run(EngineUnderTest engine, ulong number, int words)
    {
        long before = engine.Exits(ExitCounters.Cold);
        OracleRecord record = default;
        record.Pc = OracleRecord.Code + ((ulong)words * sizeof(uint));
        record.X[1] = number;
        record.X[2] = record.X[3] = record.X[4] = 100;
        engine.RunProgram(ref record, 100);
        bool isOdd = ((number + 1) & 1) != 0;
        Assert.Equal((number + 1, isOdd ? 101ul : 100, isOdd ? 100ul : 101), (record.X[1], record.X[2], record.X[3]));
        return engine.Exits(ExitCounters.Cold) - before;
    }
}
