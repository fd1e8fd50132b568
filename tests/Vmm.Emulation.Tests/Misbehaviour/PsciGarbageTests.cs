using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Psci;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Misbehaviour;

/// <summary>PSCI calls with any function and arguments: the results of PSCI 1.1 (DEN0022, chapter 5), and nothing else changes.</summary>
public sealed unsafe class PsciGarbageTests(ITestOutputHelper output) : IDisposable
{
    private const int Seed = 20261126;
    private const int Calls = 200_000;
    private const int EnabledCpus = 3;
    private const int PossibleCpus = 20;
    private const uint Hvc = 0xD400_0002;
    private const uint Smc = 0xD400_0003;

    private const long NotSupported = -1;
    private const long InvalidParameters = -2;
    private const long Denied = -3;
    private const long AlreadyOn = -4;
    private const long OnPending = -5;

    private static readonly uint[] Known =
    [
        0x8400_0000, 0x8400_0001, 0xC400_0001, 0x8400_0002, 0x8400_0003, 0xC400_0003, 0x8400_0004, 0xC400_0004, 0x8400_0006, 0x8400_0008,
        0x8400_0009, 0x8400_000A, 0x8400_0012, 0xC400_0012, 0x8000_0000, 0x8000_0001,
    ];

    private readonly HostileMachine _machine = new(EnabledCpus, PossibleCpus);
    private readonly Random _random = new(Seed);

    public void Dispose() => _machine.Dispose();

    [Fact]
    public void Call_with_garbage_returns_what_psci_documents()
    {
        _machine.Write(HostileMachine.Code, Hvc, HostileMachine.Stay, Hvc | (0x1234 << 5), HostileMachine.Stay, Smc, HostileMachine.Stay);
        var results = new SortedDictionary<string, int>();
        for (int i = 0; i < Calls; i++)
        {
            string result = Call();
            results[result] = results.GetValueOrDefault(result) + 1;
        }

        output.WriteLine(
            $"[figure] PSCI garbage: seed {Seed}, {Calls} calls: {string.Join(", ", results.Select(r => $"{r.Key} {r.Value}"))}");
        Assert.Superset(
            new HashSet<string>(["-1", "-2", "-3", "-4", "-5", "0", "undefined", "PoweredOff", "SystemOff", "SystemReset"]),
            new HashSet<string>(results.Keys));
    }

    private string Call()
    {
        int which = _random.Next(3);
        bool el0 = _random.Next(16) == 0;
        _machine.Place(_machine.Core, HostileMachine.Code + ((ulong)which * 8), el0 ? Pstate.ModeEl0t : Pstate.ModeEl1h | Pstate.DaifMask);
        CpuState* s = _machine.State;
        var power = new PowerState[PossibleCpus];
        for (int i = 0; i < PossibleCpus; i++)
        {
            power[i] = i == 0 ? PowerState.On : (PowerState)_random.Next(3);
            _machine.Machine.Psci.SetPower(new CpuIndex(i), power[i]);
        }

        uint function = _random.Next(4) switch
        {
            0 => (uint)Any(),
            1 => 0x8400_0000 | (uint)_random.Next(32) | ((uint)_random.Next(2) << 30),
            _ => Known[_random.Next(Known.Length)],
        };
        for (int i = 0; i < 31; i++)
        {
            s->X[i] = Any();
        }

        s->X[0] = (Any() << 32) | function;
        s->X[1] = Argument();
        s->X[2] = _random.Next(2) == 0 ? (ulong)_random.Next(4) : Any();
        ulong[] before = [.. Enumerable.Range(0, 31).Select(i => s->X[i])];
        int granted = _machine.CpuOnCalls;
        VcpuExit exit = _machine.Core.Run(1);
        string what = $"{function:x8}({before[1]:x}, {before[2]:x}, {before[3]:x}) = {(long)s->X[0]} {exit}";
        if (which == 2 || el0)
        {
            Assert.True(s->EsrEl1 == 1ul << 25, what);
            Assert.Equal(before, Enumerable.Range(0, 31).Select(i => s->X[i]));
            return "undefined";
        }

        (long? result, VcpuExit left) = Expect(function, before, power);
        Assert.True(exit == left, what);
        Assert.Equal(HostileMachine.Code + ((ulong)which * 8) + 4, s->Pc);
        Assert.True(result == null || (long)s->X[0] == result, $"{what}, wanted {result}");
        Assert.Equal(before[1..], Enumerable.Range(1, 30).Select(i => s->X[i]));
        bool started = (function & ~(1u << 30)) == 0x8400_0003 && result == 0;
        Assert.Equal(granted + (started ? 1 : 0), _machine.CpuOnCalls);
        for (int i = 1; i < PossibleCpus; i++)
        {
            PowerState now = _machine.Machine.Psci.Power(new CpuIndex(i));
            Assert.True(now == power[i] || (started && now == PowerState.OnPending && power[i] == PowerState.Off), what);
        }

        Assert.Equal(exit == VcpuExit.PoweredOff ? PowerState.Off : PowerState.On, _machine.Machine.Psci.Power(new CpuIndex(0)));
        return left != VcpuExit.BudgetSpent ? left.ToString() : result is < 0 or 0 ? result.ToString()! : "information";
    }

    private static (long? Result, VcpuExit Exit) Expect(uint function, ulong[] x, PowerState[] power)
    {
        bool wide = (function & (1u << 30)) != 0;
        ulong first = wide ? x[1] : (uint)x[1];
        ulong second = wide ? x[2] : (uint)x[2];

        // MPIDR affinity: sixteen CPUs to a cluster (Aff0), the clusters in Aff1; all other bits zero.
        int cpu = (first & 0xF0) == 0 && ((first >> 8) * 16) + (first & 15) < PossibleCpus && first >> 16 == 0
            ? (int)(((first >> 8) * 16) + (first & 15))
            : -1;
        switch (function)
        {
            case 0x8400_0000 or 0x8000_0000:
                return (0x1_0001, VcpuExit.BudgetSpent);
            case 0x8400_0002:
                return (null, VcpuExit.PoweredOff);
            case 0x8400_0001 or 0xC400_0001:
                // power_state: StateID 15:0, StateType 16, PowerLevel 25:24, which must be the CPU's.
                return (uint)first >> 17 != 0 ? (InvalidParameters, VcpuExit.BudgetSpent) : (0, VcpuExit.WaitForInterrupt);
            case 0x8400_0008:
                return (null, VcpuExit.SystemOff);
            case 0x8400_0009:
                return (null, VcpuExit.SystemReset);
            case 0x8400_0012 or 0xC400_0012:
                // Of the architecture's resets there is only the warm one.
                return (uint)first != 0 ? (InvalidParameters, VcpuExit.BudgetSpent) : (null, VcpuExit.SystemReset);
            case 0x8400_0003 or 0xC400_0003:
                long on = cpu < 0 ? InvalidParameters
                    : cpu >= EnabledCpus ? Denied
                    : power[cpu] switch { PowerState.On => AlreadyOn, PowerState.OnPending => OnPending, _ => 0 };
                return (on, VcpuExit.BudgetSpent);
            case 0x8400_0004 or 0xC400_0004:
                long state = cpu < 0 || cpu >= EnabledCpus || second != 0 ? InvalidParameters
                    : power[cpu] switch { PowerState.On => 0, PowerState.Off => 1, _ => 2 };
                return (state, VcpuExit.BudgetSpent);
            case 0x8400_0006:
                return (2, VcpuExit.BudgetSpent);
            case 0x8400_000A:
                return (Known.Contains((uint)first) && (uint)first != 0x8000_0001 ? 0 : NotSupported, VcpuExit.BudgetSpent);
            case 0x8000_0001:
                // SMCCC_ARCH_FEATURES (DEN0028, 7.3): of its service there are the two mandatory calls.
                return ((uint)first is 0x8000_0000 or 0x8000_0001 ? 0 : NotSupported, VcpuExit.BudgetSpent);
            default:
                return (NotSupported, VcpuExit.BudgetSpent);
        }
    }

    /// <summary>
    /// A CPU that is started where nothing can be executed takes the fault of the fetch, again and again, and its budget ends it.
    /// </summary>
    [Theory]
    [InlineData(0x0000_0000_0000_0000ul, 0x10u)]
    [InlineData(0x0000_0000_0900_0000ul, 0x10u)]
    [InlineData(0x0000_000F_0000_0000ul, 0x10u)]
    [InlineData(0xFFFF_0000_0000_0000ul, 0x00u)]
    public void Cpu_started_outside_memory_takes_instruction_aborts(ulong entry, uint status)
    {
        VcpuCore core = _machine.Machine.Cpus[1];
        core.Reset(entry, 0);
        core.State->VbarEl1 = HostileMachine.Vectors;
        Assert.Equal(VcpuExit.BudgetSpent, core.Run(1));
        Assert.Equal(HostileMachine.Vectors + 0x200, core.State->Pc);
        Assert.Equal((0x21ul << 26) | (1ul << 25) | status, core.State->EsrEl1);
        Assert.Equal(entry, core.State->FarEl1);

        // And with the vectors nowhere as well, as after a cold reset.
        core.Reset(entry, 0);
        Assert.Equal(VcpuExit.BudgetSpent, core.Run(10_000));
        Assert.Equal(0x200ul, core.State->FarEl1);
    }

    private ulong Argument() => _random.Next(8) switch
    {
        0 => Any(),
        1 => (uint)Any(),
        2 => Any() & 0x1FFFF,
        3 => Known[_random.Next(Known.Length)],
        4 => (Any() << 32) | (uint)_random.Next(4),
        5 => ((ulong)_random.Next(3) << 8) | (uint)_random.Next(18),
        _ => (ulong)_random.Next(4),
    };

    private ulong Any() => (ulong)_random.NextInt64(long.MinValue, long.MaxValue);
}
