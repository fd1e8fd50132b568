using System.Diagnostics.CodeAnalysis;
using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vm;
using Vmm.Emulation.Block.Qcow2;
using Vmm.Emulation.Snapshots;
using Vmm.Emulation.State;

namespace Vmm.Actors.Snapshots;

/// <summary>
/// Saves the VM, loads it, and looks after its snapshots. One request at a time: others wait. What is on the disk is whole at every moment
/// (<see cref="SnapshotSave"/>), so this actor keeps no journal: the folder is it.
/// <code>
/// save: RAM written while the guest runs → VM held → its state taken → it and the rest of RAM written → a snapshot of each disk
///       → VM goes on → files on the disk → what it replaces deleted
/// load: snapshot read and checked → VM held → disks taken back → RAM and state given → VM goes on
/// </code>
/// Nothing of the VM is touched before the snapshot has been found right and fitting. A snapshot is one when its manifest is there, and
/// that is written when all disks have theirs. Those of disks that belong to none are written down
/// (<see cref="SnapshotStore.SettleDisks"/>).
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
        Receive<SaveSnapshot>(save => Begin((store, disks) => Open(store, disks, save), opened =>
        {
            _save = ((Opened)opened).Files;
            Claim("a snapshot is being saved", () =>
            {
                Context.Parent.Tell(new GetVmStatus());
                Await(() => Receive<VmStatus>(status => Copy(save, (Opened)opened, status.RunState == VmRunState.Running)));
            });
        }));
        Receive<LoadSnapshot>(load => Begin((store, disks) => Prepare(store, disks, load.Tag), prepared =>
        {
            _prepared = (Prepared)prepared;
            Claim("a snapshot is being loaded", () => Hold(VmRunState.RestoreVm, from => Load(load, from)));
        }));
        Receive<DeleteSnapshot>(delete => Begin(
            (store, disks) =>
            {
                Delete(store, disks, delete.Tag);
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
                Sender.Tell(Describe(_store?.List() ?? [], Disks));
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

    // What the machine's snapshots do not have is the disks' own.
    private static SnapshotList Describe(IReadOnlyList<SnapshotEntry> entries, SnapshotDisks disks)
    {
        SnapshotEntry[] whole = [.. entries.Where(e => e.Manifest != null)];
        SnapshotEntry[] loadable = [.. whole.Where(e => disks.Fit(e.Tag, e.Manifest!.Disks ?? []))];
        (string Disk, Qcow2Snapshot Snapshot)[] others = [.. disks.List().Where(d => !Array.Exists(
            loadable, e => e.Tag == d.Snapshot.Name && Array.Exists(e.Manifest!.Disks ?? [], s => s.SavedAt == d.Snapshot.Time)))];
        return new SnapshotList(
            [.. whole.Select(e => loadable.Contains(e) ? "" : SnapshotList.Folder), .. others.Select(o => o.Disk)],
            [.. whole.Select(_ => ""), .. others.Select(o => o.Snapshot.Id)],
            [.. whole.Select(e => e.Tag), .. others.Select(o => o.Snapshot.Name)],
            [.. whole.Select(e => e.Manifest!.StoredBytes), .. others.Select(o => o.Snapshot.VmStateSize)],
            [
                .. whole.Select(e => e.Manifest!.SavedAt.ToUnixTimeSeconds()),
                .. others.Select(o => o.Snapshot.Time.ToUnixTimeSeconds()),
            ],
            [
                .. whole.Select(e => (long)e.Manifest!.GuestTime.TotalMilliseconds),
                .. others.Select(o => (long)o.Snapshot.VmClock.TotalMilliseconds),
            ]);
    }

    // The disks of the machine as it is now.
    private SnapshotDisks Disks => new(Machine.Devices);

    // The first step of each request, with the files alone.
    private void Begin(Func<SnapshotStore, SnapshotDisks, object> open, Action<object> then)
    {
        _requester = Sender;
        if (_store == null)
        {
            End(new VmCommandRejected(RejectionCode.NotSupported, "there is no place for snapshots: start with --state FOLDER"));
            return;
        }

        (SnapshotStore store, SnapshotDisks disks) = (_store, Disks);
        RunTask(
            () =>
            {
                disks.RequireSupport();
                return open(store, disks);
            },
            result => then(result!));
    }

    [SuppressMessage("Reliability", "CA2000", Justification = "The save is what it returns, or disposed.")]
    private static Opened Open(SnapshotStore store, SnapshotDisks disks, SaveSnapshot save)
    {
        if (!save.Replace && disks.Have(save.Tag))
        {
            throw new SnapshotException(SnapshotFault.Exists, $"Snapshot '{save.Tag}' already exists in one or more devices");
        }

        store.SettleDisks(disks);
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
        (SnapshotSave files, RunningCopy? copy, SnapshotStore store, SnapshotDisks disks) = (opened.Files, _copy, _store!, Disks);
        SavedDisk[] saved = [];
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

                saved = OrSettle(() => SaveDisks(files, disks, save.Tag, state), files, store, disks);
                return null;
            },
            _ =>
            {
                // What the disk needs time for, it has while the guest goes on.
                Release(new ReleaseVm());
                RunTask(
                    () =>
                    {
                        OrSettle(
                            () =>
                            {
                                files.Commit(_product, state.At, state.Clock, Machine.Identity, state.Cpus);
                                return true;
                            },
                            files, store, disks);
                        files.Dispose();
                        return Replace(store, disks, save.Tag, saved);
                    },
                    notice =>
                    {
                        _save = null;
                        if (notice is string text)
                        {
                            Context.System.EventStream.Publish(new VmNotice(text));
                        }

                        End(new SnapshotSaved(save.Tag));
                    });
            });
    }

    // While the VM is held. The list comes first: by it the snapshots are found if the save is cut off.
    private static SavedDisk[] SaveDisks(SnapshotSave files, SnapshotDisks disks, string tag, VmState state)
    {
        SavedDisk[] saved = disks.Plan(state.At);
        if (saved.Length > 0)
        {
            files.WriteDisks(saved);
            disks.Create(tag, saved, SnapshotManifest.GuestTimeAt(state.Clock));
        }

        return saved;
    }

    // A save that fails leaves no disk with a snapshot of it; where a disk cannot be written, the next request or start sees to it.
    private static T OrSettle<T>(Func<T> step, SnapshotSave files, SnapshotStore store, SnapshotDisks disks)
    {
        try
        {
            return step();
        }
        catch
        {
            files.Dispose();
            try
            {
                store.SettleDisks(disks);
            }
            catch (SnapshotException)
            {
            }

            throw;
        }
    }

    // The snapshot is there: those of its name in the disks that are none of it go. Why they could not, or null.
    private static string? Replace(SnapshotStore store, SnapshotDisks disks, string tag, SavedDisk[] saved)
    {
        try
        {
            disks.DeleteOthers(tag, saved);
            store.SettleDisks(disks);
            return null;
        }
        catch (SnapshotException e)
        {
            return $"snapshot '{tag}' is saved, but disks have an older one of that name still: {e.Message}";
        }
    }

    private static void Delete(SnapshotStore store, SnapshotDisks disks, string tag)
    {
        try
        {
            store.Remove(tag);
        }
        catch (SnapshotException e) when (e.Fault == SnapshotFault.NotFound && disks.Have(tag))
        {
            // Disks alone have it.
        }

        disks.DeleteOthers(tag, []);
        store.SettleDisks(disks);
    }

    // All that can be wrong with a snapshot, before anything is done with it.
    [SuppressMessage("Reliability", "CA2000", Justification = "The snapshot is what it returns, or disposed.")]
    private Prepared Prepare(SnapshotStore store, SnapshotDisks disks, string tag)
    {
        Snapshot snapshot = store.Open(tag);
        try
        {
            snapshot.RequireFits(Machine.Identity);
            VmState.RequireFits(Machine, snapshot.Manifest.State.Length);
            snapshot.CheckMap();
            disks.Require(tag, snapshot.Manifest.Disks ?? []);
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

    private void Load(LoadSnapshot load, VmRunState from)
    {
        if (_prepared!.Snapshot.Manifest.Disks is not { } saved)
        {
            LoadMachine(load, from);
            return;
        }

        (SnapshotStore store, SnapshotDisks disks) = (_store!, Disks);
        RunTask(
            () =>
            {
                store.NoteLoading(load.Tag, begins: true);
                try
                {
                    disks.Apply(load.Tag, saved);
                }
                finally
                {
                    store.NoteLoading(load.Tag, begins: false);
                }

                return null;
            },
            _ => LoadMachine(load, from));
    }

    private void LoadMachine(LoadSnapshot load, VmRunState from) => Give(
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
