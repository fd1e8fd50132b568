using System.Runtime.CompilerServices;
using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices.Ged;

namespace Vmm.Actors.Devices;

/// <summary>
/// The Generic Event Device: each event that the guest is to be told comes here as a message. A guest that is booting, or has not set up
/// the interrupt as an edge, does not notice the interrupt. So the interrupt is repeated, ever more rarely, until the guest has read the
/// selector. For CPU events it is repeated until the guest has taken note of each mark in the hotplug block, also across a reset. No timer
/// runs while nothing is unread.
/// </summary>
public sealed class GedActor : DeviceActor, IWithTimers
{
    private static readonly TimeSpan s_firstReminder = TimeSpan.FromMilliseconds(100);

    // A guest that begins to listen is told of the event within this time.
    private static readonly TimeSpan s_rarestReminder = TimeSpan.FromSeconds(3);

    private readonly Ged _ged;
    private readonly Func<bool> _cpuEventsUnseen;
    private TimeSpan _reminder;

    private sealed record Remind;

    [ModuleInitializer]
    internal static void Register() => DeviceActors.Register<Ged>((ged, around) => new DeviceActorPlan(
        ActorProps.Of(() => new GedActor(ged, () => around.Machine.Hotplug is { HasUnseen: true })),
        around.HasAcpi ? [typeof(PressPowerButton), typeof(AnnounceCpuEvent), typeof(AnnounceGenerationId)] : []));

    /// <param name="cpuEventsUnseen">Whether the guest has not taken note of a mark in the CPU hotplug block.</param>
    public GedActor(Ged ged, Func<bool> cpuEventsUnseen)
        : base(ged)
    {
        _ged = ged;
        _cpuEventsUnseen = cpuEventsUnseen;
        Receive<PressPowerButton>(_ => Raise(GedEvents.PowerButton));
        Receive<AnnounceCpuEvent>(_ => Raise(GedEvents.CpuHotplug));
        Receive<AnnounceGenerationId>(_ => Raise(GedEvents.GenerationId));
        Receive<Remind>(_ => RaiseAgain());
    }

    public ITimerScheduler Timers { get; set; } = null!;

    // Whether the guest has noticed what is unread is not known.
    protected override void Loaded()
    {
        _reminder = s_firstReminder;
        Timers.StartSingleTimer(nameof(Remind), new Remind(), _reminder);
    }

    private void Raise(GedEvents events)
    {
        _ged.Raise(events);
        _reminder = s_firstReminder;
        Timers.StartSingleTimer(nameof(Remind), new Remind(), _reminder);
    }

    private void RaiseAgain()
    {
        GedEvents unread = _ged.Unread | (_cpuEventsUnseen() ? GedEvents.CpuHotplug : GedEvents.None);
        if (unread == GedEvents.None)
        {
            return;
        }

        _ged.Raise(unread);
        _reminder = _reminder * 2 < s_rarestReminder ? _reminder * 2 : s_rarestReminder;
        Timers.StartSingleTimer(nameof(Remind), new Remind(), _reminder);
    }
}
