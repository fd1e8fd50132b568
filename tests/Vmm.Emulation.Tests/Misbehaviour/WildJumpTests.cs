using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Misbehaviour;

/// <summary>
/// Branches to anywhere, at EL0 and EL1, MMU off and on: the fetch gives the fault that the Arm ARM says (D1.3.5, D8.15, D24.2.40),
/// computed apart from the product, with the target in FAR_EL1 and ELR_EL1.
/// </summary>
public sealed unsafe class WildJumpTests(ITestOutputHelper output) : IDisposable
{
    private const int Seed = 20261123;
    private const int Cases = 400_000;
    private const uint PcAlignment = 0x22;
    private const uint Eret = 0xD69F_03E0;
    private const uint Svc = 0xD400_0001;
    private const ulong Root = HostileMachine.Ram + 0x10_0000;
    private const ulong Middle = Root + 0x1000;
    private const ulong RamTable = Root + 0x2000;
    private const ulong Pages = Root + 0x3000;
    private const ulong Nothing = 0xF_0000_0000;             // no memory and no device
    private const ulong Good = (1 << 10) | (3 << 8) | (1 << 7) | (1 << 6) | 1; // AF, inner shareable, read-only, EL0, block

    // BR X1, BLR X1, RET X1, ERET.
    private static readonly uint[] Jumps = [0xD61F_0020, 0xD63F_0020, 0xD65F_0020, Eret];

    // PSTATE.BTYPE behind each of them: of BR 1, as its page is not guarded, of BLR 2 (Arm ARM D8.4.6).
    private static readonly uint[] BranchTypes = [1u << Pstate.BtypeShift, 2u << Pstate.BtypeShift, 0, 0];

    private readonly HostileMachine _machine = new();
    private readonly Random _random = new(Seed);

    public void Dispose() => _machine.Dispose();

    [Fact]
    public void Jump_to_anywhere_executes_there_or_takes_the_fault_of_the_architecture()
    {
        _machine.Write(HostileMachine.Code, Jumps);

        // Where a jump succeeds, an SVC waits.
        new Span<uint>(_machine.Host(HostileMachine.RamEnd - 0x10_0000), 0x10_0000 / 4).Fill(Svc);
        var counts = new SortedDictionary<string, int>();
        for (int i = 0; i < Cases; i++)
        {
            string kind = Jump();
            counts[kind] = counts.GetValueOrDefault(kind) + 1;
        }

        output.WriteLine($"[figure] wild jumps: seed {Seed}, {Cases} cases: {string.Join(", ", counts.Select(c => $"{c.Key} {c.Value}"))}");
        Assert.Superset(new HashSet<string>(["executed", "PC alignment", "IFSC 0x0", "IFSC 0x10"]), new HashSet<string>(counts.Keys));
        Assert.Superset(
            new HashSet<string>(
                ["IFSC 0x4", "IFSC 0x5", "IFSC 0x6", "IFSC 0x7", "IFSC 0x9", "IFSC 0xd", "IFSC 0xf", "IFSC 0x14", "IFSC 0x15"]),
            new HashSet<string>(counts.Keys));
    }

    /// <summary>
    /// The PC never holds a tag (AArch64.BranchTo), so neither does the return address of an interrupt that comes right then.
    /// </summary>
    [Fact]
    public void Interrupt_at_a_tagged_branch_target_returns_to_the_address_without_tag()
    {
        _machine.Place(_machine.Core, HostileMachine.Code | 0x5A00_0000_0000_0000, Pstate.ModeEl1h);
        _machine.SetRegime(HostileMachine.Untranslated(1ul << 37));
        _machine.Core.Interrupts.SetInput(CpuInterruptWord.Irq, true);
        _machine.Core.Run(1);
        Assert.Equal(HostileMachine.Vectors + 0x280, _machine.State->Pc);
        Assert.Equal(HostileMachine.Code, _machine.State->ElrEl1);
    }

    private string Jump()
    {
        int level = _random.Next(2);
        Regime regime = _random.Next(2) == 0 ? HostileMachine.Untranslated(Tags()) : Translated();
        ulong target = Target();
        uint source = level == 0 ? Pstate.ModeEl0t : Pstate.ModeEl1h | Pstate.DaifMask;
        int jump = _random.Next(Jumps.Length);
        ulong code = HostileMachine.Code + ((ulong)jump * 4);
        if (Jumps[jump] == Eret)
        {
            _machine.Place(_machine.Core, code);
            _machine.State->ElrEl1 = target;
            _machine.State->SpsrEl1 = source;
        }
        else
        {
            _machine.Place(_machine.Core, code, source);
        }

        _machine.SetRegime(regime);
        _machine.State->X[1] = target;
        Assert.Equal(VcpuExit.BudgetSpent, _machine.Core.Run(2));
        string what = $"{Jumps[jump]:x8} to {target:x} at EL{level}, SCTLR {regime.Sctlr:x} TCR {regime.Tcr:x}";
        ulong pc = ArchitectureWalk.BranchAddress(regime, target);
        uint before = source | BranchTypes[jump];
        if ((pc & 3) != 0)
        {
            _machine.AssertTook(PcAlignment, 0, pc, pc, before, what);
            return "PC alignment";
        }

        uint abort = level == 0 ? 0x20u : 0x21;
        int status = ArchitectureWalk.Translate(regime, pc, Want.Execute, level, false, _machine.Doubleword, out ulong address);
        if (status == ArchitectureWalk.NoFault && address - HostileMachine.Ram >= HostileMachine.RamSize)
        {
            status = ArchitectureWalk.ExternalAbort;
        }

        if (status != ArchitectureWalk.NoFault)
        {
            _machine.AssertTook(abort, (uint)status, pc, pc, before, what);
            return $"IFSC 0x{status:x}";
        }

        if (*(uint*)_machine.Host(address) == Svc)
        {
            _machine.AssertTook(0x15, 0, pc + 4, null, source, what);
        }
        else
        {
            // What is there has been executed, whatever it was.
            Assert.False(_machine.State->ElrEl1 == pc && _machine.State->EsrEl1 >> 26 is 0x20 or 0x21 or 0x22, what);
        }

        HostileMachine.AssertLegal(_machine.Core, what);
        return "executed";
    }

    private ulong Tags() => (ulong)_random.Next(4) << 37;

    // 48-bit halves of 4 KiB pages with the same tables: an entry at each level for each fault, and RAM one to one.
    private Regime Translated()
    {
        ulong* root = (ulong*)_machine.Host(Root);
        ulong* middle = (ulong*)_machine.Host(Middle);
        ulong* ram = (ulong*)_machine.Host(RamTable);
        ulong* pages = (ulong*)_machine.Host(Pages);
        root[0] = root[511] = Middle | 3;
        root[1] = Nothing | 3;
        root[2] = 1;                                         // block at a level without blocks
        root[3] = (1ul << 46) | 3;                           // table beyond IPS
        middle[0] = Good;                                    // devices
        middle[1] = RamTable | 3;
        middle[2] = Good & ~(1ul << 10);                     // no access flag
        middle[3] = 0xC000_0000 | Good;                      // nothing there
        middle[4] = (HostileMachine.Ram | Good) & ~(1ul << 7); // writable by EL0: never for EL1
        middle[5] = HostileMachine.Ram | Good | (1ul << 54); // UXN
        middle[6] = VirtMap.Board.Uart.Address & ~0xFFFul | 3; // table in a device
        middle[7] = (1ul << 45) | Good;
        middle[8] = HostileMachine.Ram | Good | (1ul << 53); // PXN
        for (ulong i = 0; i < 8; i++)
        {
            ram[i] = (HostileMachine.Ram + (i << 21)) | Good;
        }

        ram[8] = Pages | 3;
        for (int changed = 0; changed < 16; changed++)
        {
            int i = _random.Next(512);
            ulong at = _random.Next(4) switch
            {
                0 => 1ul << 43,
                1 => VirtMap.Board.Distributor.Value,
                _ => HostileMachine.RamEnd - 0x10_0000,
            };
            pages[i] = at | ((ulong)_random.NextInt64() & 0x0060_0000_0000_0FFF & ~0x1Cul) | (_random.Next(4) == 0 ? 0 : 0x403ul);
        }

        ulong tcr = 16 | (16 << 16) | (2ul << 30) | (2ul << 32) | Tags();
        return HostileMachine.Untranslated()
            with { Sctlr = Cpu.Sctlr.Reset | 1, Tcr = tcr, Ttbr0 = Root, Ttbr1 = _random.Next(8) == 0 ? Nothing : Root };
    }

    private ulong Target()
    {
        ulong any = (ulong)_random.NextInt64(long.MinValue, long.MaxValue);
        ulong svc = HostileMachine.RamEnd - 4 - (any & 0xF_FFFC);
        ulong target = _random.Next(10) switch
        {
            0 => any,
            1 => svc,
            2 => VirtMap.Board.Uart.Address + (any & 0xFFC),
            3 => HostileMachine.RamEnd + (any & 0xFF_FFFC),
            4 => any & 0x3FFF_FFFC,
            5 => ((any >> 40) & 0xF) << 30 | (svc & 0x3FFF_FFFF),
            6 => 0x4100_0000 | (any & 0x1F_FFFC),
            7 => ((any >> 50) & 7) << 39 | (any & 0x3_FFFF_FFFC),
            8 => any & 0xFFFF_FFFF_FFFC,
            _ => HostileMachine.RamEnd - 8 + (any & 0xC),
        };
        target |= _random.Next(3) == 0 ? 0xFFFF_0000_0000_0000 : 0;
        target ^= _random.Next(4) == 0 ? any & 0xFF00_0000_0000_0000 : 0;
        return _random.Next(8) == 0 ? target | (any & 3) : target;
    }
}
