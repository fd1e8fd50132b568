using System.Runtime.CompilerServices;
using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio.Balloon;
using Vmm.Emulation.Memory;

namespace Vmm.Actors.Devices;

/// <summary>
/// A balloon: gives the host what the guest's driver gives up, while the VM runs, and tells the driver what a monitor asks for. It asks the
/// driver for statistics as often as a monitor wants.
/// </summary>
public sealed class BalloonActor : ServingActor
{
    private readonly VirtioBalloon _balloon;
    private readonly ulong _ram;

    // Seconds between two questions for statistics; 0 for none.
    private long _interval;

    private sealed record GivenUp;

    private sealed record AskForStatistics;

    [ModuleInitializer]
    internal static void Register() => DeviceActors.RegisterVirtio<VirtioBalloon>((balloon, transport, around) =>
        new DeviceActorPlan(
            ActorProps.Of(() => new BalloonActor(balloon, transport, around.Machine.Ram.Size)), typeof(IBalloonCommand)) { Pauses = true });

    /// <param name="ram">Bytes of the machine's RAM.</param>
    public BalloonActor(VirtioBalloon balloon, IDevice transport, ulong ram)
        : base(balloon, transport)
    {
        (_balloon, _ram) = (balloon, ram);
        Receive<GivenUp>(_ =>
        {
            _balloon.Changed.Acknowledge();
            Context.System.EventStream.Publish(new BalloonChanged(Actual));
        });
        Receive<GetBalloon>(_ => Sender.Tell(new BalloonSize(Actual)));
        Receive<SetBalloon>(set =>
        {
            _balloon.Ask(_ram - Math.Min(_ram, (ulong)Math.Max(set.Bytes, 0)));
            Sender.Tell(new BalloonSize(Actual));
        });
        Receive<GetBalloonStatistics>(_ => Sender.Tell(Statistics));
        Receive<PollBalloonStatistics>(Poll);
        Receive<AskForStatistics>(_ => Ask());
    }

    private BalloonStatistics Statistics =>
        new([.. _balloon.LastStatistics.Select(value => (long)value)], _balloon.ToldAt.ToUnixTimeSeconds(), _interval);

    private long Actual => (long)(_ram - Math.Min(_ram, _balloon.GivenUp));

    protected override void PreStart()
    {
        base.PreStart();
        IActorRef self = Self;
        _balloon.Changed.Connect(() => self.Tell(new GivenUp()));
    }

    protected override void PostStop()
    {
        base.PostStop();
        _balloon.Changed.Connect(null);
    }

    private void Poll(PollBalloonStatistics poll)
    {
        _interval = poll.Interval;
        Timers.Cancel(nameof(AskForStatistics));
        if (_interval > 0)
        {
            var interval = TimeSpan.FromSeconds(_interval);
            Timers.StartPeriodicTimer(nameof(AskForStatistics), new AskForStatistics(), interval, interval);
        }

        Sender.Tell(Statistics);
    }

    private void Ask()
    {
        if (Runs)
        {
            try
            {
                _balloon.AskForStatistics();
            }
            catch (MissingPageException)
            {
                // The next question is soon enough.
            }
        }
    }

    protected override bool Serve() => _balloon.Serve();
}
