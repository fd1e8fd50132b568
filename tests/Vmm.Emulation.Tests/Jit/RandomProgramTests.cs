using System.Runtime.InteropServices;
using System.Text;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Tests.InstructionOracle;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Jit;

/// <summary>
/// Random programs with branches, loops, loads and stores, atomics and exclusives, in both engines. At the end every register, flag and
/// byte agrees.
/// </summary>
public sealed unsafe class RandomProgramTests(ITestOutputHelper output)
{
    private const int Programs = 4000;
    private const int StatesPerProgram = 4;
    private const int Seed = 20261124;
    private const uint Wfi = 0xD503_207F;
    private const int Counter = 28;
    private const int Base = 27;

    private static readonly int[] s_plain = [.. Rows(r => IsPlain(r) && !r.UsesVectors)];
    private static readonly int[] s_vector = [.. Rows(r => IsPlain(r) && r.UsesVectors)];
    private static readonly int[] s_memory = [.. Rows(IsSimpleAccess)];
    private static readonly int[] s_atomics = [.. Rows(r => r.AccessesMemory && IsAtomic(r.Mnemonic) && !r.May(Effects.WriteRn))];
    private static readonly int[] s_branches =
        [.. Rows(r => r.Mnemonic is "B" or "B.cond" or "CBZ 32" or "CBZ 64" or "CBNZ 32" or "CBNZ 64" or "TBZ" or "TBNZ")];

    [Fact]
    public void Random_programs_end_alike_in_both_engines()
    {
        CpuModel model = CpuModel.Find("max")!;
        using var interpreter = new EngineUnderTest(model, Accelerator.Interpreter);
        using var jit = new EngineUnderTest(model, Accelerator.Jit);
        int ended = 0;
        for (int program = 0; program < Programs; program++)
        {
            var generator = new CaseGenerator(Seed + program);
            uint[] words = Generate(generator);
            interpreter.PlantProgram(words);
            jit.PlantProgram(words);
            for (int n = 0; n < StatesPerProgram; n++)
            {
                generator.State(0, 0, memory: false, floatingPoint: true, out OracleRecord ours);
                ours.Pc = OracleRecord.Code;
                ours.Sp = OracleRecord.Window + 128;
                ours.X[Base] = OracleRecord.Window + 128;
                ours.X[Counter] = 3;
                if (n % 2 == 0)
                {
                    // What translated floating point asks for.
                    ours.Fpcr = 0;
                    ours.Fpsr |= 0x10;
                }

                OracleRecord theirs = ours;
                VcpuExit ourExit = jit.RunProgram(ref ours, 10_000);
                VcpuExit theirExit = interpreter.RunProgram(ref theirs, 10_000);
                if (theirExit != VcpuExit.WaitForInterrupt)
                {
                    continue;
                }

                ended++;
                Assert.True(ourExit == theirExit && Same(ours, theirs), Report(program, words, ourExit, ours, theirs));
            }
        }

        output.WriteLine($"[figure] random programs: {ended} runs of {Programs} programs agree, seed {Seed}");
        Assert.True(ended > Programs * StatesPerProgram / 2);
    }

    /// <summary>Low and misaligned addresses: what an empty entry of a jump cache, or a cleared one, must not answer to.</summary>
    [Fact]
    public void Branch_to_an_address_without_code_ends_alike_in_both_engines()
    {
        CpuModel model = CpuModel.Find("max")!;
        using var interpreter = new EngineUnderTest(model, Accelerator.Interpreter);
        using var jit = new EngineUnderTest(model, Accelerator.Jit);
        uint[] words = [0xD61F_0000];
        interpreter.PlantProgram(words);
        jit.PlantProgram(words);
        var generator = new CaseGenerator(Seed);
        generator.State(0, 0, memory: false, floatingPoint: true, out OracleRecord ours);
        for (ulong target = 0; target < 10_000; target++)
        {
            ours.Pc = OracleRecord.Code;
            ours.X[0] = target % 3 == 0 ? target : target % 3 == 1 ? ~target : (target << 12) | 1;
            OracleRecord theirs = ours;
            Assert.Equal(interpreter.RunProgram(ref theirs, 3), jit.RunProgram(ref ours, 3));
            Assert.Equal(theirs.Pc, ours.Pc);
        }
    }

    private static uint[] Generate(CaseGenerator generator)
    {
        var words = new List<uint>();
        int length = 2 + generator.Next(60);

        // A third of the programs are mostly SIMD and floating point. Half of these use eight registers only, so that values stay in host
        // registers across instructions.
        bool isVector = generator.Next(3) == 0;
        bool isNarrow = generator.Next(2) == 0;
        while (words.Count < length)
        {
            int kind = generator.Next(20);
            uint word = kind switch
            {
                < 8 when isVector && kind > 0 => Vector(generator, isNarrow),
                < 8 => generator.Word(s_plain[generator.Next(s_plain.Length)]),
                < 12 => Vector(generator, isVector && isNarrow),
                < 15 => Access(generator),
                15 => generator.Next(8) == 0 ? Flags(generator) : Atomic(generator),
                < 19 => Forward(generator),
                _ => 0,
            };
            if (kind == 19 && words.Count > 2)
            {
                // SUBS X28, X28, #1; B.GT to somewhere before.
                words.Add(0xF100_0400 | (Counter << 5) | Counter);
                int back = 1 + generator.Next(Math.Min(words.Count - 1, 30));
                words.Add(0x5400_000C | ((uint)(-back & 0x7FFFF) << 5));
            }
            else if (word != 0 && KeepsReserved(word))
            {
                words.Add(word);
                if (IsLoadExclusive(word))
                {
                    // The store that belongs to it, with the status somewhere else.
                    uint store = (word & ~((1u << 22) | (31u << 16))) | ((uint)generator.Next(26) << 16);
                    words.Add(store);
                }
            }
        }

        // Behind the end: where branches over it go.
        words.AddRange(Enumerable.Repeat(Wfi, 16));
        return [.. words];
    }

    private static uint Vector(CaseGenerator generator, bool isNarrow)
    {
        int row = s_vector[generator.Next(s_vector.Length)];
        uint word = generator.Word(row);
        uint narrow = word & ~(0x18u | (0x18u << 5) | (0x18u << 16));
        return isNarrow && EncodingTable.Find(narrow) == row ? narrow : word;
    }

    // A load or store at X27 or SP, near by.
    private static uint Access(CaseGenerator generator)
    {
        uint word = generator.Word(s_memory[generator.Next(s_memory.Length)]);
        uint rn = generator.Next(3) == 0 ? 31u : Base;
        word = (word & ~(31u << 5)) | (rn << 5);
        if (((word >> 25) & 0x1F) == 0b00110)
        {
            // A structure, without an offset.
            return word;
        }

        bool pair = ((word >> 27) & 7) == 0b101;
        bool unsignedOffset = !pair && ((word >> 24) & 1) != 0;
        return pair ? word & ~(0x7Cu << 15) : unsignedOffset ? word & ~(0xFFCu << 10) : word & ~(0x1C0u << 12);
    }

    // At X27.
    private static uint Atomic(CaseGenerator generator)
    {
        uint word = generator.Word(s_atomics[generator.Next(s_atomics.Length)]);
        word = (word & ~(31u << 5)) | (Base << 5);

        // CASP also writes the register behind Rs, and a status goes to Rs.
        return ((word >> 16) & 31) is >= Base - 1 and <= Counter ? 0 : word;
    }

    private static bool IsAtomic(string mnemonic) =>
        mnemonic.StartsWith("LDX", StringComparison.Ordinal) || mnemonic.StartsWith("LDAX", StringComparison.Ordinal)
        || mnemonic.StartsWith("STX", StringComparison.Ordinal) || mnemonic.StartsWith("STLX", StringComparison.Ordinal)
        || mnemonic.StartsWith("LDAR", StringComparison.Ordinal) || mnemonic.StartsWith("LDAPR", StringComparison.Ordinal)
        || mnemonic.StartsWith("STLR", StringComparison.Ordinal) || mnemonic.StartsWith("CAS", StringComparison.Ordinal)
        || mnemonic.StartsWith("SWP", StringComparison.Ordinal) || mnemonic.StartsWith("LDADD", StringComparison.Ordinal)
        || mnemonic.StartsWith("LDCLR", StringComparison.Ordinal) || mnemonic.StartsWith("LDEOR", StringComparison.Ordinal)
        || mnemonic.StartsWith("LDSET", StringComparison.Ordinal) || mnemonic.StartsWith("LDSM", StringComparison.Ordinal)
        || mnemonic.StartsWith("LDUM", StringComparison.Ordinal);

    private static bool IsLoadExclusive(uint word) => (word & 0x3FE0_0000) == 0x0840_0000;

    // MRS or MSR of NZCV.
    private static uint Flags(CaseGenerator generator) => (generator.Next(2) == 0 ? 0xD53B_4200 : 0xD51B_4200) | (uint)generator.Next(26);

    private static uint Forward(CaseGenerator generator)
    {
        uint word = generator.Word(s_branches[generator.Next(s_branches.Length)]);
        uint distance = 1 + (uint)generator.Next(10);
        return word >> 26 == 5 ? (word & ~0x03FF_FFFFu) | distance
            : ((word >> 25) & 0x3F) == 0b011011 ? (word & ~(0x3FFFu << 5)) | (distance << 5)
            : (word & ~(0x7FFFFu << 5)) | (distance << 5);
    }

    // Not one that writes X27, X28 or SP.
    private static bool KeepsReserved(uint word)
    {
        Op op = default;
        op.Word = word;
        int row = EncodingTable.Find(word);
        if (row < 0)
        {
            return false;
        }

        EncodingTable.Rows[row].Form(&op);
        return op.Rd is not (Base or Counter or CpuState.Sp) && op.Ra is not (Base or Counter)
            && (word & 31) is not (Base or Counter);
    }

    private static bool IsSimpleAccess(EncodingRow row)
    {
        string verb = row.Mnemonic.Split(' ')[0];
        return row.Mnemonic.Contains("(unsigned offset)", StringComparison.Ordinal)
            || verb is "LDUR" or "STUR" or "LDURB" or "STURB" or "LDURH" or "STURH" or "LDURSB" or "LDURSH" or "LDURSW"
            || ((row.Mnemonic.Contains("structure", StringComparison.Ordinal) || verb == "LD1R–LD4R")
                && !row.Mnemonic.Contains("post-index", StringComparison.Ordinal))
            || ((verb is "LDP" or "STP") && row.Mnemonic.Contains("(signed offset)", StringComparison.Ordinal));
    }

    private static bool IsPlain(EncodingRow row) => !row.AccessesMemory && !row.IsSystem && !row.May(Effects.Jump);

    private static IEnumerable<int> Rows(Func<EncodingRow, bool> which) =>
        Enumerable.Range(0, EncodingTable.Rows.Length).Where(i => !EncodingTable.Rows[i].IsScalable && which(EncodingTable.Rows[i]));

    private static bool Same(in OracleRecord left, in OracleRecord right) =>
        MemoryMarshal.AsBytes(new ReadOnlySpan<OracleRecord>(in left))
            .SequenceEqual(MemoryMarshal.AsBytes(new ReadOnlySpan<OracleRecord>(in right)));

    private static string Report(int program, uint[] words, VcpuExit exit, OracleRecord ours, OracleRecord theirs)
    {
        var text = new StringBuilder($"program {program}, JIT left with {exit}\n");
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
        Differ(text, "NZCV", ours.Pstate, theirs.Pstate);
        Differ(text, "FPSR", ours.Fpsr, theirs.Fpsr);
        for (int i = 0; i < OracleRecord.WindowSize; i++)
        {
            Differ(text, $"[{i}]", ours.Memory[i], theirs.Memory[i]);
        }

        for (int i = 0; i < words.Length; i++)
        {
            int row = EncodingTable.Find(words[i]);
            text.Append($"{i * 4:x4}  {words[i]:x8}  {(row < 0 ? "?" : EncodingTable.Rows[row].Mnemonic)}\n");
        }

        return text.ToString();
    }

    private static void Differ(StringBuilder text, string name, ulong ours, ulong theirs)
    {
        if (ours != theirs)
        {
            text.Append($"{name}: JIT {ours:x}, interpreter {theirs:x}\n");
        }
    }
}
