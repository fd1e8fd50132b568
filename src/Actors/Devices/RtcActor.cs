using System.Runtime.CompilerServices;
using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Emulation.Devices.Pl031;

namespace Vmm.Actors.Devices;

/// <summary>The real time clock: keeps the host timer of the guest's alarm.</summary>
public sealed class RtcActor : DeviceActor, IWithTimers
{
    // The host's clock may be set, so the actor looks at the time again after at most this long.
    private static readonly TimeSpan s_longestWait = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan s_shortestWait = TimeSpan.FromMilliseconds(1);

    private readonly Pl031 _rtc;

    private sealed record AlarmChanged;

    private sealed record AlarmDue;

    [ModuleInitializer]
    internal static void Register() => DeviceActors.Register<Pl031>((rtc, _) =>
        new DeviceActorPlan(ActorProps.Of(() => new RtcActor(rtc))));

    public RtcActor(Pl031 rtc)
        : base(rtc)
    {
        _rtc = rtc;
        Receive<AlarmChanged>(_ =>
        {
            _rtc.AlarmChanged.Acknowledge();
            Arm();
        });
        Receive<AlarmDue>(_ =>
        {
            _rtc.CheckAlarm();
            Arm();
        });
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart()
    {
        IActorRef self = Self;
        _rtc.AlarmChanged.Connect(() => self.Tell(new AlarmChanged()));
        Arm();
    }

    protected override void PostStop() => _rtc.AlarmChanged.Connect(null);

    private void Arm()
    {
        if (_rtc.UntilAlarm is not { } left)
        {
            Timers.Cancel(nameof(AlarmDue));
            return;
        }

        TimeSpan wait = left < s_shortestWait ? s_shortestWait : left > s_longestWait ? s_longestWait : left;
        Timers.StartSingleTimer(nameof(AlarmDue), new AlarmDue(), wait);
    }
}
