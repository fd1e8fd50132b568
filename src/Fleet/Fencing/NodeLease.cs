using Vmm.Management.Control;

namespace Vmm.Fleet.Fencing;

/// <summary>
/// Until when the VMs of this node may run: each of their processes ends at that time by itself, in the kernel
/// (<see cref="ProcessDeadline"/>), and none is started after it. Written by <see cref="LeaseKeeper"/> alone, read by any thread: a reader
/// that sees an older time has a VM that ends sooner.
/// </summary>
internal sealed class NodeLease
{
    private long _deadline;

    /// <summary>Nanoseconds of CLOCK_BOOTTIME; 0 before the node has its lease.</summary>
    public long Deadline
    {
        get => Volatile.Read(ref _deadline);
        set => Volatile.Write(ref _deadline, value);
    }

    /// <summary>Whether a VM may be started.</summary>
    public bool IsHeld => ProcessDeadline.Now < Deadline;
}
