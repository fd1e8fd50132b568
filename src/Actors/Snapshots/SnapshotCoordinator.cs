using System.Diagnostics.CodeAnalysis;
using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Actors.Hotplug;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vm;
using Vmm.Emulation.Devices.InterruptController;
using Vmm.Emulation.Snapshots;
using Vmm.Emulation.State;

namespace Vmm.Actors.Snapshots;

/// <summary>
/// Saves the VM, loads it, and looks after its snapshots. One request at a time: others wait. What is on the disk is whole at every moment
/// (<see cref="SnapshotSave"/>), so this actor keeps no journal: the folder is it.
/// <code>
/// save: VM held → hotplug frozen → GIC, then devices asked for their state → state and RAM written → VM goes on → files on the disk
/// load: snapshot read and checked → VM held → hotplug frozen, its journal written → parts stopped → RAM and CPUs loaded → parts made anew,
///       devices load their state → VM goes on
/// </code>
/// Nothing of the VM is touched before the snapshot has been found right and fitting. Reading and writing files is done by a task, which
/// has the machine to itself: the VM is held and this actor waits for the task alone.
/// </summary>
internal sealed class SnapshotCoordinator : MessageActor, IWithUnboundedStash
{
    private const string Hotplug = "hotplug";

    private sealed record Done(object? Result);

    private sealed record Failed(Exception Cause);

    // What is loaded.
    private sealed record Prepared(
        Snapshot Snapshot, IReadOnlyList<SavedUnit> Machine, IReadOnlyList<LoadDeviceState> Devices, HotplugUnit? Hotplug);

    private readonly IVmMachine _machine;
    private readonly SnapshotStore? _store;
    private readonly string _product;
    private IActorRef _requester = ActorRefs.Nobody;
    private VmHeld? _held;

    // Of the save under way.
    private SnapshotSave? _save;
    private Dictionary<string, byte[]> _states = [];

    // Of the load under way.
    private Prepared? _prepared;

    /// <param name="store">Where snapshots are; null for a VM that has no place for them.</param>
    /// <param name="product">The version of the program.</param>
    public SnapshotCoordinator(IVmMachine machine, SnapshotStore? store, string product)
    {
        _machine = machine;
        _store = store;
        _product = product;
        Become(Idle);
    }

    public IStash Stash { get; set; } = null!;

    private static IActorRef Supervisor => Context.Parent;

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
            Hold(VmRunState.SaveVm, () => CollectGic(save));
        }));
        Receive<LoadSnapshot>(load => Begin(store => Prepare(store, load.Tag), prepared =>
        {
            _prepared = (Prepared)prepared;
            Hold(VmRunState.RestoreVm, () => StopMachine(load));
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

    private void Queries() => Receive<GetSnapshots>(_ =>
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

    // Work with files, and with the machine while it is held. Everything else waits.
    private void RunTask(Func<object?> work, Action<object?> then)
    {
        IActorRef self = Self;
        _ = Task.Run(() =>
        {
            try
            {
                self.Tell(new Done(work()));
            }
            catch (Exception e)
            {
                self.Tell(new Failed(e));
            }
        });
        Await(() =>
        {
            Receive<Done>(done => then(done.Result));
            Receive<Failed>(failed => Fail(failed.Cause));
        });
    }

    // Waits for the next step's answer; a rejection of it is that of the request.
    private void Await(Action describe) => Become(() =>
    {
        describe();
        Receive<VmCommandRejected>(Abandon);
        Queries();
        ReceiveAny(_ => Stash.Stash());
    });

    private void Hold(VmRunState state, Action then)
    {
        Supervisor.Tell(new HoldVm(state));
        Await(() => Receive<VmHeld>(held =>
        {
            _held = held;
            then();
        }));
    }

    private void Freeze(Action<HotplugFrozen?> then)
    {
        if (_held!.Hotplug == null)
        {
            then(null);
            return;
        }

        _held.Hotplug.Tell(new FreezeHotplug());
        Await(() => Receive(then));
    }

    // Save. The levels of interrupt lines that a device drives after the GIC was saved are driven again when the device is loaded.
    private void CollectGic(SaveSnapshot save) => Freeze(frozen =>
    {
        _states = [];
        string gic = _machine.Devices.Single(d => d.Device is GicV3Device).Id;
        string[] others = [.. _machine.Devices.Select(d => d.Id).Where(id => id != gic)];
        _held!.Gic.Tell(new GetDeviceState(gic));
        Await(() => Receive<DeviceState>(state =>
        {
            _states[state.Device] = state.Bytes;
            if (state.Device == gic)
            {
                Array.ForEach(others, id => _held.Devices.Tell(new GetDeviceState(id)));
            }

            if (_states.Count == _machine.Devices.Count)
            {
                Write(save, frozen);
            }
        }));
    });

    private void Write(SaveSnapshot save, HotplugFrozen? frozen)
    {
        SnapshotSave files = _save!;
        Dictionary<string, byte[]> states = _states;
        SavedCpu[] cpus = Cpus(frozen);
        ulong clock = _machine.Clock;
        DateTimeOffset now = DateTimeOffset.UtcNow;
        RunTask(
            () =>
            {
                files.WriteState([.. Units(states, frozen)]);
                files.WriteRam(_machine.Ram, save.Compress ? RamCompression.Zstd : RamCompression.None);
                return null;
            },
            _ =>
            {
                // What the disk needs time for, it has while the guest goes on.
                Release();
                RunTask(
                    () =>
                    {
                        files.Commit(_product, now, clock, _machine.Identity, cpus);
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

    private IEnumerable<SavedUnit> Units(Dictionary<string, byte[]> states, HotplugFrozen? frozen)
    {
        foreach (IStateUnit unit in _machine.StateUnits)
        {
            yield return SavedUnit.Of(unit);
        }

        foreach (string device in _machine.Devices.Select(d => d.Id))
        {
            foreach (SavedUnit unit in Archive.Read(states[device]))
            {
                yield return unit with { Id = $"{device}/{unit.Id}" };
            }
        }

        if (frozen != null)
        {
            SavedUnit unit = SavedUnit.Of(new HotplugUnit(frozen.State, frozen.LastOst));
            yield return unit with { Id = $"{Hotplug}/{unit.Id}" };
        }
    }

    private SavedCpu[] Cpus(HotplugFrozen? frozen)
    {
        PowerOnCpus powerOn = _machine.PowerOnCpus;
        DescribeCpusPower power = (frozen?.State ?? HotplugState.Empty).DescribePower(powerOn);
        return [.. power.Ids.Select((id, cpu) => new SavedCpu(cpu, id, _machine.IsEnabled(cpu)))];
    }

    // Load: all that can be wrong with a snapshot, before anything is done with it.
    [SuppressMessage("Reliability", "CA2000", Justification = "The snapshot is what it returns, or disposed.")]
    private Prepared Prepare(SnapshotStore store, string tag)
    {
        Snapshot snapshot = store.Open(tag);
        try
        {
            snapshot.RequireFits(_machine.Identity);
            ILookup<string, SavedUnit> units = snapshot.ReadState().ToLookup(OwnerOf, WithoutOwner);
            string[] owners = ["", .. _machine.Devices.Select(d => d.Id), .. _machine.Hotplug == null ? Array.Empty<string>() : [Hotplug]];
            if (units.Select(u => u.Key).FirstOrDefault(o => !owners.Contains(o)) is { } unknown)
            {
                throw new StateException($"it has a device '{HotplugState.Legible(unknown)}' that this machine has not");
            }

            SavedUnit[] machine = [.. units[""]];
            Archive.Check(machine, _machine.StateUnits);
            LoadDeviceState[] devices = [.. _machine.Devices.Select(d =>
            {
                // What the actor keeps beside the core, it checks itself.
                IStateUnit core = d.Device.StateUnit;
                Archive.Check([.. units[d.Id].Where(u => u.Id == core.Id)], [core]);
                using var bytes = new MemoryStream();
                Archive.Write(bytes, [.. units[d.Id]]);
                return new LoadDeviceState(d.Id, bytes.ToArray());
            })];
            HotplugUnit? hotplug = _machine.Hotplug == null ? null : new HotplugUnit(_machine.PossibleCpus);
            if (hotplug != null)
            {
                Archive.Load([.. units[Hotplug]], [hotplug]);
                if (hotplug.State.RefusePowerOn(_machine.PowerOnCpus) is { } why)
                {
                    throw new StateException(why);
                }
            }

            return new Prepared(snapshot, machine, devices, hotplug);
        }
        catch (Exception e)
        {
            snapshot.Dispose();
            throw e is StateException
                ? new SnapshotException(SnapshotFault.Mismatch, $"snapshot '{tag}' cannot be loaded: {e.Message}", e)
                : e;
        }
    }

    private static string OwnerOf(SavedUnit unit) => unit.Id.Contains('/', StringComparison.Ordinal) ? unit.Id.Split('/')[0] : "";

    private static SavedUnit WithoutOwner(SavedUnit unit) =>
        unit with { Id = unit.Id[(unit.Id.IndexOf('/', StringComparison.Ordinal) + 1)..] };

    private void StopMachine(LoadSnapshot load) => Freeze(frozen =>
    {
        void Stop()
        {
            Supervisor.Tell(new StopParts());
            Await(() => Receive<PartsStopped>(_ => LoadMachine(load)));
        }

        if (frozen == null)
        {
            Stop();
            return;
        }

        _held!.Hotplug!.Tell(new RestoreHotplug(_prepared!.Hotplug!.State));
        Await(() => Receive<HotplugRestored>(_ => Stop()));
    });

    private void LoadMachine(LoadSnapshot load)
    {
        Prepared prepared = _prepared!;
        RunTask(
            () =>
            {
                try
                {
                    _machine.Load(prepared.Snapshot, prepared.Machine);
                    return null;
                }
                catch (Exception e)
                {
                    return e;
                }
            },
            failure =>
            {
                Supervisor.Tell(failure is Exception e ? new FailVm($"{load.Tag} is loaded in part: {e.Message}")
                    : new RemakeVm(prepared.Devices, prepared.Hotplug?.LastOst));
                _held = null;
                Await(() => Receive<VmStatus>(_ => End(new SnapshotLoaded(load.Tag))));
            });
    }

    private void Fail(Exception cause) => Abandon(cause is SnapshotException e ? Rejected(e)
        : new VmCommandRejected(RejectionCode.InternalError, $"{cause.GetType().Name}: {cause.Message}"));

    private void Abandon(VmCommandRejected why)
    {
        _save?.Dispose();
        _save = null;
        Release();
        End(why);
    }

    private void Release()
    {
        if (_held != null)
        {
            _held.Hotplug?.Tell(new ThawHotplug());
            Supervisor.Tell(new ReleaseVm());
            _held = null;
        }
    }

    private void End(IProtocolMessage answer)
    {
        _prepared?.Snapshot.Dispose();
        _prepared = null;
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
