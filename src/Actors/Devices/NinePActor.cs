using System.Runtime.CompilerServices;
using Akka.Actor;
using Akka.Event;
using Vmm.Actors.Hosting;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio.NineP;

namespace Vmm.Actors.Devices;

/// <summary>
/// A shared folder: it owns the threads that serve it (<see cref="NinePThreads"/>), which work while the VM runs. A pause and a reset wait
/// for what is under way.
/// </summary>
public sealed class NinePActor : DeviceActor
{
    private readonly VirtioNineP _folder;
    private readonly NinePThreads _threads;

    // Whether the VM runs, and how many wait for the requests under way.
    private bool _runs;
    private int _draining;

    // What of the driver was told to people.
    private string? _fault;

    private sealed record DriverNotified;

    private sealed record Drained(Action Then);

    [ModuleInitializer]
    internal static void Register() => DeviceActors.RegisterVirtio<VirtioNineP>((folder, transport, _) =>
        new DeviceActorPlan(ActorProps.Of(() => new NinePActor(folder, transport))) { Pauses = true });

    public NinePActor(VirtioNineP folder, IDevice transport)
        : base(transport)
    {
        IActorRef self = Self;
        _folder = folder;
        _threads = new NinePThreads(folder, broken => self.Tell(broken));
        Receive<DriverNotified>(_ => Look());
        Receive<Exception>(broken => throw new InvalidOperationException($"9p {folder.Tag}: {broken.Message}", broken));
        Receive<Drained>(drained =>
        {
            _draining--;
            drained.Then();
            GoOn();
        });
        Receive<PauseDevices>(pause =>
        {
            _runs = false;
            IActorRef requester = Sender;
            WhenDrained(() => requester.Tell(new DevicesPaused(pause.Round)));
        });
        Receive<ResumeDevices>(_ =>
        {
            _runs = true;
            GoOn();
        });
    }

    protected override void PreStart()
    {
        IActorRef self = Self;
        _folder.Notified.Connect(() => self.Tell(new DriverNotified()));
    }

    protected override void PostStop()
    {
        _folder.Notified.Connect(null);
        _threads.End();
    }

    protected override void Reset(IActorRef requester)
    {
        _runs = false;
        WhenDrained(() =>
        {
            _fault = null;
            base.Reset(requester);
        });
    }

    private void WhenDrained(Action then)
    {
        IActorRef self = Self;
        _draining++;
        _threads.Pause(() => self.Tell(new Drained(then)));
    }

    private void GoOn()
    {
        if (_runs && _draining == 0)
        {
            _threads.Resume();
        }
    }

    private void Look()
    {
        _folder.Notified.Acknowledge();
        if (_folder.TakeNotified())
        {
            _threads.Wake();
        }

        if (_folder.Fault is { } fault && fault != _fault)
        {
            Context.GetLogger().Warning("9p {0}: {1}", _folder.Tag, fault);
        }

        _fault = _folder.Fault;
    }
}
