using Vmm.Emulation.Cpu.Timers;

namespace Vmm.Emulation.Cpu.SystemRegisters;

/// <summary>The generic timer (Arm ARM D12); EL0 access by CNTKCTL_EL1.</summary>
internal static unsafe class TimerRegisters
{
    public static void Add(AddRow row)
    {
        row(3, 0, 14, 1, 0, new("CNTKCTL_EL1", (_, s) => s->CntkctlEl1, (_, s, v) => s->CntkctlEl1 = v & 0x3FF));
        row(3, 3, 14, 0, 0, new("CNTFRQ_EL0", (core, s) => VirtualClock.Frequency, (_, _, _) => { }) { El0Read = true, TrapEl0 = (_, s, _) => (s->CntkctlEl1 & 3) == 0 });
        row(3, 3, 14, 0, 1, new("CNTPCT_EL0", (core, _) => Counter(core)) { El0Read = true, TrapEl0 = (_, s, _) => (s->CntkctlEl1 & 1) == 0 });
        row(3, 3, 14, 0, 2, new("CNTVCT_EL0", (core, _) => Counter(core)) { El0Read = true, TrapEl0 = (_, s, _) => (s->CntkctlEl1 & 2) == 0 });
        AddTimer(row, 2, "CNTP", core => core.Timer!.Physical, 1 << 9);
        AddTimer(row, 3, "CNTV", core => core.Timer!.Virtual, 1 << 8);
    }

    private static ulong Counter(VcpuCore core) => core.Timer == null ? 0 : core.Timer.Clock.Count;

    private static void AddTimer(AddRow row, int crm, string name, Func<VcpuCore, TimerChannel> channel, ulong el0Enable)
    {
        bool Trap(VcpuCore core, CpuState* s, bool write) => (s->CntkctlEl1 & el0Enable) == 0;
        row(3, 3, 14, crm, 0, new($"{name}_TVAL_EL0", (core, _) => channel(core).TimerValue, (core, _, v) => channel(core).TimerValue = v)
        { El0Read = true, El0Write = true, TrapEl0 = Trap });
        row(3, 3, 14, crm, 1, new($"{name}_CTL_EL0", (core, _) => channel(core).Control, (core, _, v) => channel(core).Control = v)
        { El0Read = true, El0Write = true, TrapEl0 = Trap });
        row(3, 3, 14, crm, 2, new($"{name}_CVAL_EL0", (core, _) => channel(core).CompareValue, (core, _, v) => channel(core).CompareValue = v)
        { El0Read = true, El0Write = true, TrapEl0 = Trap });
    }
}
