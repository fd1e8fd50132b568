using Akka.Actor;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Memory;

namespace Vmm.Actors.Devices;

/// <summary>
/// A virtio device whose work never waits for the host: its actor does it itself, some of it with each message, so that others are heard
/// between. It works while the VM runs. While the VM stands still nothing of the device changes, but that a driver's reset ends.
/// </summary>
public abstract class ServingActor : VirtioActor, IWithTimers
{
    // After this long a page that has not arrived is looked for again.
    private static readonly TimeSpan s_retry = TimeSpan.FromMilliseconds(10);

    // A message to go on is under way.
    private bool _goesOn;

    private sealed record PageMayBeThere;

    private sealed record GoOn;

    protected ServingActor(VirtioDevice device, IDevice transport)
        : base(device, transport)
    {
        Receive<PageMayBeThere>(_ => Look());
        Receive<GoOn>(_ =>
        {
            _goesOn = false;
            Look();
        });
        Receive<PauseDevices>(pause =>
        {
            Look();
            Runs = false;
            Sender.Tell(new DevicesPaused(pause.Round));
        });
        Receive<ResumeDevices>(_ =>
        {
            Runs = true;
            Look();
        });
    }

    public ITimerScheduler Timers { get; set; } = null!;

    /// <summary>Whether the VM runs.</summary>
    protected bool Runs { get; private set; }

    /// <summary>Does some of what there is to do; a <see cref="MissingPageException"/> has it done again a little later.</summary>
    /// <returns>Whether there may be more.</returns>
    protected abstract bool Serve();

    protected override void Reset(IActorRef requester)
    {
        Runs = false;
        base.Reset(requester);
    }

    protected sealed override void LookAtDriver()
    {
        if (!Runs && !Device.IsResetting)
        {
            return;
        }

        try
        {
            if (Serve() && !_goesOn)
            {
                _goesOn = true;
                Self.Tell(new GoOn());
            }
        }
        catch (MissingPageException)
        {
            Timers.StartSingleTimer(nameof(PageMayBeThere), new PageMayBeThere(), s_retry);
        }
    }
}
