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
/// save: RAM written while the guest runs → VM held → its state taken → it and the rest of RAM written → VM goes on → files on the disk
/// load: snapshot read and checked → VM held → RAM and state given → VM goes on
/// </code>
/// Nothing of the VM is touched before the snapshot has been found right and fitting.
/// </summary>
internal sealed class SnapshotCoordinator : HoldingActor
{
    // A save that can begin.
    private sealed record Opened(SnapshotSave Files, RamCompression Compression);

    // What is loaded.
    private sealed record Prepared(Snapshot Snapshot, LoadableVm State);

    private readonly SnapshotStore? _store;
    private readonly string _product;
    private IActorRef _requester = ActorRefs.Nobody;

    // Of the save under way.
    private SnapshotSave? _save;

    // Its RAM, when the guest runs meanwhile; null for a VM that does not run.
    private RunningCopy? _copy;

    // Of the load under way.
    private Prepared? _prepared;

    // Of the last load, when its RAM was mapped; null once that is no longer the VM's.
    private LoadFollower? _follower;

    private sealed record RamIsDamaged(LoadFollower Follower, string Report);

    /// <param name="store">Where snapshots are; null for a VM that has no place for them.</param>
    /// <param name="product">The version of the program.</param>
    public SnapshotCoordinator(IVmMachine machine, SnapshotStore? store, string product)
        : base(machine, Context.Parent)
    {
        _store = store;
        _product = product;
        Become(Idle);
    }

    protected override void PreStart() => Context.System.EventStream.Subscribe(Self, typeof(VmReset));

    protected override void PostStop()
    {
        Context.System.EventStream.Unsubscribe(Self);
        _follower?.Stop();
        _copy?.Stop();
        _save?.Dispose();
        _prepared?.Snapshot.Dispose();
    }

    private void Idle()
    {
        Receive<SaveSnapshot>(_ => Machine.MissingPages.Count > 0, _ => Sender.Tell(new VmCommandRejected(
            RejectionCode.InProgress, "not all of the guest's RAM has come here: the migration (postcopy) is not over")));
        Receive<SaveSnapshot>(_ => VmState.BlockerOf(Machine) != null, _ => Sender.Tell(new VmCommandRejected(
            RejectionCode.InvalidState, VmState.BlockerOf(Machine) ?? "the VM could not be saved a moment ago")));
        Receive<SaveSnapshot>(save => Begin(store => Open(store, save), opened =>
        {
            _save = ((Opened)opened).Files;
            Claim("a snapshot is being saved", () =>
            {
                Context.Parent.Tell(new GetVmStatus());
                Await(() => Receive<VmStatus>(status => Copy(save, (Opened)opened, status.RunState == VmRunState.Running)));
            });
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

    protected override void Queries()
    {
        Receive<GetSnapshots>(_ =>
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
        Receive<VmReset>(_ => StopFollowing());
        Receive<FollowLoad>(loaded =>
        {
            StopFollowing();
            Follow(loaded.Snapshot);
        });
        Receive<RamIsDamaged>(damaged =>
        {
            if (damaged.Follower == _follower)
            {
                Context.Parent.Tell(new PartFailed(Self.Path.Name, damaged.Report));
            }
        });
    }

    private void StopFollowing()
    {
        _follower?.Stop();
        _follower = null;
    }

    // Takes the snapshot over.
    private void Follow(Snapshot snapshot)
    {
        if (snapshot.Manifest.Ram.Compression != RamCompression.None)
        {
            snapshot.Dispose();
            return;
        }

        LoadFollower follower = _follower = new LoadFollower(_store, snapshot, Machine.Ram);
        IActorRef self = Self;
        follower.Start(report => self.Tell(new RamIsDamaged(follower, report)));
    }

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

    [SuppressMessage("Reliability", "CA2000", Justification = "The save is what it returns, or disposed.")]
    private static Opened Open(SnapshotStore store, SaveSnapshot save)
    {
        SnapshotSave files = store.Save(save.Tag, save.Replace, save.Parent.Length > 0 ? save.Parent : null);
        try
        {
            return new Opened(files, files.Choose(save.Compress));
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    private void Copy(SaveSnapshot save, Opened opened, bool runs)
    {
        void Rest() => Hold(VmRunState.SaveVm, _ => Collect(state => Write(save, opened, state)));
        if (!runs)
        {
            Rest();
            return;
        }

        RunningCopy copy = _copy = new RunningCopy(opened.Files, Machine.Ram, Machine.DirtyLog, opened.Compression);
        RunTask(
            () =>
            {
                copy.CopyWhileRunning();
                return null;
            },
            _ => Rest());
    }

    private void Write(SaveSnapshot save, Opened opened, VmState state)
    {
        (SnapshotSave files, RunningCopy? copy) = (opened.Files, _copy);
        RunTask(
            () =>
            {
                files.WriteState(state.Units);
                if (copy != null)
                {
                    copy.CopyRest();
                }
                else
                {
                    files.WriteRam(Machine.Ram, opened.Compression);
                }

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
            VmState.RequireFits(Machine, snapshot.Manifest.State.Length);
            snapshot.CheckMap();
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

    private void Load(LoadSnapshot load, VmRunState from) => Give(
        _prepared!.State,
        () =>
        {
            _follower?.Stop();
            _prepared.Snapshot.LoadRam(Machine.Ram);
        },
        () => RenewGenerationId(() =>
        {
            // A guest that had shut down here does not go on as that.
            Release(from == VmRunState.Shutdown ? new ReleaseVm(VmRunState.Paused) : new ReleaseVm());
            Follow(_prepared.Snapshot);
            _prepared = null;
            End(new SnapshotLoaded(load.Tag));
        }));

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
        _copy?.Stop();
        _copy = null;
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
