using System.Runtime.CompilerServices;
using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Block;
using Vmm.Emulation.Block.Qcow2;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio.Block;
using Vmm.Emulation.Snapshots;
using Vmm.Emulation.State;

namespace Vmm.Actors.Devices;

/// <summary>
/// A disk on virtio: it owns the threads that do the disk's work (<see cref="DiskThreads"/>), and says when they work. They work while the
/// VM runs. A pause lets what is under way end; before a save everything is flushed; a machine that is handed over to another process has
/// its disk closed, so that the other one may open it, and opens it again when it goes on. A request that fails is told of, and stops the
/// VM if that is the policy. It is tried again when the VM goes on.
/// </summary>
public sealed class DiskActor : ThreadedActor
{
    private readonly VirtioBlk _disk;
    private readonly string _path;
    private readonly DiskThreads _threads;
    private readonly RequestsUnit _requests;

    [ModuleInitializer]
    internal static void Register() => DeviceActors.RegisterVirtio<VirtioBlk>((disk, transport, around) =>
    {
        string path = DiskReport.PathOf(around.Machine.Devices.First(d => d.Device == transport));
        return new DeviceActorPlan(
            ActorProps.Of(() => new DiskActor(disk, transport, path, () => around.Machine.Clock))) { Pauses = true };
    });

    /// <param name="path">The path of its device among QEMU's objects.</param>
    /// <param name="clock">The guest's counter, in ticks of <c>VirtualClock.Frequency</c>; called by any thread.</param>
    public DiskActor(VirtioBlk disk, IDevice transport, string path, Func<ulong> clock)
        : base(disk, transport)
    {
        IActorRef self = Self;
        (_disk, _path) = (disk, path);
        _threads = new DiskThreads(disk, failed => self.Tell(failed), broken => self.Tell(broken));
        _requests = new RequestsUnit(disk, _threads);
        Receive<RequestFailed>(Report);
        Receive<ResizeBlock>(Resize);
        Receive<LimitBlock>(Limit);
        Receive<PutBlockOverlay>(put => Change(put.Disk, () => disk.Disk.PutOverlay(put.Path, put.NodeName, put.Exists)));
        Receive<MakeBlockSnapshot>(make => Change(
            make.Disk, () => BlockSnapshots.Create(disk.Disk, make.Disk, make.Name, SnapshotManifest.GuestTimeAt(clock()))));
        Receive<DeleteBlockSnapshot>(delete => Change(delete.Disk, () =>
        {
            Qcow2Snapshot deleted = BlockSnapshots.Delete(disk.Disk, delete.Disk, delete.Id, delete.Name);
            return new BlockSnapshotDeleted(deleted.Id, deleted.Name, DiskReport.FieldsOf(deleted));
        }));
        Receive<EjectBlock>(eject => Change(eject.Disk, disk.Disk.Eject));
    }

    protected override IReadOnlyList<IStateUnit> StateUnits => [.. base.StateUnits, _requests];

    protected override string Name => _disk.Disk.Name;

    private protected override BackendThreads Threads => _threads;

    protected override void ResetCore()
    {
        _threads.DropKept();
        base.ResetCore();
    }

    protected override void LookAtDriver()
    {
        if (_disk.IsResetting)
        {
            _threads.DropKept();
        }

        for (int i = 0; i < _disk.QueueCount; i++)
        {
            if (_disk.TakeNotified(i))
            {
                _threads.Wake(i);
            }
        }
    }

    protected override void Settle(PauseDevices pause)
    {
        if (pause.Close)
        {
            _disk.Disk.Close();
        }
        else
        {
            _ = _disk.Disk.Root?.Flush();
        }
    }

    protected override bool TryGoOn()
    {
        if (!TryOpen())
        {
            return false;
        }

        _disk.Disk.Error = Errno.None;
        return true;
    }

    // The disk is closed while another process has the guest.
    private bool TryOpen()
    {
        try
        {
            bool wasOpen = _disk.Disk.Root != null;
            _disk.Disk.Open();
            if (!wasOpen)
            {
                _disk.Opened();
            }

            return true;
        }
        catch (BlockException e)
        {
            Context.System.EventStream.Publish(new VmNotice(e.Message));
            Context.Parent.Tell(new DiskStopped());
            return false;
        }
    }

    private void Report(RequestFailed failed)
    {
        Context.System.EventStream.Publish(new BlockIoFailed(
            _path, _disk.Disk.Name, _disk.Disk.NodeName, failed.IsRead,
            failed.Action switch
            {
                BlockErrorPolicy.Stop => BlockErrorAction.Stop,
                BlockErrorPolicy.Ignore => BlockErrorAction.Ignore,
                _ => BlockErrorAction.Report,
            },
            failed.Error == Errno.ENOSPC, ErrnoText.Of(failed.Error)));
        if (failed.Stops)
        {
            _disk.Disk.Error = failed.Error;
            Context.Parent.Tell(new DiskStopped());
        }
    }

    private void Resize(ResizeBlock resize)
    {
        IActorRef requester = Sender;
        Errno error = Errno.None;
        WhenDrained(
            () => error = _disk.Disk.Resize(resize.Bytes),
            () =>
            {
                if (error == Errno.None)
                {
                    _disk.SizeChanged();
                }

                requester.Tell(error == Errno.None ? new BlockCommandDone()
                    : new VmCommandRejected(RejectionCode.InvalidArgument, $"Failed to resize the image: {ErrnoText.Of(error)}"));
            });
    }

    private void Limit(LimitBlock limit)
    {
        try
        {
            BlockBackend disk = _disk.Disk;
            var limits = ThrottleLimits.Of(limit.Limits);
            string name = limit.Group.Length > 0 ? limit.Group : disk.Limits?.Name ?? (disk.Name.Length > 0 ? disk.Name : disk.NodeName);
            Change(limit.Disk, () => disk.Limit(limits.IsEnabled ? disk.Groups.Set(name, limits) : null));
        }
        catch (BlockException e)
        {
            Sender.Tell(new VmCommandRejected(RejectionCode.InvalidArgument, e.Message));
        }
    }

    private void Change(string name, Action change) => Change(name, () =>
    {
        change();
        return new BlockCommandDone();
    });

    // Changes the disk when no request is under way, on a thread of it, and answers.
    private void Change(string name, Func<IProtocolMessage> change)
    {
        IActorRef requester = Sender;
        IProtocolMessage? answer = null;
        WhenDrained(
            () =>
            {
                try
                {
                    if (_disk.Disk.Root == null)
                    {
                        throw new BlockException($"Device '{name}' has no medium");
                    }

                    answer = change();
                }
                catch (BlockException e)
                {
                    answer = new VmCommandRejected(RejectionCode.InvalidArgument, e.Message);
                }
            },
            () => requester.Tell(answer!));
    }

    /// <summary>Requests that the driver has given and that have not ended: they wait for the VM to go on.</summary>
    private sealed class RequestsUnit(VirtioBlk disk, DiskThreads threads) : IStateUnit
    {
        public string Id => "virtio-blk-requests";

        public void Save(StateWriter writer) => VirtioBlkRequest.Save(writer, threads.Kept);

        public void Load(StateReader reader)
        {
            foreach (VirtioBlkRequest request in VirtioBlkRequest.Load(reader, disk))
            {
                disk.Adopt(request.Queue);
                threads.Keep(request);
            }
        }
    }
}
