namespace Vmm.Emulation.Cpu.Timers;

/// <summary>
/// The time of a machine with one interpreted vCPU, counted in its instructions (<c>-icount shift=N,sleep=off</c>, as QEMU has it): each
/// takes 2^N ns. It is read, and timers fire, at branches that are taken, wherever the run was cut into slices. While the vCPU waits for an
/// interrupt the time goes on at once to the next deadline.
/// </summary>
/// <remarks>All of it belongs to the thread that runs the vCPU.</remarks>
public sealed class InstructionClock
{
    /// <summary>The longest instruction: 2^10 ns, as in QEMU.</summary>
    public const int MaxShift = 10;

    // A tick of the counter takes 2^4 ns.
    private const int TickShift = 4;

    private readonly VcpuCore _core;
    private readonly TimerQueue _timers;
    private readonly int _shift;

    // Ticks that passed without instructions.
    private ulong _skipped;

    internal InstructionClock(VcpuCore core, TimerQueue timers, int shift)
    {
        _core = core;
        _timers = timers;
        _shift = shift;
        timers.Scheduled = deadline => core.LimitBudget(Until(deadline));
    }

    /// <summary>Ticks of <see cref="VirtualClock.Frequency"/>.</summary>
    internal ulong Count
    {
        get => _skipped + (((ulong)_core.InstructionsNow << _shift) >> TickShift);
        set => _skipped += value - Count;
    }

    /// <summary>Runs the vCPU as <see cref="VcpuCore.Run"/> does, and its timers.</summary>
    internal VcpuExit Run(long budget)
    {
        _timers.ExpireDue();
        VcpuExit exit = _core.Run(_timers.Earliest is ulong deadline ? Math.Min(budget, Until(deadline)) : budget);
        if (exit == VcpuExit.WaitForInterrupt && !_core.Interrupts.HasWakeup && _timers.Earliest is ulong next)
        {
            Count = Math.Max(Count, next);
            return VcpuExit.BudgetSpent;
        }

        return exit;
    }

    // Instructions until the counter reaches a value: at least one for one that is still to come.
    private long Until(ulong deadline)
    {
        if (deadline <= Count)
        {
            return 0;
        }

        UInt128 all = ((((UInt128)(deadline - _skipped) << TickShift) + (1u << _shift) - 1) >> _shift) - (UInt128)_core.InstructionsNow;
        return all > long.MaxValue ? long.MaxValue : (long)all;
    }
}
