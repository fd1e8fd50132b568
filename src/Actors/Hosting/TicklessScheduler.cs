using System.Diagnostics;
using Akka.Actor;
using Akka.Configuration;
using Akka.Dispatch;
using Akka.Event;

namespace Vmm.Actors.Hosting;

/// <summary>
/// Akka's scheduler with one .NET timer for each thing that is scheduled. Nothing runs while nothing is due: Akka's own scheduler wakes at
/// each tick of a wheel, which costs an idle VM more host CPU time than its guest does. A VM has few timers, all of seconds.
/// </summary>
/// <param name="config">The section <c>akka.scheduler</c>. Akka requires the parameter; nothing of it is read.</param>
/// <param name="log">Gets the exceptions of scheduled actions.</param>
public sealed class TicklessScheduler(Config config, ILoggingAdapter log)
    : SchedulerBase(config, log), IDateTimeOffsetNowTimeProvider, IDisposable
{
    private volatile bool _disposed;

    public override TimeSpan MonotonicClock => Stopwatch.GetElapsedTime(0);

    public override TimeSpan HighResMonotonicClock => MonotonicClock;

    protected override DateTimeOffset TimeNow => DateTimeOffset.UtcNow;

    protected override void InternalScheduleTellOnce(TimeSpan delay, ICanTell receiver, object message, IActorRef sender,
        ICancelable? cancelable) =>
        Start(delay, null, () => receiver.Tell(message, sender), cancelable);

    protected override void InternalScheduleTellRepeatedly(
        TimeSpan initialDelay, TimeSpan interval, ICanTell receiver, object message, IActorRef sender, ICancelable? cancelable) =>
        Start(initialDelay, interval, () => receiver.Tell(message, sender), cancelable);

    protected override void InternalScheduleOnce(TimeSpan delay, Action action, ICancelable? cancelable) =>
        Start(delay, null, action, cancelable, afterEnd: true);

    protected override void InternalScheduleOnce(TimeSpan delay, IRunnable action, ICancelable? cancelable) =>
        Start(delay, null, action.Run, cancelable, afterEnd: true);

    protected override void InternalScheduleRepeatedly(TimeSpan initialDelay, TimeSpan interval, Action action, ICancelable? cancelable) =>
        Start(initialDelay, interval, action, cancelable);

    protected override void InternalScheduleRepeatedly(TimeSpan initialDelay, TimeSpan interval, IRunnable action,
        ICancelable? cancelable) =>
        Start(initialDelay, interval, action.Run, cancelable);

    /// <summary>
    /// Stops the scheduler: no message that was scheduled is sent any more. Actions that were to run once still do, when they are due:
    /// Akka ends the thread of a pinned dispatcher by one, a second after its last actor, when the actor system may have ended.
    /// </summary>
    public void Dispose() => _disposed = true;

    private void Start(TimeSpan delay, TimeSpan? interval, Action action, ICancelable? cancelable, bool afterEnd = false)
    {
        if (cancelable is not { IsCancellationRequested: true })
        {
            CancellationToken cancelled = cancelable?.Token ?? CancellationToken.None;
            new Scheduled(this, MonotonicClock + delay, interval, action, afterEnd, cancelled).Start();
        }
    }

    /// <summary>An action, the time at which it runs next, and the timer that waits for it.</summary>
    private sealed class Scheduled : IDisposable
    {
        // A .NET timer waits for at most 49 days.
        private static readonly TimeSpan s_longest = TimeSpan.FromDays(1);

        private readonly TicklessScheduler _scheduler;
        private readonly TimeSpan? _interval;
        private readonly Action _action;
        private readonly CancellationToken _cancelled;
        private readonly bool _afterEnd;
        private readonly Timer _timer;
        private CancellationTokenRegistration _registration;

        // Written by the thread that starts the timer, later only by the timer itself, which runs once each time that it is armed.
        private TimeSpan _deadline;

        public Scheduled(
            TicklessScheduler scheduler, TimeSpan deadline, TimeSpan? interval, Action action, bool afterEnd, CancellationToken cancelled)
        {
            _afterEnd = afterEnd;
            _scheduler = scheduler;
            _deadline = deadline;
            _interval = interval;
            _action = action;
            _cancelled = cancelled;
            _timer = new Timer(static self => ((Scheduled)self!).Fire(), this, Timeout.Infinite, Timeout.Infinite);
        }

        public void Start()
        {
            _registration = _cancelled.UnsafeRegister(static timer => ((Timer)timer!).Dispose(), _timer);
            Arm();
        }

        private void Arm()
        {
            TimeSpan left = _deadline - _scheduler.MonotonicClock;

            // The time is rounded up: .NET cuts off fractions of a millisecond, and the timer would fire early.
            long milliseconds = (long)Math.Ceiling(Math.Clamp(left.TotalMilliseconds, 0, s_longest.TotalMilliseconds));
            try
            {
                _timer.Change(milliseconds, Timeout.Infinite);
            }
            catch (ObjectDisposedException)
            {
                // The action was cancelled meanwhile.
            }
        }

        private void Fire()
        {
            if ((_scheduler._disposed && !_afterEnd) || _cancelled.IsCancellationRequested)
            {
                Dispose();
                return;
            }

            if (_scheduler.MonotonicClock < _deadline)
            {
                Arm();
                return;
            }

            try
            {
                _action();
            }
            catch (Exception e)
            {
                _scheduler.Log.Error(e, "a scheduled action failed");
            }

            if (_interval is { } interval)
            {
                _deadline += interval;
                Arm();
            }
            else
            {
                Dispose();
            }
        }

        public void Dispose()
        {
            _registration.Unregister();
            _timer.Dispose();
        }
    }
}
