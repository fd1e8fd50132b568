using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.FloatingPoint;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.SystemRegisters;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Tests.InstructionOracle;
using Vmm.Emulation.Tests.Jit;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Decoding;

/// <summary>
/// What each row states of its effects, against random runs of the interpreter. Each case runs twice: what it changes must be stated, and
/// when everything that is not stated as read is something else, what it writes must be the same. What is stated must be seen in some case.
/// </summary>
public sealed unsafe class EffectsTests(ITestOutputHelper output)
{
    private const int Words = 32;
    private const int StatesPerWord = 6;

    // MRS and MSR of the registers that EL0 has: NZCV, FPCR, FPSR, TPIDR_EL0, and RNDR, CTR_EL0, DCZID_EL0, which are only read.
    private static readonly uint[] s_systemRegisters =
        [0xD51B_4200, 0xD51B_4400, 0xD51B_4420, 0xD51B_D040, 0xD53B_2400, 0xD53B_0020, 0xD53B_00E0];

    // Of the vectors of SVE, in bytes.
    private const int VectorBytes = 32;

    private Random _random = new(0);

    // The registers of SVE before each run of a case, and after the last run; empty for a row that has none.
    private byte[] _scalable = [];
    private byte[] _scalableAfter = [];

    // What the cases of a row have shown, and how many ran to their end.
    private struct Shown
    {
        public Effects Seen;
        public int Done;
    }

    [Fact]
    public void Effects_of_every_row_are_those_that_the_interpreter_shows()
    {
        var run = new FuzzRun(programs: 1);
        using var plain = new EngineUnderTest(CpuModel.Find("max")!, Accelerator.Interpreter);
        using var scalable = new EngineUnderTest(ScalableModels.Longest(VectorBytes), Accelerator.Interpreter);
        plain.State->SctlrEl1 |= Sctlr.Uma;
        var shown = new Shown[EncodingTable.Rows.Length];
        var failures = new List<string>();
        foreach (int pass in run.Programs())
        {
            int seed = run.SeedOf(pass);
            _random = new Random(seed);
            var generator = new CaseGenerator(seed);
            var scalableGenerator = new ScalableCaseGenerator(seed + 1, VectorBytes);
            for (int row = 0; row < shown.Length; row++)
            {
                if (States(row) && Show(row, plain, scalable, generator, scalableGenerator, ref shown[row]) is { } difference)
                {
                    failures.Add($"{run.Name(pass)}, {EncodingTable.Rows[row].Mnemonic}: {difference}");
                }
            }

            if (failures.Count > 0)
            {
                break;
            }
        }

        int unknown = 0;
        for (int row = 0; row < shown.Length; row++)
        {
            ref EncodingRow encoding = ref EncodingTable.Rows[row];
            Effects unseen = encoding.Effects & ~shown[row].Seen & ~Unseen(encoding.Effects) & ~Unshown(encoding.Operation);
            unknown += States(row) ? 0 : 1;
            if (States(row) && (shown[row].Done == 0 || unseen != 0))
            {
                failures.Add(
                    $"{encoding.Mnemonic}: {(shown[row].Done == 0 ? "no case ran to its end" : $"states {unseen}, which no case shows")}");
            }
        }

        output.WriteLine(run.Figure("effects", $"{shown.Length - unknown} of {shown.Length} rows state theirs"));
        Assert.True(failures.Count == 0, string.Join('\n', failures));
        Assert.InRange(unknown, 1, 60);
    }

    // Of random pointers no code is right.
    private static bool States(int row) =>
        EncodingTable.Rows[row].Effects != Effects.Unknown && EncodingTable.Rows[row].Operation != Operation.AutGeneral;

    // Runs some hundred cases of a row; says what contradicts its effects.
    private string? Show(
        int row,
        EngineUnderTest plain,
        EngineUnderTest scalable,
        CaseGenerator generator,
        ScalableCaseGenerator scalableGenerator,
        ref Shown shown)
    {
        ref EncodingRow encoding = ref EncodingTable.Rows[row];
        var slots = new ulong[Words];
        for (int i = 0; i < Words; i++)
        {
            slots[i] = Slot(generator, encoding.Operation, row, i);
        }

        EngineUnderTest engine = encoding.IsScalable ? scalable : plain;
        _scalable = new byte[encoding.IsScalable ? ScalableRecord.Size(VectorBytes) : 0];
        engine.Plant(slots);
        for (int i = 0; i < Words * StatesPerWord; i++)
        {
            uint word = (uint)slots[i / StatesPerWord];
            if (!encoding.Matches(word))
            {
                // The load-exclusive before a store-exclusive.
                continue;
            }

            OracleRecord before;
            if (encoding.IsScalable)
            {
                scalableGenerator.State(row, word, i / StatesPerWord, out before, new ScalableRecord(_scalable, VectorBytes));
            }
            else
            {
                generator.State(word, i / StatesPerWord, encoding.AccessesMemory, encoding.UsesVectors, out before);

                // What Effects.ReadFpcr says of Vd.
                before.Fpcr &= encoding.May(Effects.ReadVd) ? uint.MaxValue : ~Fpcr.Merge;
            }

            if (encoding.Operation is >= Operation.Casb and <= Operation.Casp64 && i % 2 == 0)
            {
                LetCompare(word, ref before);
            }

            for (int n = 0; n < 64 && i % 4 == 1; n++)
            {
                // All V registers alike, or zero: for comparisons.
                before.V[n] = i % 8 == 1 ? 0 : before.V[n & 1];
            }

            if (Compare(engine, encoding, word, before, ref shown.Seen, ref shown.Done) is { } difference)
            {
                return difference;
            }
        }

        return null;
    }

    // What some hundred cases need not show.
    private static Effects Unseen(Effects effects)
    {
        const Effects Qualifiers = Effects.None | Effects.Pairs | Effects.List | Effects.Scalable;
        const Effects Seldom = Effects.Fp | Effects.LocalState | Effects.SystemState;
        const Effects Exclusive = Effects.LocalState | Effects.Store;

        // A store-exclusive stores only behind its load-exclusive. A literal is in the code, which does not change here. MRS of NZCV reads
        // flags, and MRS of RNDR writes them.
        return Qualifiers | Seldom
            | ((effects & Exclusive) == Exclusive ? Effects.ReadRd | Effects.ReadRn | Effects.ReadRa | Effects.Store : 0)
            | ((effects & Effects.ReadRn) == 0 ? Effects.Load : 0)
            | ((effects & Effects.SystemState) != 0 ? Effects.ReadFlags | Effects.WriteFlags : 0);
    }

    // The main part of a copy reads a page beyond the window. CFINV changes C alike whatever the flags are,
    // and a prologue leaves them where it faults.
    private static Effects Unshown(Operation operation) => operation switch
    {
        Operation.Cpyfm or Operation.Cpym => Effects.Load,
        // Without tags in memory no tag is chosen.
        Operation.Irg => Effects.ReadRm,
        Operation.Cfinv or Operation.Cpyfp or Operation.Cpyp or Operation.Setp => Effects.ReadFlags,
        _ => 0,
    };

    // Memory and what is compared with it: zeros.
    private static void LetCompare(uint word, ref OracleRecord r)
    {
        uint compared = (word >> 16) & 31;
        for (uint i = compared; i <= compared + 1 && i < 31; i++)
        {
            if (i != ((word >> 5) & 31))
            {
                r.X[i] = 0;
            }
        }

        for (int i = 0; i < OracleRecord.WindowSize; i++)
        {
            r.Memory[i] = 0;
        }
    }

    private ulong Slot(CaseGenerator generator, Operation operation, int row, int i)
    {
        const ulong Breakpoint = (ulong)OracleRecord.Breakpoint << 32;
        return operation switch
        {
            Operation.Mrs => s_systemRegisters[i % s_systemRegisters.Length] | 1u << 21 | (uint)_random.Next(32) | Breakpoint,
            Operation.MsrRegister => s_systemRegisters[i % 4] | (uint)_random.Next(32) | Breakpoint,
            _ => generator.Slot(row, i),
        };
    }

    private string? Compare(EngineUnderTest engine, in EncodingRow row, uint word, in OracleRecord before, ref Effects seen, ref int done)
    {
        OracleRecord after = before;
        (int monitor, int events) = Run(engine, ref after);
        byte[] scalableAfter = _scalableAfter;
        bool jumped = after.Pc != before.Pc + 4;
        if (after.End != (ulong)OracleEnd.Done)
        {
            // An exception, which writes what it writes.
            return null;
        }

        done++;
        Op op = default;
        op.Word = word;
        row.Form(&op);
        Effects effects = row.Effects;
        uint writes = General(op, effects, Effects.WriteRd, Effects.WriteRn, Effects.WriteRm, Effects.WriteRa)
            | ((effects & Effects.WriteLink) != 0 ? 1u << 30 : 0);
        uint reads = General(op, effects, Effects.ReadRd, Effects.ReadRn, Effects.ReadRm, Effects.ReadRa);
        uint vectorWrites = Vectors(op, effects, Effects.WriteVd, 0, 0, Effects.WriteVa);
        uint vectorReads = Vectors(op, effects, Effects.ReadVd, Effects.ReadVn, Effects.ReadVm, Effects.ReadVa);
        if (row.IsScalable)
        {
            // All of SVE's, which V0 to V31 belong to.
            vectorReads = vectorWrites = uint.MaxValue;
        }


        OracleRecord changed = before;
        Change(ref changed, effects, reads, vectorReads);
        OracleRecord again = changed;
        Run(engine, ref again);
        if (again.End != after.End || again.Pc != after.Pc)
        {
            return $"{word:x8}: whether or where it jumps depends on something that is not stated as read";
        }

        if (!scalableAfter.AsSpan().SequenceEqual(_scalableAfter))
        {
            return $"{word:x8}: registers of SVE depend on something that is not stated as read";
        }

        for (int i = 0; i < 32; i++)
        {
            ulong old = i < 31 ? before.X[i] : before.Sp;
            ulong now = i < 31 ? after.X[i] : after.Sp;
            ulong other = i < 31 ? again.X[i] : again.Sp;
            bool written = (writes & (1u << i)) != 0;
            if (now != old)
            {
                seen |= Named(op, effects, i, vectors: false);
                if (!written)
                {
                    return $"{word:x8}: writes X{i} unstated";
                }
            }

            // What is random or of the system may differ.
            if (written && other != now && (effects & Effects.SystemState) == 0)
            {
                return $"{word:x8}: X{i} depends on something that is not stated as read";
            }
        }

        for (int i = 0; i < 64; i++)
        {
            bool written = (vectorWrites & (1u << (i / 2))) != 0;
            if (after.V[i] != before.V[i])
            {
                seen |= Named(op, effects, i / 2, vectors: true);
                if (!written)
                {
                    return $"{word:x8}: writes V{i / 2} unstated";
                }
            }

            if (written && again.V[i] != after.V[i])
            {
                return $"{word:x8}: V{i / 2} depends on something that is not stated as read";
            }
        }

        for (int i = 0; i < OracleRecord.WindowSize; i++)
        {
            if (after.Memory[i] != before.Memory[i])
            {
                seen |= Effects.Store;
                if ((effects & Effects.Store) == 0)
                {
                    return $"{word:x8}: stores unstated";
                }

                if (again.Memory[i] != after.Memory[i])
                {
                    return $"{word:x8}: what it stores depends on something that is not stated as read";
                }
            }
        }

        seen |= (after.Pstate != before.Pstate ? Effects.WriteFlags : 0) | (jumped ? Effects.Jump : 0);
        bool system = (effects & Effects.SystemState) != 0;
        string? unstated = (effects & Effects.WriteFlags) == 0 ? after.Pstate != before.Pstate ? "writes flags" : null
            : again.Pstate != after.Pstate && !system ? "flags depend on more than is stated" : null;
        unstated ??= (effects & Effects.Jump) == 0 && jumped ? "jumps" : null;
        unstated ??= system ? null
            : after.Fpcr != before.Fpcr ? "writes FPCR"
            : after.Fpsr != before.Fpsr && ((effects & Effects.WriteFpsr) == 0 || (before.Fpsr & ~after.Fpsr) != 0) ? "writes FPSR"
            : (effects & Effects.WriteFpsr) != 0 && again.Fpsr != after.Fpsr ? "FPSR depends on more than is stated"
            : (effects & Effects.LocalState) == 0 && (monitor != 0 || events != 0) ? "changes the exclusive monitor or the event register"
            : null;
        if (unstated != null)
        {
            return $"{word:x8}: {unstated}";
        }

        seen |= SeenReads(engine, op, effects, before, after, scalableAfter);
        return null;
    }

    // The monitor's size and the event register after, which are 0 before.
    private (int Monitor, int Events) Run(EngineUnderTest engine, ref OracleRecord r)
    {
        engine.State->EventRegister = 0;
        _scalableAfter = (byte[])_scalable.Clone();
        if (_scalable.Length == 0)
        {
            engine.Run(ref r);
        }
        else
        {
            engine.Run(ref r, new ScalableRecord(_scalableAfter, VectorBytes));
        }

        return (engine.State->ExclusiveSize, engine.State->EventRegister);
    }

    // Everything that is not stated as read becomes something else.
    private void Change(ref OracleRecord r, Effects effects, uint reads, uint vectorReads)
    {
        for (int i = 0; i < 31; i++)
        {
            r.X[i] = (reads & (1u << i)) != 0 ? r.X[i] : (ulong)_random.NextInt64();
        }

        r.Sp = (reads & (1u << 31)) != 0 ? r.Sp : (ulong)_random.NextInt64() & ~15ul;
        for (int i = 0; i < 64; i++)
        {
            r.V[i] = (vectorReads & (1u << (i / 2))) != 0 ? r.V[i] : (ulong)_random.NextInt64();
        }

        r.Pstate = (effects & Effects.ReadFlags) != 0 ? r.Pstate : (uint)_random.Next(16) << 28;
        r.Fpcr = (effects & (Effects.ReadFpcr | Effects.SystemState)) != 0 ? r.Fpcr : CaseGenerator.Control(_random);
        for (int i = 0; i < OracleRecord.WindowSize && (effects & Effects.Load) == 0; i++)
        {
            r.Memory[i] = (byte)_random.Next();
        }
    }

    // Which of the stated reads make a difference in this case, each changed alone.
    private Effects SeenReads(
        EngineUnderTest engine, Op op, Effects effects, in OracleRecord before, in OracleRecord after, byte[] scalableAfter)
    {
        Effects seen = 0;
        for (Effects read = Effects.ReadRd; read <= Effects.Load; read = (Effects)((uint)read << 1))
        {
            if ((effects & read) == 0
                || read is not ((>= Effects.ReadRd and <= Effects.ReadRa) or (>= Effects.ReadVd and <= Effects.ReadVa)
                    or Effects.ReadFlags or Effects.Load))
            {
                continue;
            }

            OracleRecord changed = before;
            uint general = General(op, effects & (read | Effects.Pairs), Effects.ReadRd, Effects.ReadRn, Effects.ReadRm, Effects.ReadRa);
            uint vector = Vectors(op, effects & (read | Effects.List), Effects.ReadVd, Effects.ReadVn, Effects.ReadVm, Effects.ReadVa);
            Change(ref changed, (Effects.ReadFlags | Effects.ReadFpcr | Effects.Load) & ~read, ~general, ~vector);
            OracleRecord again = changed;
            Run(engine, ref again);
            bool differs = again.End != after.End || again.Pc != after.Pc || again.Fpsr != after.Fpsr
                || again.Pstate != (changed.Pstate ^ before.Pstate ^ after.Pstate)
                || !scalableAfter.AsSpan().SequenceEqual(_scalableAfter);
            for (int i = 0; i < 31 && !differs; i++)
            {
                differs = (again.X[i] != changed.X[i] || after.X[i] != before.X[i]) && again.X[i] != after.X[i];
            }

            differs |= (again.Sp != changed.Sp || after.Sp != before.Sp) && again.Sp != after.Sp;
            for (int i = 0; i < 64 && !differs && _scalable.Length == 0; i++)
            {
                // A register that is written in part is read.
                int first = i & ~1;
                bool written = again.V[first] != changed.V[first] || again.V[first + 1] != changed.V[first + 1]
                    || after.V[first] != before.V[first] || after.V[first + 1] != before.V[first + 1];
                differs = written && again.V[i] != after.V[i];
            }

            for (int i = 0; i < OracleRecord.WindowSize && !differs; i++)
            {
                differs = (again.Memory[i] != changed.Memory[i] || after.Memory[i] != before.Memory[i])
                    && again.Memory[i] != after.Memory[i];
            }

            seen |= differs ? read : 0;
        }

        return seen;
    }

    // X0 to X30 and SP, as bit 31, that fields name which effects speak of.
    private static uint General(Op op, Effects effects, Effects d, Effects n, Effects m, Effects a)
    {
        uint Registers(Effects effect, byte slot, bool pair) =>
            effect == 0 || (effects & effect) == 0 ? 0
            : (slot < 31 ? 1u << slot | (pair && slot + 1 < 31 ? 2u << slot : 0) : slot == CpuState.Sp ? 1u << 31 : 0);
        bool pairs = (effects & Effects.Pairs) != 0;
        return Registers(d, op.Rd, pairs) | Registers(n, op.Rn, false) | Registers(m, op.Rm, pairs) | Registers(a, op.Ra, pairs);
    }

    private static uint Vectors(Op op, Effects effects, Effects d, Effects n, Effects m, Effects a)
    {
        uint Registers(Effects effect, byte first, int count)
        {
            uint set = 0;
            for (int i = 0; i < count && effect != 0 && (effects & effect) != 0; i++)
            {
                set |= 1u << ((first + i) % 32);
            }

            return set;
        }

        bool list = (effects & Effects.List) != 0;
        bool lookUp = (op.Word & (1u << 25)) != 0;
        return Registers(d, op.Rd, list && !lookUp ? op.Ra : 1)
            | Registers(n, op.Rn, list && lookUp ? (int)(op.Imm / 16) : 1)
            | Registers(m, op.Rm, 1) | Registers(a, op.Ra, 1);
    }

    // The stated writes that may be meant by a change of a register.
    private static Effects Named(Op op, Effects effects, int register, bool vectors)
    {
        Effects named = 0;
        Effects[] all = vectors ? [Effects.WriteVd, Effects.WriteVa] : [Effects.WriteRd, Effects.WriteRn, Effects.WriteRm, Effects.WriteRa];
        foreach (Effects one in all)
        {
            Effects alone = effects & (one | Effects.Pairs | Effects.List);
            uint set = vectors
                ? Vectors(op, alone, Effects.WriteVd, 0, 0, Effects.WriteVa)
                : General(op, alone, Effects.WriteRd, Effects.WriteRn, Effects.WriteRm, Effects.WriteRa);
            named |= (set & (1u << register)) != 0 ? one : 0;
        }

        return named | (!vectors && register == 30 ? effects & Effects.WriteLink : 0);
    }
}
