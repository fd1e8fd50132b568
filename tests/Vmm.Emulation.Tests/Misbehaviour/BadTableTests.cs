using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Misbehaviour;

/// <summary>
/// Translation tables of random descriptors, in all granules and for random values of TCR_EL1: each access ends, with the fault or the
/// translation that the Arm ARM's walk gives. One half of the address space is garbage, the other holds the code that accesses it.
/// </summary>
public sealed unsafe class BadTableTests(ITestOutputHelper output) : IDisposable
{
    private const int Seed = 20261124;
    private const int Tables = 4_000;
    private const int AccessesOfEach = 100;
    private const ulong Garbage = HostileMachine.Ram + 0x40_0000;
    private const int GarbageSize = 0x40_0000;
    private const ulong Data = HostileMachine.Ram + 0xC0_0000;
    private const ulong Good = HostileMachine.Ram + 0x10_0000;
    private const ulong UpperHalf = 0xFFFF_0000_0000_0000;
    private const ulong Nothing = 0xF_0000_0000;

    private sealed record Access(
        string Name, uint Word, Want Want, bool AtEl1, bool Unprivileged = false, bool ByAddress = false, bool Atomic = false);

    // All byte-sized, on X1, so that none can be misaligned. Those by address touch no memory.
    private static readonly Access[] Accesses =
    [
        new("LDRB", 0x3940_0020, Want.Read, true),
        new("STRB", 0x3900_0020, Want.Write, true),
        new("LDTRB", 0x3840_0820, Want.Read, true, Unprivileged: true),
        new("STTRB", 0x3800_0820, Want.Write, true, Unprivileged: true),
        new("LDRB", 0x3940_0020, Want.Read, false),
        new("STRB", 0x3900_0020, Want.Write, false),
        new("DC CIVAC", 0xD50B_7E21, Want.Read, true, ByAddress: true),
        new("DC IVAC", 0xD508_7621, Want.Write, true, ByAddress: true),
        new("IC IVAU", 0xD50B_7521, Want.Read, true, ByAddress: true),
        new("BR", 0xD61F_0020, Want.Execute, true),
        new("BR", 0xD61F_0020, Want.Execute, false),
        new("AT S1E1R", 0xD508_7801, Want.Read, true, ByAddress: true),
        new("AT S1E1W", 0xD508_7821, Want.Write, true, ByAddress: true),
        new("AT S1E0R", 0xD508_7841, Want.Read, true, ByAddress: true),
        new("AT S1E0W", 0xD508_7861, Want.Write, true, ByAddress: true),
        new("AT S1E1RP", 0xD508_7901, Want.Read, true, ByAddress: true),
        new("AT S1E1WP", 0xD508_7921, Want.Write, true, ByAddress: true),
        new("LDADDB", 0x3820_0020, Want.Write, true, Atomic: true),
    ];

    // Budgets are looked at by branches, so one follows each.
    private static readonly uint[] Words = [.. Accesses.SelectMany(a => new[] { a.Word, HostileMachine.Stay })];

    private readonly HostileMachine _machine = new();
    private readonly Random _random = new(Seed);
    private readonly SortedDictionary<string, int> _counts = [];

    public void Dispose() => _machine.Dispose();

    [Fact]
    public void Access_through_garbage_ends_as_the_architecture_says()
    {
        Fill();
        for (int table = 0; table < Tables; table++)
        {
            bool upperIsGarbage = _random.Next(2) == 0;
            Regime regime = MakeRegime(upperIsGarbage);
            for (int i = 0; i < AccessesOfEach; i++)
            {
                Try(regime, upperIsGarbage);
            }
        }

        string[] statuses = [.. _counts.Select(c => $"{c.Key} {c.Value}")];
        output.WriteLine(
            $"[figure] bad page tables: seed {Seed}, {Tables} tables, {Tables * AccessesOfEach} accesses: {string.Join(", ", statuses)}");
        for (int level = 0; level < 4; level++)
        {
            Assert.Contains($"status 0x{level:x}", _counts.Keys);
            Assert.Contains($"status 0x{4 + level:x}", _counts.Keys);
            Assert.Contains($"status 0x{0x14 + level:x}", _counts.Keys);
            Assert.True(level == 0 || (_counts.ContainsKey($"status 0x{8 + level:x}") && _counts.ContainsKey($"status 0x{12 + level:x}")));
        }

        Assert.Contains("done", _counts.Keys);
        Assert.Contains("status 0x10", _counts.Keys);

        // Of level -1.
        Assert.Contains($"status 0x{ArchitectureWalk.TranslationAtRoot:x}", _counts.Keys);
        Assert.Contains($"status 0x{ArchitectureWalk.AddressSizeAtRoot:x}", _counts.Keys);
        Assert.Contains($"status 0x{ArchitectureWalk.ExternalAbortOnRoot:x}", _counts.Keys);
    }

    // Descriptors that point at each other and themselves, at data, devices and nothing.
    private void Fill()
    {
        var descriptors = new Span<ulong>(_machine.Host(Garbage), GarbageSize / 8);
        for (int i = 0; i < descriptors.Length; i++)
        {
            ulong any = Any();
            ulong at = _random.Next(16) switch
            {
                0 => Nothing | (any & 0xFFFF_F000),
                1 => VirtMap.Board.Distributor.Value,
                2 => VirtMap.Board.Uart.Address,
                3 => any,
                4 => Garbage + ((ulong)i * 8),
                < 9 => Data + (any & 0x3F_F000),
                _ => Garbage + (any & (GarbageSize - 1)),
            };
            ulong bits = _random.Next(4) == 0
                ? any
                : (any & 0x7860_0000_0000_0BFC & ~(_random.Next(2) == 0 ? 0x7860_0000_0000_0000ul : 0)) | 0x403;
            descriptors[i] = (at & 0x0000_FFFF_FFFF_F000) | (bits & ~0x0000_FFFF_FFFF_F000ul);
            if (_random.Next(4) == 0)
            {
                descriptors[i] &= ~2ul;
            }
        }
    }

    // What the test itself needs, which stores through garbage may have changed. The good half: RAM one to one in a block that both levels
    // may execute but not write.
    private void Repair()
    {
        _machine.Write(HostileMachine.Code, Words);
        *(ulong*)_machine.Host(Good) = (Good + 0x1000) | 3;
        ((ulong*)_machine.Host(Good + 0x1000))[1] = HostileMachine.Ram | (1 << 10) | (1 << 7) | (1 << 6) | 1;
    }

    // Any TxSZ, granule, output size, DS, EPD, TBI, E0PD for the garbage half; 48 bits of 4 KiB pages for the other.
    private Regime MakeRegime(bool upperIsGarbage)
    {
        ulong any = Any();
        ulong size = _random.Next(4) == 0 ? any & 63 : 12 + (ulong)_random.Next(28);
        ulong granule = (any >> 8) & 3;
        ulong flags = _random.Next(4) == 0 ? 1ul : 0;
        ulong ips = _random.Next(3) == 0 ? (any >> 16) & 7 : 5;
        ulong ds = _random.Next(3) == 0 ? 1ul << 59 : 0;
        ulong tcr = upperIsGarbage
            ? (size << 16) | (granule << 30) | (flags << 23) | ((any >> 20 & 1) << 38) | ((any >> 21 & any >> 22 & 1) << 56) | 16
            : size | (granule << 14) | (flags << 7) | ((any >> 20 & 1) << 37) | ((any >> 21 & any >> 22 & 1) << 55)
                | (16 << 16) | (2ul << 30);
        ulong table = _random.Next(8) switch
        {
            0 => any,
            1 => Nothing,
            2 => VirtMap.Board.Distributor.Value,
            _ => Garbage + (any & (GarbageSize - 1)),
        };
        ulong sctlr = Sctlr.Reset | Sctlr.M | (1ul << 26);
        return upperIsGarbage
            ? new Regime(sctlr, tcr | (ips << 32) | ds, Good, table, 52)
            : new Regime(sctlr, tcr | (ips << 32) | ds, table, Good, 52);
    }

    private void Try(in Regime regime, bool upperIsGarbage)
    {
        Repair();
        int chosen = _random.Next(Accesses.Length);
        Access access = Accesses[chosen];
        ulong any = Any();
        ulong va = _random.Next(3) switch
        {
            0 => any,
            1 => any >> (_random.Next(48) + 8),
            _ => any & 0x3F_FFFF,
        };
        va = upperIsGarbage ? va | (ulong.MaxValue << (64 - _random.Next(17, 50))) | (1ul << 55) : va & ~(1ul << 55);
        va = access.Want == Want.Execute ? va & ~3ul : va;
        bool pan = _random.Next(2) == 0;
        uint pstate = access.AtEl1 ? Pstate.ModeEl1h | Pstate.DaifMask | (pan ? Pstate.Pan : 0) : Pstate.ModeEl0t | Pstate.DaifMask;
        ulong pc = HostileMachine.Code + ((ulong)chosen * 8) + (upperIsGarbage ? 0 : UpperHalf);
        _machine.Place(_machine.Core, pc, pstate);
        _machine.State->VbarEl1 = HostileMachine.Vectors + (upperIsGarbage ? 0 : UpperHalf);
        _machine.SetRegime(regime);
        _machine.State->X[1] = va;
        string what = $"{access.Name} {va:x} at EL{(access.AtEl1 ? 1 : 0)} pan {pan}, "
            + $"TCR {regime.Tcr:x} TTBR0 {regime.Ttbr0:x} TTBR1 {regime.Ttbr1:x}";
        int status = Expect(regime, access, ref va, pan, out ulong address);
        Assert.Equal(VcpuExit.BudgetSpent, _machine.Core.Run(1));
        bool translates = access.Name.StartsWith("AT", StringComparison.Ordinal);
        if (translates && (status & ~3) != ArchitectureWalk.ExternalAbortOnWalk && status != ArchitectureWalk.ExternalAbortOnRoot)
        {
            ulong par = _machine.State->ParEl1;
            Assert.True(_machine.State->Pc == pc + 4,
                $"{what}: PC {_machine.State->Pc:x} ESR {_machine.State->EsrEl1:x} "
                + $"ELR {_machine.State->ElrEl1:x} FAR {_machine.State->FarEl1:x}");
            Assert.True(
                status == ArchitectureWalk.NoFault
                    ? (par & 1) == 0 && (par & 0x000F_FFFF_FFFF_F000) == (address & 0x000F_FFFF_FFFF_F000)
                    : (par & 0xFFF) == (((ulong)status << 1) | (1ul << 11) | 1),
                $"{what}: PAR_EL1 {par:x}, wanted status {status:x} address {address:x}");
            Count(status);
            return;
        }

        if (access.Want == Want.Execute)
        {
            // The branch is one instruction, the fetch the next.
            Assert.Equal(va, _machine.State->Pc);
            Assert.Equal(VcpuExit.BudgetSpent, _machine.Core.Run(1));
            pc = va;
            pstate |= 1u << Pstate.BtypeShift;
        }

        if (status == ArchitectureWalk.NoFault)
        {
            bool failed = _machine.State->ElrEl1 == pc && _machine.State->EsrEl1 >> 26 is 0x20 or 0x21 or 0x22;
            Assert.True(access.Want == Want.Execute ? !failed : _machine.State->Pc == pc + 4, $"{what}: ESR {_machine.State->EsrEl1:x}");
            HostileMachine.AssertLegal(_machine.Core, what);
        }
        else
        {
            bool maintenance = access.ByAddress;
            uint exceptionClass = (access.Want == Want.Execute ? 0x20u : 0x24) + (access.AtEl1 ? 1u : 0);
            uint syndrome = (uint)status
                | (maintenance ? 1u << 8 | 1u << 6 : access.Want == Want.Write && !ReadFaults(access, status) ? 1u << 6 : 0);
            CpuState* s = _machine.State;
            s->Pc &= ~UpperHalf;
            _machine.AssertTook(exceptionClass, syndrome, pc, va, pstate, what);
        }

        Count(status);
    }

    // Of an atomic, ESR_EL1.WnR is 0 where a read would fault as well.
    private bool ReadFaults(Access access, int status) => access.Atomic && _readStatus == status;

    private int _readStatus;

    private int Expect(in Regime regime, Access access, ref ulong va, bool pan, out ulong address)
    {
        bool toEl0 = !access.AtEl1 || access.Unprivileged || access.Name is "AT S1E0R" or "AT S1E0W";
        int level = toEl0 ? 0 : 1;
        bool withPan = pan && level == 1 && (!access.ByAddress || access.Name is "AT S1E1RP" or "AT S1E1WP");
        if (access.Want == Want.Execute)
        {
            va = ArchitectureWalk.BranchAddress(regime, va);
        }

        int status = ArchitectureWalk.Translate(regime, va, access.Want, level, withPan, _machine.Doubleword, out address);
        _readStatus = ArchitectureWalk.Translate(regime, va, Want.Read, level, withPan, _machine.Doubleword, out _);
        if (status != ArchitectureWalk.NoFault || access.ByAddress || address - HostileMachine.Ram < HostileMachine.RamSize)
        {
            return status;
        }

        // No memory there: exclusives and atomics are not supported, fetches and what no device answers are external aborts.
        bool device = _machine.Machine.Bus.FindDevice(address) != null;
        return access.Atomic ? 0x35 : access.Want != Want.Execute && device ? ArchitectureWalk.NoFault : ArchitectureWalk.ExternalAbort;
    }

    private void Count(int status)
    {
        string key = status == ArchitectureWalk.NoFault ? "done" : $"status 0x{status:x}";
        _counts[key] = _counts.GetValueOrDefault(key) + 1;
    }

    private ulong Any() => (ulong)_random.NextInt64(long.MinValue, long.MaxValue);
}
