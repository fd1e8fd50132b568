using System.Diagnostics.CodeAnalysis;
using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vm;
using Vmm.Emulation.Snapshots;
using Vmm.Emulation.State;

namespace Vmm.Actors.Snapshots;

/// <summary>
/// Saves the VM, loads it, and looks after its snapshots. One request at a time: others wait. What is on the disk is whole at every moment
/// (<see cref="SnapshotSave"/>), so this actor keeps no journal: the folder is it.
/// <code>
/// save: VM held → its state taken → state and RAM written → VM goes on → files on the disk
/// load: snapshot read and checked → VM held → RAM and state given → VM goes on
/// </code>
/// Nothing of the VM is touched before the snapshot has been found right and fitting.
/// </summary>
internal sealed class SnapshotCoordinator : HoldingActor
{
    // What is loaded.
    private sealed record Prepared(Snapshot Snapshot, LoadableVm State);

    private readonly SnapshotStore? _store;
    private readonly string _product;
    private IActorRef _requester = ActorRefs.Nobody;

    // Of the save under way.
    private SnapshotSave? _save;

    // Of the load under way.
    private Prepared? _prepared;

    /// <param name="store">Where snapshots are; null for a VM that has no place for them.</param>
    /// <param name="product">The version of the program.</param>
    public SnapshotCoordinator(IVmMachine machine, SnapshotStore? store, string product)
        : base(machine, Context.Parent)
    {
        _store = store;
        _product = product;
        Become(Idle);
    }

    protected override void PostStop()
    {
        _save?.Dispose();
        _prepared?.Snapshot.Dispose();
    }

    private void Idle()
    {
        Receive<SaveSnapshot>(save => Begin(store => store.Save(save.Tag, save.Replace), opened =>
        {
            _save = (SnapshotSave)opened;
            Claim("a snapshot is being saved", () => Hold(VmRunState.SaveVm, _ => Collect(state => Write(save, state))));
        }));
        Receive<LoadSnapshot>(load => Begin(store => Prepare(store, load.Tag), prepared =>
        {
            _prepared = (Prepared)prepared;
            Claim("a snapshot is being loaded", () => Hold(VmRunState.RestoreVm, from => Load(load, from)));
        }));
        Receive<DeleteSnapshot>(delete => Begin(
            store =>
            {
                store.Remove(delete.Tag);
                return delete;
            },
            _ => End(new SnapshotDeleted(delete.Tag))));
        Queries();
    }

    protected override void Queries() => Receive<GetSnapshots>(_ =>
    {
        try
        {
            Sender.Tell(Describe(_store?.List() ?? []));
        }
        catch (SnapshotException e)
        {
            Sender.Tell(Rejected(e));
        }
    });

    private static SnapshotList Describe(IReadOnlyList<SnapshotEntry> entries)
    {
        SnapshotManifest[] whole = [.. entries.Select(e => e.Manifest).OfType<SnapshotManifest>()];
        return new SnapshotList(
            [.. entries.Where(e => e.Manifest != null).Select(e => e.Tag)],
            [.. whole.Select(m => m.StoredBytes)],
            [.. whole.Select(m => m.SavedAt.ToUnixTimeSeconds())],
            [.. whole.Select(m => (long)m.GuestTime.TotalMilliseconds)]);
    }

    // The first step of each request, with the files alone.
    private void Begin(Func<SnapshotStore, object> open, Action<object> then)
    {
        _requester = Sender;
        if (_store == null)
        {
            End(new VmCommandRejected(RejectionCode.NotSupported, "there is no place for snapshots: start with --state FOLDER"));
            return;
        }

        SnapshotStore store = _store;
        RunTask(() => open(store), result => then(result!));
    }

    private void Write(SaveSnapshot save, VmState state)
    {
        SnapshotSave files = _save!;
        RunTask(
            () =>
            {
                files.WriteState(state.Units);
                files.WriteRam(Machine.Ram, save.Compress ? RamCompression.Zstd : RamCompression.None);
                return null;
            },
            _ =>
            {
                // What the disk needs time for, it has while the guest goes on.
                Release(new ReleaseVm());
                RunTask(
                    () =>
                    {
                        files.Commit(_product, state.At, state.Clock, Machine.Identity, state.Cpus);
                        files.Dispose();
                        return null;
                    },
                    _ =>
                    {
                        _save = null;
                        End(new SnapshotSaved(save.Tag));
                    });
            });
    }

    // All that can be wrong with a snapshot, before anything is done with it.
    [SuppressMessage("Reliability", "CA2000", Justification = "The snapshot is what it returns, or disposed.")]
    private Prepared Prepare(SnapshotStore store, string tag)
    {
        Snapshot snapshot = store.Open(tag);
        try
        {
            snapshot.RequireFits(Machine.Identity);
            return new Prepared(snapshot, LoadableVm.Of(Machine, snapshot.ReadState()));
        }
        catch (Exception e)
        {
            snapshot.Dispose();
            throw e is StateException
                ? new SnapshotException(SnapshotFault.Mismatch, $"snapshot '{tag}' cannot be loaded: {e.Message}", e)
                : e;
        }
    }

    private void Load(LoadSnapshot load, VmRunState from) => Give(_prepared!.State, () => _prepared.Snapshot.LoadRam(Machine.Ram), () =>
    {
        // A guest that had shut down here does not go on as that.
        Release(from == VmRunState.Shutdown ? new ReleaseVm(VmRunState.Paused) : new ReleaseVm());
        End(new SnapshotLoaded(load.Tag));
    });

    protected override void Fail(Exception cause) => Abandon(cause is SnapshotException e ? Rejected(e)
        : new VmCommandRejected(RejectionCode.InternalError, $"{cause.GetType().Name}: {cause.Message}"));

    protected override void Abandon(VmCommandRejected why)
    {
        _save?.Dispose();
        _save = null;
        Release(new ReleaseVm());
        End(why);
    }

    private void End(IProtocolMessage answer)
    {
        _prepared?.Snapshot.Dispose();
        _prepared = null;
        Disclaim();
        _requester.Tell(answer);
        Become(Idle);
        Stash.UnstashAll();
    }

    private static VmCommandRejected Rejected(SnapshotException e) => new(
        e.Fault switch
        {
            SnapshotFault.NotFound => RejectionCode.SnapshotNotFound,
            SnapshotFault.Exists => RejectionCode.DuplicateId,
            SnapshotFault.BadName => RejectionCode.InvalidArgument,
            SnapshotFault.Host => RejectionCode.NotWritten,
            _ => RejectionCode.InvalidState,
        },
        e.Message);
}
