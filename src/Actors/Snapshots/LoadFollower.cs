using Vmm.Emulation.Memory;
using Vmm.Emulation.Snapshots;

namespace Vmm.Actors.Snapshots;

/// <summary>
/// The work on mapped RAM that goes on when the VM does (<see cref="MappedRam"/>), on threads of its own. It ends by itself, and then
/// closes the snapshot.
/// </summary>
internal sealed class LoadFollower
{
    private readonly SnapshotStore? _store;
    private readonly Snapshot _snapshot;
    private readonly MappedRam _ram;

    // Written by whoever stops it.
    private volatile bool _stopped;

    /// <param name="store">Where the snapshot is; null for a file of its own.</param>
    /// <param name="snapshot">Was loaded.</param>
    public LoadFollower(SnapshotStore? store, Snapshot snapshot, GuestMemory ram)
    {
        (_store, _snapshot) = (store, snapshot);
        _ram = new MappedRam(snapshot, ram, () => _stopped);
    }

    /// <param name="damaged">Is told what of RAM is damaged. Any thread, at most once.</param>
    public void Start(Action<string> damaged)
    {
        Task recording = !_ram.WantsOrder ? Task.CompletedTask : Task.Factory.StartNew(
            Record, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        _ = Task.Factory.StartNew(
            () =>
            {
                try
                {
                    _ram.Read();
                }
                catch (SnapshotException e)
                {
                    damaged(e.Message);
                }

                recording.Wait();
                _snapshot.Dispose();
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <summary>The RAM is no longer what was loaded. Returns at once.</summary>
    public void Stop() => _stopped = true;

    // An order that cannot be kept is recorded by the next load.
    private void Record()
    {
        try
        {
            if (_ram.Record() is { Count: > 0 } order)
            {
                _store?.KeepWorkingSet(_snapshot, order);
            }
        }
        catch (Exception e) when (e is SnapshotException or IOException or UnauthorizedAccessException)
        {
            return;
        }
    }
}
