using Akka.Actor;
using Akka.TestKit.Xunit2;
using Vmm.Actors.Hosting;
using Vmm.Actors.Vcpu;

namespace Vmm.Actors.Tests;

public sealed class VcpuDispatcherTests() : TestKit(VmConfiguration.Load())
{
    private const int Messages = 10_000;

    /// <summary>Answers with the thread that it runs on.</summary>
    private sealed class Where : UntypedActor
    {
        public static Props OnVcpuThread => Props.Create(() => new Where()).WithDispatcher(VcpuManager.VcpuDispatcher);

        protected override void OnReceive(object message) => Sender.Tell((message, Environment.CurrentManagedThreadId));
    }

    [Fact]
    public void Each_actor_has_a_thread_of_its_own()
    {
        IActorRef[] actors = [.. Enumerable.Range(0, 3).Select(_ => Sys.ActorOf(Where.OnVcpuThread))];
        int[] first = [.. actors.Select(ThreadOf)];
        Assert.Equal(first.Length, first.Distinct().Count());
        Assert.DoesNotContain(Environment.CurrentManagedThreadId, first);
        Assert.Equal(first, actors.Select(ThreadOf));
    }

    /// <summary>The thread sleeps between some of these messages, and never misses one.</summary>
    [Fact]
    public void A_thread_that_sleeps_is_woken()
    {
        IActorRef actor = Sys.ActorOf(Where.OnVcpuThread);
        for (int i = 0; i < Messages; i++)
        {
            Assert.Equal(i, Ask(actor, i).Message);
        }
    }

    [Fact]
    public void Messages_of_many_threads_all_arrive()
    {
        IActorRef actor = Sys.ActorOf(Where.OnVcpuThread);
        Parallel.For(0, Messages, i => actor.Tell(i, TestActor));
        int[] got = [.. ReceiveN(Messages, Patience.Limit).Select(m => (((object, int))m).Item1).Cast<int>()];
        Assert.Equal(Enumerable.Range(0, Messages), got.Order());
    }

    private int ThreadOf(IActorRef actor) => Ask(actor, "where").Thread;

    private (object Message, int Thread) Ask(IActorRef actor, object message)
    {
        actor.Tell(message, TestActor);
        return ExpectMsg<(object, int)>(Patience.Limit);
    }
}
