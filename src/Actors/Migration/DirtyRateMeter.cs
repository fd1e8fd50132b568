using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Actors.Snapshots;
using Vmm.Actors.Vm;
using Vmm.Emulation.Memory;

namespace Vmm.Actors.Migration;

/// <summary>Measures once how fast the guest writes RAM, by the pages that it has written after some time.</summary>
internal sealed class DirtyRateMeter : HoldingActor, IWithTimers
{
    /// <summary>Milliseconds; QEMU's limits (migration/dirtyrate.h).</summary>
    public const int Shortest = 50;
    public const int Longest = 60_000;

    private sealed record TimeIsUp;

    private readonly IActorRef _requester;
    private readonly int _milliseconds;
    private readonly DirtyRate _measuring;
    private bool _claimed;

    public DirtyRateMeter(IVmMachine machine, IActorRef supervisor, IActorRef requester, int milliseconds)
        : base(machine, supervisor)
    {
        _requester = requester;
        _milliseconds = milliseconds;
        _measuring = new DirtyRate(true, DateTimeOffset.UtcNow.ToUnixTimeSeconds(), milliseconds, 0);
        Claim("the dirty rate is being measured", Measure);
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PostStop()
    {
        if (_claimed)
        {
            Machine.DirtyLog.Stop();
        }
    }

    private void Measure()
    {
        _claimed = true;
        _requester.Tell(new MigrationCommandDone());
        Context.Parent.Tell(_measuring);
        Machine.DirtyLog.Start();
        Timers.StartSingleTimer(nameof(TimeIsUp), new TimeIsUp(), TimeSpan.FromMilliseconds(_milliseconds));
        Become(() => Receive<TimeIsUp>(_ => RunTask(() => Machine.DirtyLog.Harvest().Length, pages =>
        {
            Context.Parent.Tell(_measuring with
            {
                Measuring = false,
                BytesPerSecond = (int)pages! * (long)GuestMemory.PageSize * 1000 / _milliseconds,
            });
            Disclaim();
            Context.Stop(Self);
        })));
    }

    protected override void Abandon(VmCommandRejected why)
    {
        _requester.Tell(why);
        Context.Stop(Self);
    }

    protected override void Fail(Exception cause) => throw new InvalidOperationException(cause.Message, cause);

    protected override void Queries()
    {
    }
}
