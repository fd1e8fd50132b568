using System.IO.MemoryMappedFiles;
using Vmm.Management.Control;

namespace Vmm.Fleet.Fencing;

/// <summary>
/// Until when the VMs of this node may run: each of their processes ends at that time by itself, in the kernel
/// (<see cref="ProcessDeadline"/>), and none is started after it. It is in a file that all of them have mapped, so they see it also while
/// they start, and when the node does not reach them. Written by <see cref="LeaseKeeper"/> alone, read by any thread: a reader that sees an
/// older time has a VM that ends sooner.
/// </summary>
internal sealed class NodeLease : IDisposable
{
    private readonly MemoryMappedViewAccessor _view;

    /// <param name="path">The file. One of an earlier run is taken over: its VMs run until then.</param>
    /// <exception cref="IOException">It cannot be mapped: one line.</exception>
    public NodeLease(string path) => (Path, _view) = (path, ProcessDeadline.Map(path, MemoryMappedFileAccess.ReadWrite));

    /// <summary>The file, for <c>vmm run -deadline</c>.</summary>
    public string Path { get; }

    /// <summary>Nanoseconds of CLOCK_BOOTTIME; 0 before the first run of the node has its lease.</summary>
    public long Deadline
    {
        get => _view.ReadInt64(0);
        set => _view.Write(0, value);
    }

    /// <summary>Whether a VM may be started.</summary>
    public bool IsHeld => ProcessDeadline.Now < Deadline;

    public void Dispose() => _view.Dispose();
}
