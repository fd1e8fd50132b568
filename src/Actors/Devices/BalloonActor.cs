using System.Runtime.CompilerServices;
using Akka.Actor;
using Akka.Event;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio.Balloon;
using Vmm.Emulation.Memory;

namespace Vmm.Actors.Devices;

/// <summary>
/// A balloon: gives the host what the guest's driver gives up, while the VM runs, and tells the driver what a monitor asks for.
/// </summary>
public sealed class BalloonActor : DeviceActor, IWithTimers
{
    // After this long a page that has not arrived is looked for again.
    private static readonly TimeSpan s_retry = TimeSpan.FromMilliseconds(10);

    private readonly VirtioBalloon _balloon;
    private readonly ulong _ram;
    private bool _runs;
    private string? _fault;

    private sealed record Notified;

    private sealed record GivenUp;

    [ModuleInitializer]
    internal static void Register() => DeviceActors.RegisterVirtio<VirtioBalloon>((balloon, transport, around) =>
        new DeviceActorPlan(
            ActorProps.Of(() => new BalloonActor(balloon, transport, around.Machine.Ram.Size)), typeof(IBalloonCommand)) { Pauses = true });

    /// <param name="ram">Bytes of the machine's RAM.</param>
    public BalloonActor(VirtioBalloon balloon, IDevice transport, ulong ram)
        : base(transport)
    {
        (_balloon, _ram) = (balloon, ram);
        Receive<Notified>(_ =>
        {
            _balloon.Notified.Acknowledge();
            Serve();
        });
        Receive<GivenUp>(_ =>
        {
            _balloon.Changed.Acknowledge();
            Context.System.EventStream.Publish(new BalloonChanged(Actual));
        });
        Receive<PauseDevices>(pause =>
        {
            Serve();
            _runs = false;
            Sender.Tell(new DevicesPaused(pause.Round));
        });
        Receive<ResumeDevices>(_ =>
        {
            _runs = true;
            Serve();
        });
        Receive<GetBalloon>(_ => Sender.Tell(new BalloonSize(Actual)));
        Receive<SetBalloon>(set =>
        {
            _balloon.Ask(_ram - Math.Min(_ram, (ulong)Math.Max(set.Bytes, 0)));
            Sender.Tell(new BalloonSize(Actual));
        });
    }

    public ITimerScheduler Timers { get; set; } = null!;

    private long Actual => (long)(_ram - Math.Min(_ram, _balloon.GivenUp));

    protected override void PreStart()
    {
        IActorRef self = Self;
        _balloon.Notified.Connect(() => self.Tell(new Notified()));
        _balloon.Changed.Connect(() => self.Tell(new GivenUp()));
    }

    protected override void PostStop()
    {
        _balloon.Notified.Connect(null);
        _balloon.Changed.Connect(null);
    }

    protected override void Reset(IActorRef requester)
    {
        _runs = false;
        _fault = null;
        base.Reset(requester);
    }

    // While the VM stands still nothing of it changes, but that a driver's reset ends.
    private void Serve()
    {
        if (!_runs && !_balloon.IsResetting)
        {
            return;
        }

        try
        {
            _balloon.Serve();
        }
        catch (MissingPageException)
        {
            Timers.StartSingleTimer(nameof(Notified), new Notified(), s_retry);
        }

        if (_balloon.Fault is { } fault && fault != _fault)
        {
            Context.GetLogger().Warning("virtio-balloon: {0}", fault);
        }

        _fault = _balloon.Fault;
    }
}
