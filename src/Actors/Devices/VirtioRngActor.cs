using System.Runtime.CompilerServices;
using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio.Rng;
using Vmm.Emulation.Memory;

namespace Vmm.Actors.Devices;

/// <summary>The entropy device: fills the guest's buffers with random bytes of the host, on a notification.</summary>
internal sealed class VirtioRngActor : DeviceActor, IWithTimers
{
    // After this long a page of a buffer that has not arrived is looked for again.
    private static readonly TimeSpan s_retry = TimeSpan.FromMilliseconds(10);

    private readonly VirtioRng _rng;

    private sealed record Notified;

    [ModuleInitializer]
    internal static void Register() => DeviceActors.RegisterVirtio<VirtioRng>((rng, transport, _) =>
        new DeviceActorPlan(ActorProps.Of(() => new VirtioRngActor(rng, transport))));

    public VirtioRngActor(VirtioRng rng, IDevice transport)
        : base(transport)
    {
        _rng = rng;
        Receive<Notified>(_ =>
        {
            rng.Notified.Acknowledge();
            Serve();
        });
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart()
    {
        IActorRef self = Self;
        _rng.Notified.Connect(() => self.Tell(new Notified()));
    }

    protected override void PostStop() => _rng.Notified.Connect(null);

    // The notification that a saved machine had not yet seen to.
    protected override void Loaded() => Serve();

    private void Serve()
    {
        try
        {
            _rng.Serve();
        }
        catch (MissingPageException)
        {
            Timers.StartSingleTimer(nameof(Notified), new Notified(), s_retry);
        }
    }
}
