using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Timers;
using Vmm.Emulation.Interrupts;

namespace Vmm.Emulation.Cpu.PerformanceMonitors;

/// <summary>
/// The performance monitors of one vCPU (Arm ARM D13). Nothing is counted while instructions run: the vCPU has figures that grow anyway
/// (<see cref="PmuSource"/>), and <see cref="Sync"/> adds what they have grown by to the counters that are on. It is called before whatever
/// changes which counters that are: an access to a register here, an exception, a return from one, and the end of a run. So it costs a vCPU
/// nothing but a look at <see cref="IsCounting"/> there. Branches alone are counted by the code itself, from the time on when a guest first
/// asks for them (<see cref="CodeCache.CountBranches"/>).
/// <para>
/// Instructions and branches are exact in either engine. Cycles are host time at 1 GHz while the vCPU runs; in WFI and WFE they stand
/// still. An overflow is seen at the next <see cref="Sync"/>, and where it is to interrupt, the run ends about when it comes
/// (<see cref="LimitRun"/>).
/// </para>
/// Owner: the thread of the vCPU.
/// </summary>
public sealed unsafe partial class Pmu
{
    // A run ends no sooner for an overflow of cycles: when exactly it comes is not known.
    private const long ShortestRun = 1000;

    private sealed class Counter(int bit)
    {
        public int Bit => bit;

        public ulong Value { get; set; }

        /// <summary>PMEVTYPER&lt;n&gt;_EL0, or PMCCFILTR_EL0.</summary>
        public uint Type { get; set; }

        public PmuSource Source { get; set; } = bit == PmuSpec.CycleCounter ? PmuSource.Cycles : PmuSource.None;
    }

    private readonly VcpuCore _core;
    private readonly VirtualClock _clock;
    private readonly InterruptLine _line;

    // The event counters, and behind them the cycle counter.
    private readonly Counter[] _counters =
        [.. Enumerable.Range(0, PmuSpec.EventCounters).Append(PmuSpec.CycleCounter).Select(bit => new Counter(bit))];

    // The counters that are on.
    private readonly List<Counter> _active = [];

    // What each source had at the last Sync, by PmuSource, and by how much it has grown since.
    private readonly long[] _last = new long[(int)PmuSource.ExceptionReturns + 1];
    private readonly ulong[] _growth = new ulong[(int)PmuSource.ExceptionReturns + 1];

    // Of PMCR_EL0 what can be written.
    private ulong _control;
    private uint _enabled;
    private uint _interrupts;
    private uint _overflows;
    private int _selected;
    private long _exceptionsTaken;
    private long _exceptionReturns;

    // How many instructions the vCPU executes in a cycle, as of its last runs, and where the run that goes on began.
    private double _rate = 1;
    private long _runInstructions;
    private long _runCycles;

    /// <param name="line">The overflow interrupt of the CPU.</param>
    internal Pmu(VcpuCore core, VirtualClock clock, InterruptLine line)
    {
        _core = core;
        _clock = clock;
        _line = line;
    }

    /// <summary>Whether any counter is on.</summary>
    internal bool IsCounting => _active.Count > 0;

    /// <summary>PMCR_EL0: IMP and IDCODE are the model's.</summary>
    internal ulong Control
    {
        get => ((ulong)_core.Model.PmuId << 16) | (PmuSpec.EventCounters << 11) | PmuSpec.LongCycles | _control;

        set
        {
            Sync();
            foreach (Counter counter in _counters)
            {
                if ((value & (counter.Bit == PmuSpec.CycleCounter ? PmuSpec.ResetCycles : PmuSpec.ResetEvents)) != 0)
                {
                    counter.Value = 0;
                }
            }

            _control = value & (PmuSpec.Enable | PmuSpec.ExportEvents | PmuSpec.DisableProhibited
                | (_core.Has(Feature.Pmuv3p5) ? PmuSpec.LongEvents : 0));
            Restart();
        }
    }

    /// <summary>PMCNTENSET_EL0 and PMCNTENCLR_EL0: the counters that are on while PMCR_EL0.E is.</summary>
    internal uint Enabled
    {
        get => _enabled;

        set
        {
            Sync();
            _enabled = value & PmuSpec.AllCounters;
            Restart();
        }
    }

    /// <summary>PMINTENSET_EL1 and PMINTENCLR_EL1: the counters whose overflow interrupts.</summary>
    internal uint InterruptEnables
    {
        get => _interrupts;

        set
        {
            Sync();
            _interrupts = value & PmuSpec.AllCounters;
            Restart();
        }
    }

    /// <summary>PMOVSSET_EL0 and PMOVSCLR_EL0: the counters that have overflowed.</summary>
    internal uint Overflows
    {
        get
        {
            Sync();
            return _overflows;
        }

        set
        {
            Sync();
            _overflows = value & PmuSpec.AllCounters;
            Restart();
        }
    }

    /// <summary>PMSELR_EL0.</summary>
    internal int Selected
    {
        get => _selected;
        set => _selected = value & 0x1F;
    }

    /// <summary>PMUSERENR_EL0.</summary>
    internal ulong UserEnable { get; set; }

    /// <summary>PMEVCNTR&lt;n&gt;_EL0, or PMCCNTR_EL0 for <see cref="PmuSpec.CycleCounter"/>; 0 for a counter that is not there.</summary>
    internal ulong ReadCounter(int number)
    {
        Sync();
        return Find(number)?.Value ?? 0;
    }

    internal void WriteCounter(int number, ulong value)
    {
        if (Find(number) is { } counter)
        {
            Sync();
            counter.Value = value & MaskOf(counter);
            Restart();
        }
    }

    /// <summary>PMEVTYPER&lt;n&gt;_EL0, or PMCCFILTR_EL0 for <see cref="PmuSpec.CycleCounter"/>; 0 for what is not there.</summary>
    internal ulong ReadType(int number) => Find(number)?.Type ?? 0;

    internal void WriteType(int number, ulong value)
    {
        if (Find(number) is not { } counter)
        {
            return;
        }

        Sync();
        counter.Type = (uint)value & (PmuSpec.ExcludeEl0 | PmuSpec.ExcludeEl1
            | (counter.Bit == PmuSpec.CycleCounter ? 0 : _core.Has(Feature.Pmuv3p1) ? 0xFFFFu : 0x3FF));
        if (PmuSpec.SourceOf(counter.Type) == PmuSource.Branches)
        {
            _core.Code.CountBranches();
        }

        Restart();
    }

    /// <summary>PMSWINC_EL0: adds one to each of the counters that count software increments.</summary>
    internal void Increment(uint counters)
    {
        Sync();
        foreach (Counter counter in _active)
        {
            if (((counters >> counter.Bit) & 1) != 0 && counter.Bit != PmuSpec.CycleCounter
                && PmuSpec.EventOf(counter.Type) == PmuSpec.SoftwareIncrement && (counter.Type & ExcludedNow) == 0)
            {
                Add(counter, 1);
            }
        }

        UpdateLine();
    }

    /// <summary>An exception is about to be taken, from the exception level that still is the current one.</summary>
    internal void NoteException()
    {
        _exceptionsTaken++;
        Sync();
    }

    /// <summary>As <see cref="NoteException"/> says, soon.</summary>
    /// <param name="inFlight">Instructions that have been executed and are not taken off the budget yet.</param>
    internal void PrepareException(long inFlight) => Sync(inFlight);

    /// <summary>An exception is about to be returned from.</summary>
    internal void NoteReturn()
    {
        _exceptionReturns++;
        Sync();
    }

    /// <summary>The vCPU begins to run: its cycles go on.</summary>
    internal void BeginRun()
    {
        if (IsCounting)
        {
            _runInstructions = Now(PmuSource.Instructions);
            _runCycles = _last[(int)PmuSource.Cycles] = Now(PmuSource.Cycles);
            LimitRun();
        }
    }

    /// <summary>The vCPU has run.</summary>
    internal void EndRun()
    {
        if (!IsCounting)
        {
            return;
        }

        Sync();
        long instructions = _last[(int)PmuSource.Instructions] - _runInstructions;
        long cycles = _last[(int)PmuSource.Cycles] - _runCycles;
        if (instructions > 0 && cycles > 0)
        {
            _rate += ((double)instructions / cycles - _rate) / 4;
        }
    }

    /// <summary>Adds what has happened since the last time to the counters that are on at the current exception level.</summary>
    /// <param name="inFlight">Instructions that have been executed and are not taken off the budget yet.</param>
    private void Sync(long inFlight = 0)
    {
        if (!IsCounting)
        {
            return;
        }

        for (PmuSource source = PmuSource.Instructions; source <= PmuSource.ExceptionReturns; source++)
        {
            // Instructions that were in flight the last time may not be taken off yet.
            long now = Math.Max(Now(source) + (source == PmuSource.Instructions ? inFlight : 0), _last[(int)source]);
            _growth[(int)source] = (ulong)(now - _last[(int)source]);
            _last[(int)source] = now;
        }

        uint excluded = ExcludedNow;
        foreach (Counter counter in _active)
        {
            if ((counter.Type & excluded) == 0)
            {
                Add(counter, _growth[(int)counter.Source]);
            }
        }

        UpdateLine();
    }

    /// <summary>A reset of the CPU: everything is off, and nothing is remembered.</summary>
    internal void Reset()
    {
        foreach (Counter counter in _counters)
        {
            (counter.Value, counter.Type) = (0, 0);
        }

        (_control, _enabled, _interrupts, _overflows, _selected, UserEnable) = (0, 0, 0, 0, 0, 0);
        Restart();
    }

    private uint ExcludedNow => Pstate.ExceptionLevel(_core.State->Pstate) == 0 ? PmuSpec.ExcludeEl0 : PmuSpec.ExcludeEl1;

    private bool HasLongEvents => (_control & PmuSpec.LongEvents) != 0;

    private Counter? Find(int number) =>
        number is >= 0 and < PmuSpec.EventCounters ? _counters[number] : number == PmuSpec.CycleCounter ? _counters[^1] : null;

    // Event counters have 32 bits before FEAT_PMUv3p5.
    private ulong MaskOf(Counter counter) =>
        counter.Bit == PmuSpec.CycleCounter || _core.Has(Feature.Pmuv3p5) ? ulong.MaxValue : uint.MaxValue;

    private bool IsLong(Counter counter) => counter.Bit == PmuSpec.CycleCounter || HasLongEvents;

    private long Now(PmuSource source) => source switch
    {
        PmuSource.Instructions => _core.InstructionsRetired,
        PmuSource.Cycles => (long)(_clock.Count * PmuSpec.CyclesPerTick),
        PmuSource.DataTlbRefills => _core.Counters.DataTlbFills,
        PmuSource.InstructionTlbRefills => _core.Counters.InstructionTlbFills,
        PmuSource.Branches => _core.State->Branches,
        PmuSource.ExceptionsTaken => _exceptionsTaken,
        _ => _exceptionReturns,
    };

    private void Add(Counter counter, ulong growth)
    {
        ulong before = counter.Value;
        counter.Value = (before + growth) & MaskOf(counter);
        ulong overflows = IsLong(counter) ? (counter.Value < before ? 1ul : 0) : ((uint)before + growth) >> 32;
        if (overflows == 0)
        {
            return;
        }

        _overflows |= 1u << counter.Bit;

        // An odd counter with the event CHAIN counts how often the one before it has passed 2^32.
        if (!IsLong(counter) && (counter.Bit & 1) == 0 && _counters[counter.Bit + 1] is var next
            && PmuSpec.EventOf(next.Type) == PmuSpec.Chain && _active.Contains(next) && (next.Type & ExcludedNow) == 0)
        {
            Add(next, overflows);
        }
    }

    // Which counters are on has changed, or what they hold.
    private void Restart()
    {
        _active.Clear();
        if ((_control & PmuSpec.Enable) != 0)
        {
            _active.AddRange(_counters.Where(c => ((_enabled >> c.Bit) & 1) != 0));
        }

        foreach (Counter counter in _active)
        {
            counter.Source = counter.Bit == PmuSpec.CycleCounter ? PmuSource.Cycles : PmuSpec.SourceOf(counter.Type);
        }

        if (IsCounting)
        {
            for (PmuSource source = PmuSource.Instructions; source <= PmuSource.ExceptionReturns; source++)
            {
                _last[(int)source] = Now(source);
            }

            LimitRun();
        }

        UpdateLine();
    }

    private void UpdateLine() => _line.Set((_control & PmuSpec.Enable) != 0 && (_overflows & _interrupts) != 0);

    // Ends the run about when a counter overflows whose overflow interrupts.
    private void LimitRun()
    {
        long most = long.MaxValue;
        foreach (Counter counter in _active)
        {
            if ((_interrupts & (1u << counter.Bit)) == 0)
            {
                continue;
            }

            // From 0 a counter of 64 bits takes 2^64.
            ulong left = !IsLong(counter) ? (1ul << 32) - (uint)counter.Value : counter.Value == 0 ? ulong.MaxValue : 0 - counter.Value;
            long instructions = counter.Source switch
            {
                // Of so many instructions no more than all are branches; the next run goes on from there.
                PmuSource.Instructions or PmuSource.Branches => (long)Math.Min(left, long.MaxValue),
                PmuSource.Cycles => Math.Max((long)Math.Min(left * _rate, long.MaxValue / 2), ShortestRun),
                _ => long.MaxValue,
            };
            most = Math.Min(most, instructions);
        }

        if (most != long.MaxValue)
        {
            _core.LimitBudget(most);
        }
    }
}
