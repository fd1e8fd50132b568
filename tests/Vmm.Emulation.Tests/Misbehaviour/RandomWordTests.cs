using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Memory;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Misbehaviour;

/// <summary>
/// Random instructions at EL0 and EL1 of a whole machine. Each executes or takes an exception that the architecture has. PSTATE stays
/// legal.
/// </summary>
public sealed unsafe class RandomWordTests(ITestOutputHelper output) : IDisposable
{
    private const int Seed = 20261125;
    private const int Rounds = 1000;
    private const int WordsOfRound = 1024;
    private const ulong CodeSize = 0x2_0000;

    private readonly HostileMachine _machine = new(1, 3);
    private readonly GarbageCode _garbage = new(Seed);

    public void Dispose() => _machine.Dispose();

    /// <summary>System registers keep what earlier words made of them for a round of words.</summary>
    [Fact]
    public void Word_executes_or_goes_to_a_vector()
    {
        int[] counts = new int[64];
        int executed = 0;
        int left = 0;
        for (int round = 0; round < Rounds; round++)
        {
            _machine.FillVectors();
            for (int i = 0; i < WordsOfRound; i++)
            {
                _machine.Write(HostileMachine.Code + ((ulong)i * 8), _garbage.Word(), HostileMachine.Stay);
            }

            _machine.Core.Code.InvalidateAll();
            _machine.Place(_machine.Core, HostileMachine.Code);
            _machine.State->SctlrEl1 |= round % 2 == 0 ? Sctlr.Sa | Sctlr.Sa0 : 0;
            for (int i = 0; i < WordsOfRound; i++)
            {
                Step(HostileMachine.Code + ((ulong)i * 8), counts, ref executed, ref left);
            }
        }

        string classes = string.Join(", ", counts.Select((n, ec) => (n, ec)).Where(c => c.n > 0).Select(c => $"EC 0x{c.ec:x} {c.n}"));
        output.WriteLine(
            $"[figure] random words: seed {Seed}, {Rounds * WordsOfRound} words: {executed} executed, {left} left the loop, {classes}");
        Assert.True(executed > Rounds * WordsOfRound / 10);
        foreach (int expected in new[] { 0x00, 0x15, 0x18, 0x24, 0x25, 0x26, 0x3C })
        {
            Assert.True(counts[expected] > 0, $"no exception of class 0x{expected:x}");
        }
    }

    private void Step(ulong pc, int[] counts, ref int executed, ref int left)
    {
        VcpuCore core = _machine.Core;
        CpuState* s = core.State;
        uint word = *(uint*)_machine.Host(pc);
        bool el0 = _garbage.Random.Next(2) == 0;
        core.SetPstate(Pstate.DaifMask | (el0 ? Pstate.ModeEl0t : Pstate.ModeEl1h - (uint)_garbage.Random.Next(2)));
        _garbage.FillRegisters(s);
        s->Pc = pc;
        uint mode = s->Pstate & Pstate.ModeMask;
        ulong vectors = s->VbarEl1 + (el0 ? 0x400ul : (mode & 1) != 0 ? 0x200u : 0);
        s->EsrEl1 = ulong.MaxValue;
        VcpuExit exit = core.Run(1);
        string what =
            $"{word:x8} at EL{(el0 ? 0 : 1)}, SCTLR {s->SctlrEl1:x} TCR {s->TcrEl1:x}: PC {s->Pc:x} ELR {s->ElrEl1:x} ESR {s->EsrEl1:x}";
        HostileMachine.AssertLegal(core, what);
        bool took = s->EsrEl1 != ulong.MaxValue && s->Pc == vectors;
        uint exceptionClass = (uint)(s->EsrEl1 >> 26) & 63;
        if (exit != VcpuExit.BudgetSpent)
        {
            // HVC, WFE, WFI, WFET and WFIT.
            bool mayLeave = (word & 0xFFE0_001F) == 0xD400_0002 || word is 0xD503_205F or 0xD503_207F || (word & ~0x3Fu) == 0xD503_1000;
            Assert.True(mayLeave, $"left by {exit}: {what}");
            left++;
        }
        else if (took)
        {
            Assert.True(HostileMachine.ExceptionClasses.Contains(exceptionClass), what);
            Assert.True(s->ElrEl1 == (exceptionClass == 0x15 ? pc + 4 : pc), what);
            Assert.True((s->SpsrEl1 & Pstate.ModeMask) == mode, what);
            Assert.True((s->Pstate & (Pstate.ModeMask | Pstate.DaifMask)) == (Pstate.ModeEl1h | Pstate.DaifMask), what);
            counts[exceptionClass]++;
        }
        else
        {
            executed++;
        }

        // Reserved and unallocated in the top level of the encodings (Arm ARM C4.1), SME which no model has: bits 28:25 of 0, 1 and 3.
        bool fetched = exceptionClass is not (0x20 or 0x21 or 0x30 or 0x31 or 0x32 or 0x33);
        Assert.True((word >> 27 & 3) != 0 || (word >> 25 & 3) == 2 || !fetched || (took && s->EsrEl1 == 1ul << 25), what);

        if (took && !fetched)
        {
            // No code can be executed any more.
            _machine.Place(core, pc);
        }
    }

    /// <summary>IC IVAU of a line that changes for ever forgets that line and no other; what has not changed stays.</summary>
    [Theory]
    [InlineData(Accelerator.Interpreter)]
    [InlineData(Accelerator.Jit)]
    public void Code_invalidated_again_and_again_leaves_other_lines_alone(Accelerator accelerator)
    {
        using var machine = new HostileMachine(accelerator: accelerator);
        CodeCache code = machine.Core.Code;
        GuestMemory ram = machine.Machine.Ram;
        CodePage other = code.Get(ram, HostileMachine.Vectors);
        uint kept = Decode(code, HostileMachine.Code + 64, ram).Word;
        *(uint*)machine.Host(HostileMachine.Code + 64) = ~kept;
        for (int i = 0; i <= CodeCache.Capacity; i++)
        {
            uint* word = (uint*)machine.Host(HostileMachine.Code);
            uint before = Decode(code, HostileMachine.Code, ram).Word;
            Assert.Equal(*word, before);
            Assert.False(code.Invalidate(ram, HostileMachine.Code));
            *word ^= 1;
            Assert.False(code.Invalidate(ram, HostileMachine.Code + 128));
            Assert.Equal(before, Decode(code, HostileMachine.Code, ram).Word);
            Assert.True(code.Invalidate(ram, HostileMachine.Code + 60));
            Assert.Equal(kept, Decode(code, HostileMachine.Code + 64, ram).Word);
        }

        Assert.True(code.InvalidateAll());
        Assert.False(code.InvalidateAll());
        Assert.Equal(~kept, Decode(code, HostileMachine.Code + 64, ram).Word);
        Assert.False(other.Stale);
        Assert.Same(other, code.Get(ram, HostileMachine.Vectors));
    }

    // As whoever comes to an address: in the interpreter the op of the page, else one of its own.
    private static Op Decode(CodeCache code, ulong address, GuestMemory ram)
    {
        CodePage page = code.Get(ram, address);
        var own = new Op { Offset = (ushort)(address & 0xFFF) };
        Op* op = page.First != null ? page.First + (own.Offset / sizeof(uint)) : &own;
        code.Decode(page, op);
        return *op;
    }

    /// <summary>Garbage that runs freely, with a handler that goes on behind each fault until the garbage loses it.</summary>
    [Theory]
    [InlineData(Pstate.ModeEl0t)]
    [InlineData(Pstate.ModeEl1h)]
    public void Garbage_that_runs_freely_spends_its_budget_and_leaves_a_legal_state(uint mode)
    {
        const int Runs = 800;
        const int Budget = 1000;
        var exits = new SortedDictionary<VcpuExit, int>();
        VcpuCore core = _machine.Core;
        long before = core.InstructionCount;
        for (int run = 0; run < Runs; run++)
        {
            _garbage.Fill(new Span<uint>(_machine.Host(HostileMachine.Code), (int)CodeSize / 4));
            for (ulong vector = 0; vector < 0x800; vector += 0x80)
            {
                _machine.Write(HostileMachine.Vectors + vector, GarbageCode.Skip);
            }

            core.Code.InvalidateAll();
            _machine.Place(core, HostileMachine.Code + (_garbage.Any() & (CodeSize - 4)), mode);
            _garbage.FillRegisters(core.State);
            for (int slice = 0; slice < 10; slice++)
            {
                VcpuExit exit = core.Run(Budget);
                exits[exit] = exits.GetValueOrDefault(exit) + 1;
                HostileMachine.AssertLegal(core, $"run {run}");
            }
        }

        _machine.Drain(null);
        string how = string.Join(", ", exits.Select(e => $"{e.Key} {e.Value}"));
        output.WriteLine(
            $"[figure] garbage from EL{(mode >> 2) & 3}: seed {Seed}, {Runs} runs, {core.InstructionCount - before} instructions, "
            + $"left by {how}");
        Assert.True(core.InstructionCount - before > Runs * Budget);
    }
}
