using Akka.Actor;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Memory;

namespace Vmm.Actors.Devices;

/// <summary>
/// A virtio device whose work never waits for the host: its actor does it itself. It works while the VM runs. While the VM stands still
/// nothing of the device changes, but that a driver's reset ends.
/// </summary>
public abstract class ServingActor : VirtioActor, IWithTimers
{
    // After this long a page that has not arrived is looked for again.
    private static readonly TimeSpan s_retry = TimeSpan.FromMilliseconds(10);

    private readonly VirtioDevice _device;
    private bool _runs;

    private sealed record PageMayBeThere;

    protected ServingActor(VirtioDevice device, IDevice transport)
        : base(device, transport)
    {
        _device = device;
        Receive<PageMayBeThere>(_ => Look());
        Receive<PauseDevices>(pause =>
        {
            Look();
            _runs = false;
            Sender.Tell(new DevicesPaused(pause.Round));
        });
        Receive<ResumeDevices>(_ =>
        {
            _runs = true;
            Look();
        });
    }

    public ITimerScheduler Timers { get; set; } = null!;

    /// <summary>Does what there is to do; a <see cref="MissingPageException"/> has it done again a little later.</summary>
    protected abstract void Serve();

    protected override void Reset(IActorRef requester)
    {
        _runs = false;
        base.Reset(requester);
    }

    protected sealed override void LookAtDriver()
    {
        if (!_runs && !_device.IsResetting)
        {
            return;
        }

        try
        {
            Serve();
        }
        catch (MissingPageException)
        {
            Timers.StartSingleTimer(nameof(PageMayBeThere), new PageMayBeThere(), s_retry);
        }
    }
}
