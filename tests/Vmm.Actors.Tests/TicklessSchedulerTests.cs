using System.Diagnostics;
using Akka.Actor;
using Akka.Configuration;
using Akka.Event;
using Vmm.Actors.Hosting;
using Vmm.Actors.Vcpu;

namespace Vmm.Actors.Tests;

public class TicklessSchedulerTests
{
    private static readonly TimeSpan s_soon = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan s_patience = Patience.Limit;

    [Fact]
    public async Task An_action_runs_once_and_not_before_its_time()
    {
        using var owner = new TicklessScheduler(Config.Empty, NoLogger.Instance);
        IActionScheduler scheduler = owner;
        long start = Stopwatch.GetTimestamp();
        var ran = new TaskCompletionSource<TimeSpan>();
        scheduler.ScheduleOnce(s_soon, () => ran.SetResult(Stopwatch.GetElapsedTime(start)));
        TimeSpan elapsed = await ran.Task.WaitAsync(s_patience);
        Assert.True(elapsed >= s_soon, $"it ran after {elapsed.TotalMilliseconds} ms");

        // A second SetResult would have thrown in the scheduler; one scheduled later runs after it.
        await RunOnce(scheduler);
    }

    [Fact]
    public async Task Actions_run_in_the_order_of_their_times()
    {
        using var owner = new TicklessScheduler(Config.Empty, NoLogger.Instance);
        IActionScheduler scheduler = owner;
        int first = 0;
        var ran = new TaskCompletionSource<int>();
        scheduler.ScheduleOnce(TimeSpan.FromSeconds(2), () => ran.SetResult(first));
        scheduler.ScheduleOnce(TimeSpan.Zero, () => first = 1);
        Assert.Equal(1, await ran.Task.WaitAsync(s_patience));
    }

    [Fact]
    public async Task A_repeated_action_runs_until_it_is_cancelled_and_one_that_throws_does_not_end_it()
    {
        using var owner = new TicklessScheduler(Config.Empty, NoLogger.Instance);
        IActionScheduler scheduler = owner;
        using var cancel = new Cancelable(scheduler);
        int runs = 0;
        var enough = new TaskCompletionSource();
        scheduler.ScheduleRepeatedly(TimeSpan.Zero, TimeSpan.FromMilliseconds(1), () =>
        {
            if (++runs == 5)
            {
                cancel.Cancel();
                enough.SetResult();
            }

            throw new InvalidOperationException("on purpose");
        }, cancel);
        await enough.Task.WaitAsync(s_patience);
        await RunOnce(scheduler);
        Assert.Equal(5, runs);
    }

    [Fact]
    public async Task What_is_cancelled_before_its_time_does_not_run()
    {
        using var owner = new TicklessScheduler(Config.Empty, NoLogger.Instance);
        IActionScheduler scheduler = owner;
        using var cancel = new Cancelable(scheduler);
        bool ran = false;
        scheduler.ScheduleOnce(TimeSpan.FromSeconds(1), () => ran = true, cancel);
        cancel.Cancel();
        scheduler.ScheduleOnce(TimeSpan.Zero, () => ran = true, cancel);
        await RunOnce(scheduler, TimeSpan.FromSeconds(1.2));
        Assert.False(ran);
    }

    [Fact]
    public async Task After_it_is_disposed_nothing_is_repeated()
    {
        using var other = new TicklessScheduler(Config.Empty, NoLogger.Instance);
        bool ran = false;
        var disposed = new TicklessScheduler(Config.Empty, NoLogger.Instance);
        ((IActionScheduler)disposed).ScheduleRepeatedly(s_soon, s_soon, () => ran = true);
        disposed.Dispose();
        await RunOnce(other, 10 * s_soon);
        Assert.False(ran);
    }

    /// <summary>Akka ends the thread by an action that is due after the end of the system.</summary>
    [Fact]
    public async Task Thread_of_a_vCPU_ends_with_the_system()
    {
        const string dispatcher = "ends-with-it";
        using (var system = ActorSystem.Create(
            "pinned", ConfigurationFactory.ParseString($$"""{{dispatcher}} { type = "{{typeof(VcpuDispatcher).AssemblyQualifiedName}}" }""")
                .WithFallback(VmConfiguration.Load())))
        {
            IActorRef actor = system.ActorOf(Props.Create(() => new Echo()).WithDispatcher(dispatcher));
            Assert.Equal("hello", await actor.Ask<string>("hello", s_patience));
            Assert.Equal(1, Threads());
            await system.Terminate();
        }

        var watch = Stopwatch.StartNew();
        while (Threads() > 0 && watch.Elapsed < s_patience)
        {
            await Task.Delay(s_soon);
        }

        Assert.Equal(0, Threads());

        static int Threads() => Directory.GetDirectories("/proc/self/task")
            .Count(thread => NameOf(thread).StartsWith(dispatcher, StringComparison.Ordinal));

        static string NameOf(string thread)
        {
            try
            {
                return File.ReadAllText(Path.Combine(thread, "comm"));
            }
            catch (IOException)
            {
                // The thread has ended.
                return "";
            }
        }
    }

    [Fact]
    public void The_system_of_a_VM_uses_it()
    {
        using var system = ActorSystem.Create("tickless", VmConfiguration.Load());
        Assert.IsType<TicklessScheduler>(system.Scheduler);
    }

    private sealed class Echo : UntypedActor
    {
        protected override void OnReceive(object message) => Sender.Tell(message);
    }

    private static Task RunOnce(IActionScheduler scheduler, TimeSpan delay = default)
    {
        var ran = new TaskCompletionSource();
        scheduler.ScheduleOnce(delay, ran.SetResult);
        return ran.Task.WaitAsync(s_patience);
    }
}
