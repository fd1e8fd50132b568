namespace Vmm.Fleet.Ledger;

/// <summary>
/// CPU-time of a VM while it runs, in nanoseconds, by the state of its possible CPUs. A paused VM uses none.
/// </summary>
/// <param name="Busy">CPUs that are enabled and execute the guest's instructions.</param>
/// <param name="Idle">CPUs that are enabled and wait.</param>
/// <param name="Standby">CPUs that are not enabled: what the VM could grow to.</param>
public readonly record struct CpuUsage(long Busy, long Idle, long Standby)
{
    /// <summary>CPUs that are enabled.</summary>
    public long Enabled => Busy + Idle;

    public static CpuUsage operator +(CpuUsage left, CpuUsage right) => left.Plus(right, 1);

    public static CpuUsage operator -(CpuUsage left, CpuUsage right) => left.Plus(right, -1);

    /// <summary>Whether every time is at least that of another usage.</summary>
    public bool IsAtLeast(CpuUsage other) => Busy >= other.Busy && Idle >= other.Idle && Standby >= other.Standby;

    /// <summary>The times of the counters of a VM: Vmm.Actors.Protocol.VcpuTimes.</summary>
    /// <param name="runNs">How long the VM has run.</param>
    /// <param name="busyNs">By CPU.</param>
    /// <param name="enabledNs">By CPU.</param>
    public static CpuUsage Of(long runNs, IReadOnlyList<long> busyNs, IReadOnlyList<long> enabledNs)
    {
        long busy = busyNs.Sum(), enabled = enabledNs.Sum();
        return new CpuUsage(busy, enabled - busy, (runNs * enabledNs.Count) - enabled);
    }

    private CpuUsage Plus(CpuUsage other, long times) => checked(
        new(Busy + (times * other.Busy), Idle + (times * other.Idle), Standby + (times * other.Standby)));
}
