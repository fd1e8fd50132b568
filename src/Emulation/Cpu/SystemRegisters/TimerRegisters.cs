using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Timers;

namespace Vmm.Emulation.Cpu.SystemRegisters;

/// <summary>The generic timer (Arm ARM D12); EL0 access by CNTKCTL_EL1.</summary>
internal static unsafe class TimerRegisters
{
    public static void Add(AddRow row)
    {
        row(3, 0, 14, 1, 0, new("CNTKCTL_EL1", (_, s) => s->CntkctlEl1, (core, s, v) =>
            s->CntkctlEl1 = v & (0x3FFu | (core.Has(Feature.Ecv) ? 1ul << 17 : 0))));
        row(3, 3, 14, 0, 0, Register("CNTFRQ_EL0", 3, _ => VirtualClock.Frequency, (_, _) => { }) with { El0Write = false });
        row(3, 3, 14, 0, 1, Register("CNTPCT_EL0", 1, timer => timer.Clock.Count, null));
        row(3, 3, 14, 0, 2, Register("CNTVCT_EL0", 2, timer => timer.Clock.Count, null));
        row(3, 3, 14, 0, 5, Register("CNTPCTSS_EL0", 1, timer => timer.Clock.Count, null) with { Feature = Feature.Ecv });
        row(3, 3, 14, 0, 6, Register("CNTVCTSS_EL0", 2, timer => timer.Clock.Count, null) with { Feature = Feature.Ecv });
        AddTimer(row, 2, "CNTP", timer => timer.Physical, 1 << 9);
        AddTimer(row, 3, "CNTV", timer => timer.Virtual, 1 << 8);
    }

    private static void AddTimer(AddRow row, int crm, string name, Func<GenericTimer, TimerChannel> channel, ulong el0Enable)
    {
        row(3, 3, 14, crm, 0, Register($"{name}_TVAL_EL0", el0Enable, t => channel(t).TimerValue, (t, v) => channel(t).TimerValue = v));
        row(3, 3, 14, crm, 1, Register($"{name}_CTL_EL0", el0Enable, t => channel(t).Control, (t, v) => channel(t).Control = v));
        row(3, 3, 14, crm, 2, Register($"{name}_CVAL_EL0", el0Enable, t => channel(t).CompareValue, (t, v) => channel(t).CompareValue = v));
    }

    // el0Enable: bits of CNTKCTL_EL1 of which any gives the register to EL0.
    private static SystemRegister Register(
        string name, ulong el0Enable, Func<GenericTimer, ulong> read, Action<GenericTimer, ulong>? write) =>
        new(name, (core, _) => read(core.Timer!), write == null ? null : (core, _, v) => write(core.Timer!, v))
        {
            El0Read = true,
            El0Write = write != null,
            TrapEl0 = (_, s, _) => (s->CntkctlEl1 & el0Enable) == 0,
            Part = core => core.Timer,
        };
}
