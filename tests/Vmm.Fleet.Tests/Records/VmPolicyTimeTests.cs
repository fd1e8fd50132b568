using Akka.TestKit;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Scaling;

namespace Vmm.Fleet.Tests.Records;

/// <summary>What a record does after so much time, which the test lets pass.</summary>
public sealed class VmPolicyTimeTests()
    : VmEntityKit("""akka.scheduler.implementation = "Akka.TestKit.TestScheduler, Akka.TestKit" """)
{
    private TestScheduler Clock => (TestScheduler)Sys.Scheduler;

    // What was told before has arrived.
    private void Fail()
    {
        See("node1", ProcessState.Failed);
        Ask<VmRecord>(new GetVm(Vm));
    }

    private void Start(int afterSeconds)
    {
        Clock.Advance(TimeSpan.FromSeconds(afterSeconds) - TimeSpan.FromMilliseconds(1));
        Nodes["node1"].ExpectNoMsg(TimeSpan.FromMilliseconds(200));
        Clock.Advance(TimeSpan.FromMilliseconds(1));
        var run = Nodes["node1"].ExpectMsg<RunVm>();

        // The record may ask the node at any time, so that has the process before it says that the request is done.
        See("node1", ProcessState.Running, 42);
        End("node1", run);
        Await(run.Id);
    }

    /// <summary>From the beginning of a load to the request for more CPUs, with the policy as it is without a word.</summary>
    [Fact]
    public void Load_is_answered_within_five_seconds()
    {
        TestProbe events = CreateTestProbe();
        Sys.EventStream.Subscribe(events, typeof(VmTimes));
        Sys.EventStream.Subscribe(events, typeof(VmScaled));
        Create();
        See("node1", ProcessState.Running, 42);
        long ran = 0, busy = 0;
        Ask<VmRecord>(new SetScaling(Vm, new ScalingSpec(4)));
        Patience.Until(
            () =>
            {
                Clock.Advance(TimeSpan.FromMilliseconds(1));
                return events.HasMessages;
            },
            "the VM is looked at");
        int seconds = 0;
        for (int look = 0; !Nodes["node1"].HasMessages; look++)
        {
            // The first three seconds are idle.
            (ran, busy) = (ran + 1_000_000_000, busy + (look < 3 ? 0 : 1_000_000_000));
            Times = new VmTimes(
                Vm, [new VmMeter("a", ran / 1_000_000, ran, [busy, 0, 0, 0], [ran, 0, 0, 0])], [true, false, false, false], []);
            seconds += look < 3 ? 0 : 1;
            Clock.Advance(TimeSpan.FromSeconds(1));
            events.FishForMessage(message => message is VmTimes { Running: [var now] } && now.RunNs == ran);
            if (events.HasMessages)
            {
                Assert.Equal(ScalingAction.Plug, events.ExpectMsg<VmScaled>().Action);
                break;
            }
        }

        // No more time passes until the node is asked.
        Assert.Equal(CpuChange.Plug, Nodes["node1"].ExpectMsg<ChangeCpu>().Change);
        Assert.InRange(seconds, 1, 5);
    }

    [Fact]
    public void Pauses_before_starts_grow_and_begin_anew_after_a_minute_that_the_VM_has_run()
    {
        Create(FailurePolicy.Restart);
        Begin("start", VmAction.Start);
        End("node1", Nodes["node1"].ExpectMsg<RunVm>());
        Await("start");
        See("node1", ProcessState.Running, 42);
        foreach (int pause in new[] { 1, 2, 4 })
        {
            Fail();
            Start(pause);
        }

        Clock.Advance(TimeSpan.FromSeconds(59));
        Fail();
        Start(8);
        Clock.Advance(TimeSpan.FromSeconds(60));
        Fail();
        Start(1);
    }
}
