using System.Globalization;
using System.Text;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Lockstep;
using Vmm.Emulation.Tests.InstructionOracle;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Jit;

/// <summary>
/// Random programs of user mode (<see cref="ProgramGenerator"/>): every register, flag and byte of the window agrees at the end, in both
/// engines and under QEMU. How long: <see cref="FuzzRun"/>.
/// </summary>
public sealed unsafe class ProgramFuzzTests(ITestOutputHelper output)
{
    private const uint Wfi = 0xD503_207F;
    private const int StatesPerProgram = 4;
    private const int PerBatch = 64;
    private const int Stride = OracleRecord.CodeSize / PerBatch;
    private const long Budget = 20_000;

    // The cumulative flags and QC.
    private const uint FpsrMask = 0x0800_009F;

    private static readonly CpuModel s_model = CpuModel.Find("max")!;

    /// <param name="vectorBytes">The length of the vectors of SVE; 0 for a CPU without.</param>
    [Theory]
    [InlineData(0)]
    [InlineData(16)]
    [InlineData(32)]
    [InlineData(64)]
    public void Fuzz_user_programs_end_alike_in_both_engines(int vectorBytes)
    {
        var run = new FuzzRun(programs: vectorBytes == 0 ? 1500 : 500);
        using var interpreter = new EngineUnderTest(ModelOf(vectorBytes), Accelerator.Interpreter);
        using var jit = new EngineUnderTest(ModelOf(vectorBytes), Accelerator.Jit);
        byte[] ourVectors = new byte[ScalableRecord.Size(vectorBytes)];
        byte[] theirVectors = new byte[ourVectors.Length];
        (int ended, int faulted, int runs) = (0, 0, 0);
        foreach (int[] batch in run.Batches(PerBatch))
        {
            uint[][] programs = [.. batch.Select(program => Generate(run, program, 2, 60, Wfi, forQemu: false, vectorBytes).Words)];
            uint[] words = Lay(batch, programs, Stride / 4, Wfi);
            interpreter.PlantProgram(words);
            jit.PlantProgram(words);
            for (int i = 0; i < batch.Length; i++)
            {
                CaseGenerator random = Generate(run, batch[i], 2, 60, Wfi, forQemu: false, vectorBytes).Random;
                for (int n = 0; n < StatesPerProgram; n++, runs++)
                {
                    OracleRecord start = State(random, n, Place(batch[i]));
                    if (n == StatesPerProgram - 1)
                    {
                        // Memory at the border of a page: of what lies before the window only registers tell.
                        start.X[ProgramGenerator.Base] = OracleRecord.Window + 8;
                    }

                    Fill(run, batch[i], n, ref start, ourVectors, vectorBytes);
                    ourVectors.CopyTo(theirVectors, 0);
                    OracleRecord theirs = start;
                    OracleRecord ours = start;
                    VcpuExit theirExit = RunProgram(interpreter, ref theirs, theirVectors, vectorBytes);
                    VcpuExit ourExit = RunProgram(jit, ref ours, ourVectors, vectorBytes);
                    if (theirExit != VcpuExit.WaitForInterrupt)
                    {
                        continue;
                    }

                    ended += theirs.End == 0 ? 1 : 0;
                    faulted += theirs.End == 0 ? 0 : 1;
                    string difference = Difference(ours, theirs, flags: theirs.End == 0, uint.MaxValue)
                        + Difference(ourVectors, theirVectors, vectorBytes);
                    if (ourExit != theirExit || difference.Length != 0)
                    {
                        Assert.Fail(
                            $"{run.Name(batch[i])}, state {n}: JIT left with {ourExit} {(OracleEnd)ours.End}\n{difference}"
                            + FuzzRun.List(programs[i], start.Pc)
                            + InLockstep(words, start, Filled(run, batch[i], n, vectorBytes), vectorBytes));
                    }
                }
            }
        }

        output.WriteLine(run.Figure(
            $"user programs, SVE {vectorBytes}, JIT against interpreter", $"{ended} runs to the end and {faulted} to a fault agree"));
        Assert.True(ended + faulted > runs * 9 / 10);
        Assert.True(ended > runs / 2);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(16)]
    [InlineData(32)]
    public void Fuzz_user_programs_end_alike_under_qemu(int vectorBytes)
    {
        var run = new FuzzRun(programs: vectorBytes == 0 ? 2500 : 600);
        using var qemu = new QemuPeer(vectorBytes);
        using var jit = new EngineUnderTest(ModelOf(vectorBytes), Accelerator.Jit);
        int size = ScalableRecord.Size(vectorBytes);
        (int ended, int faulted, int runs) = (0, 0, 0);
        foreach (int[] batch in run.Batches(PerBatch))
        {
            var programs = new uint[batch.Length][];
            var states = new OracleRecord[batch.Length * StatesPerProgram];
            byte[] ourVectors = new byte[states.Length * size];
            for (int i = 0; i < batch.Length; i++)
            {
                (programs[i], CaseGenerator random) = Generate(run, batch[i], 8, 32, OracleRecord.Breakpoint, forQemu: true, vectorBytes);
                for (int n = 0; n < StatesPerProgram; n++)
                {
                    int state = (i * StatesPerProgram) + n;
                    states[state] = State(random, n, Place(batch[i]));

                    // With the others QEMU is wrong (ScalableOracleTests.WrongControl).
                    states[state].Fpcr &= CaseGenerator.CommonControl;
                    Fill(run, batch[i], n, ref states[state], ourVectors.AsSpan(state * size, size), vectorBytes);
                }
            }

            uint[] words = Lay(batch, programs, Stride / 4, OracleRecord.Breakpoint);
            var theirs = (OracleRecord[])states.Clone();
            byte[] theirVectors = (byte[])ourVectors.Clone();
            qemu.Run(words, Stride / 4, Stride, theirs, theirVectors);
            jit.PlantProgram(words);
            for (int i = 0; i < states.Length; i++, runs++)
            {
                OracleRecord ours = states[i];
                Span<byte> our = ourVectors.AsSpan(i * size, size);
                RunProgram(jit, ref ours, our, vectorBytes);
                bool done = theirs[i].End == (ulong)OracleEnd.Done;
                ended += done ? 1 : 0;
                faulted += done ? 0 : 1;
                string difference = done && ours.End == theirs[i].End
                    ? Difference(ours, theirs[i], flags: true, FpsrMask)
                        + Difference(our, theirVectors.AsSpan(i * size, size), vectorBytes)
                    : ours.Pc == theirs[i].Pc && ours.End != 0 && IsMemoryFault(ours.End) == IsMemoryFault(theirs[i].End) ? ""
                    : $"ended at {ours.Pc:x} not {theirs[i].Pc:x}\n";
                if (difference.Length != 0)
                {
                    Assert.Fail(
                        $"{run.Name(batch[i / StatesPerProgram])}, state {i % StatesPerProgram}: JIT left with {(OracleEnd)ours.End}, "
                        + $"QEMU with {(OracleEnd)theirs[i].End}\n{difference}"
                        + FuzzRun.List(programs[i / StatesPerProgram], states[i].Pc));
                }
            }
        }

        output.WriteLine(run.Figure(
            $"user programs, SVE {vectorBytes}, JIT against QEMU", $"{ended} runs to the end and {faulted} to a fault agree"));
        Assert.True(ended > runs / 2);
    }

    /// <summary>Low and misaligned addresses: what an empty entry of a jump cache, or a cleared one, must not answer to.</summary>
    [Fact]
    public void Branch_to_an_address_without_code_ends_alike_in_both_engines()
    {
        using var interpreter = new EngineUnderTest(s_model, Accelerator.Interpreter);
        using var jit = new EngineUnderTest(s_model, Accelerator.Jit);
        uint[] words = [0xD61F_0000];
        interpreter.PlantProgram(words);
        jit.PlantProgram(words);
        OracleRecord ours = State(new CaseGenerator(1), 0, OracleRecord.Code);
        for (ulong target = 0; target < 10_000; target++)
        {
            ours.Pc = OracleRecord.Code;
            ours.X[0] = target % 3 == 0 ? target : target % 3 == 1 ? ~target : (target << 12) | 1;
            OracleRecord theirs = ours;
            Assert.Equal(interpreter.RunProgram(ref theirs, 3), jit.RunProgram(ref ours, 3));
            Assert.Equal(theirs.Pc, ours.Pc);
        }
    }

    private static CpuModel ModelOf(int vectorBytes) => vectorBytes == 0 ? s_model : ScalableModels.Longest(vectorBytes);

    private static (uint[] Words, CaseGenerator Random) Generate(
        FuzzRun run, int program, int items, int more, uint end, bool forQemu, int vectorBytes)
    {
        var random = new CaseGenerator(run.SeedOf(program));
        return (new ProgramGenerator(random, forQemu, vectorBytes != 0).Generate(items + random.Next(more), end), random);
    }

    // The registers of SVE of a state, and with them V0 to V31 of its record.
    private static void Fill(FuzzRun run, int program, int n, ref OracleRecord r, Span<byte> vectors, int vectorBytes)
    {
        if (vectorBytes != 0)
        {
            new ScalableCaseGenerator(run.SeedOf(program) + n, vectorBytes).Registers(ref r, new ScalableRecord(vectors, vectorBytes));
        }
    }

    private static byte[] Filled(FuzzRun run, int program, int n, int vectorBytes)
    {
        byte[] vectors = new byte[ScalableRecord.Size(vectorBytes)];
        OracleRecord unused = default;
        Fill(run, program, n, ref unused, vectors, vectorBytes);
        return vectors;
    }

    private static VcpuExit RunProgram(EngineUnderTest engine, ref OracleRecord r, Span<byte> vectors, int vectorBytes) =>
        vectorBytes == 0 ? engine.RunProgram(ref r, Budget) : engine.RunProgram(ref r, Budget, new ScalableRecord(vectors, vectorBytes));

    private static string Difference(Span<byte> ours, Span<byte> theirs, int vectorBytes) =>
        vectorBytes == 0 ? "" : new ScalableRecord(ours, vectorBytes).Difference(new ScalableRecord(theirs, vectorBytes));

    // A program has the same address in whatever batch.
    private static ulong Place(int program) => OracleRecord.Code + ((ulong)(program % PerBatch) * Stride);

    private static uint[] Lay(int[] batch, uint[][] programs, int length, uint filling)
    {
        var words = new uint[PerBatch * length];
        words.AsSpan().Fill(filling);
        for (int i = 0; i < batch.Length; i++)
        {
            programs[i].CopyTo(words.AsSpan(batch[i] % PerBatch * length, length));
        }

        return words;
    }

    private static OracleRecord State(CaseGenerator random, int n, ulong pc)
    {
        random.State(0, 0, memory: false, floatingPoint: true, out OracleRecord state);
        state.Pc = pc;
        state.Sp = OracleRecord.Window + 128;

        state.X[ProgramGenerator.Base] = OracleRecord.Window + 128;
        state.X[ProgramGenerator.Counter] = 4;
        if (n < 2)
        {
            // What translated floating point asks for: the modes that programs have, and Inexact set already, or not.
            state.Fpcr = 0;
            state.Fpsr = n == 0 ? state.Fpsr | 0x10 : state.Fpsr & ~0x10u;
        }

        return state;
    }

    // Which fault comes first when an address is both misaligned and unmapped, QEMU's user mode does not model.
    private static bool IsMemoryFault(ulong end) => end is (ulong)OracleEnd.Fault or (ulong)OracleEnd.Bus;

    // What lockstep says of it: where the first difference is.
    private static string InLockstep(uint[] words, OracleRecord state, byte[] vectors, int vectorBytes)
    {
        using var both = new EngineUnderTest(ModelOf(vectorBytes), Accelerator.Lockstep);
        both.PlantProgram(words);
        try
        {
            RunProgram(both, ref state, vectors, vectorBytes);
            return "in lockstep the engines agree: flags that are left out, or what an earlier run of the program left\n";
        }
        catch (LockstepException e)
        {
            return e.Message;
        }
    }

    private static string Difference(in OracleRecord ours, in OracleRecord theirs, bool flags, uint fpsr)
    {
        var text = new StringBuilder();
        for (int i = 0; i < 31; i++)
        {
            Differ(text, $"X{i}", ours.X[i], theirs.X[i]);
        }

        for (int i = 0; i < 64; i++)
        {
            Differ(text, $"V{i / 2}.D[{i & 1}]", ours.V[i], theirs.V[i]);
        }

        Differ(text, "SP", ours.Sp, theirs.Sp);
        Differ(text, "PC", ours.Pc, theirs.Pc);
        Differ(text, "end", ours.End, theirs.End);
        Differ(text, "NZCV", flags ? (ours.Pstate >> 28) & 15 : 0, flags ? (theirs.Pstate >> 28) & 15 : 0);
        Differ(text, "FPSR", ours.Fpsr & fpsr, theirs.Fpsr & fpsr);
        for (int i = 0; i < OracleRecord.WindowSize; i++)
        {
            Differ(text, $"[{i - 128}]", ours.Memory[i], theirs.Memory[i]);
        }

        return text.ToString();
    }

    private static void Differ(StringBuilder text, string name, ulong ours, ulong theirs)
    {
        if (ours != theirs)
        {
            text.Append(CultureInfo.InvariantCulture, $"  {name}: JIT {ours:x}, not {theirs:x}\n");
        }
    }
}
