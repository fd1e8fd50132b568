using Akka.TestKit;
using Vmm.Fleet.Messages;

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
