using System.Runtime.CompilerServices;
using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio.Balloon;

namespace Vmm.Actors.Devices;

/// <summary>
/// A balloon: gives the host what the guest's driver gives up, while the VM runs, and tells the driver what a monitor asks for.
/// </summary>
public sealed class BalloonActor : ServingActor
{
    private readonly VirtioBalloon _balloon;
    private readonly ulong _ram;

    private sealed record GivenUp;

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
    }

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

    protected override void Serve() => _balloon.Serve();
}
