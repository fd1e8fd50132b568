using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Tests.Records;

/// <summary>The record of a VM whose node is lost.</summary>
public sealed class LostNodeRecordTests : VmEntityKit
{
    private VmRecord Record => Ask<VmRecord>(new GetVm(Vm));

    private void Run(FailurePolicy policy)
    {
        Create(policy);
        Begin("start", VmAction.Start);
        End("node1", Nodes["node1"].ExpectMsg<RunVm>());
        Await("start");
        See("node1", ProcessState.Running, 42);
    }

    [Fact]
    public void VM_starts_elsewhere_once_the_lease_of_its_node_has_ended()
    {
        Run(FailurePolicy.Restart);
        Lose("node1", isFenced: false);
        Nodes["node2"].ExpectNoMsg(TimeSpan.FromSeconds(7));
        Assert.Equal("node1", Record.Node);
        Lose("node1");
        End("node2", Nodes["node2"].ExpectMsg<RunVm>());
        Patience.Until(() => Record.Node == "node2", "it is at the other node");
        RestartEntity();
        Assert.Equal(("node2", true), (Record.Node, Record.IsWanted));
    }

    /// <summary>Whoever named no node repeats the request, and another one is chosen.</summary>
    [Fact]
    public void VM_whose_chosen_node_has_gone_is_not_made_and_may_be_asked_for_again()
    {
        Lose("node2");
        var create = new CreateVm(Vm, "create", "owner", "", FailurePolicy.Restart, Spec);
        Assert.Equal(
            new VmRejected(Vm, VmRejectionCode.NotWritten, "node 'node2', which was chosen for it, has gone: repeat the request"),
            Ask<VmRejected>(create));
        Assert.Equal(
            new VmRejected(Vm, VmRejectionCode.NotFound, "there is no node 'node2' now"), Ask<VmRejected>(create with { Node = "node2" }));
        Ask<VmOperation>(create with { Node = "node1" });
        Assert.Equal("node1", Record.Node);
    }

    [Fact]
    public void VM_that_is_to_be_left_is_left_and_what_was_under_way_has_failed()
    {
        Run(FailurePolicy.Leave);
        Begin("save", VmAction.Save, 0, "tag");
        Nodes["node1"].ExpectMsg<SaveVm>();
        Lose("node1");
        VmOperation save = Await("save");
        Assert.Equal((RequestOutcome.Failed, "node 'node1' is lost"), (save.Outcome, save.Detail));
        AwaitLeft();
    }

    [Fact]
    public void VM_that_is_to_be_left_is_told_as_failed()
    {
        Run(FailurePolicy.Leave);
        Lose("node1");
        AwaitLeft();

        // A record that was at the lost node, too, has seen nothing yet.
        RestartEntity();
        AwaitLeft();
    }

    private void AwaitLeft()
    {
        Patience.Until(() => Record.State == ProcessState.Failed, "it is told");
        Assert.Equal(("node1", "node 'node1' is lost"), (Record.Node, Record.Detail));
        Nodes["node2"].ExpectNoMsg(TimeSpan.FromSeconds(7));
    }

    [Fact]
    public void Start_goes_on_elsewhere_and_a_stop_is_done()
    {
        Create(FailurePolicy.Restart);
        Begin("start", VmAction.Start);
        Nodes["node1"].ExpectMsg<RunVm>();
        Lose("node1");
        var again = Nodes["node2"].ExpectMsg<RunVm>();
        Assert.Equal("start", again.Id);
        End("node2", again);
        Assert.Equal(RequestOutcome.Done, Await("start").Outcome);
        Begin("stop", VmAction.Stop);

        // On a busy host the start may have been repeated before its end was told.
        Nodes["node2"].FishForMessage<EndVm>(_ => true);
        Lose("node2");
        Assert.Equal(RequestOutcome.Done, Await("stop").Outcome);
        Assert.False(Record.IsWanted);
    }

    [Fact]
    public void VM_that_had_arrived_elsewhere_stays_there()
    {
        Run(FailurePolicy.Restart);
        Begin("move", VmAction.Migrate, 0, "node2");
        End("node2", Nodes["node2"].ExpectMsg<ReceiveVm>(), detail: "tcp:there:1");
        Nodes["node1"].ExpectMsg<SendVm>();
        See("node2", ProcessState.Running, 43);
        Lose("node1");
        Assert.Equal(RequestOutcome.Done, Await("move").Outcome);
        Assert.Equal("node2", Record.Node);
        Nodes["node2"].ExpectNoMsg(TimeSpan.FromSeconds(7));
    }

    [Fact]
    public void Process_that_waits_for_a_VM_is_ended_before_that_is_started()
    {
        Run(FailurePolicy.Restart);
        Begin("move", VmAction.Migrate, 0, "node2");
        End("node2", Nodes["node2"].ExpectMsg<ReceiveVm>(), detail: "tcp:there:1");
        Nodes["node1"].ExpectMsg<SendVm>();
        See("node2", ProcessState.Receiving, 43);
        Lose("node1");
        var end = Nodes["node2"].ExpectMsg<EndVm>();
        Nodes["node2"].FishForMessage<EndVm>(again => again == end);
        Assert.Equal("node1", Record.Node);
        End("node2", end);
        Assert.Equal(RequestOutcome.Failed, Await("move").Outcome);
        Nodes["node2"].FishForMessage<RunVm>(_ => true);
        Assert.Equal("node2", Record.Node);
    }

    /// <summary>What the target of an earlier move has told does not say that the VM has arrived where it moves to now.</summary>
    [Fact]
    public void Arrival_of_an_earlier_move_counts_for_that_move_alone()
    {
        Run(FailurePolicy.Restart);
        Begin("move", VmAction.Migrate, 0, "node2");
        End("node2", Nodes["node2"].ExpectMsg<ReceiveVm>(), detail: "tcp:there:1");
        SendVm send = Nodes["node1"].ExpectMsg<SendVm>();
        See("node2", ProcessState.Running, 43);
        End("node1", send);
        Await("move");
        Begin("back", VmAction.Migrate, 0, "node1");
        End("node1", Nodes["node1"].ExpectMsg<ReceiveVm>(), detail: "tcp:here:1");
        Nodes["node2"].ExpectMsg<SendVm>();
        Lose("node2");
        End("node1", Nodes["node1"].ExpectMsg<EndVm>());
        Assert.Equal(RequestOutcome.Failed, Await("back").Outcome);
    }
}
