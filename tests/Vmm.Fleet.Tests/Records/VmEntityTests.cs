using Akka.Actor;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Tests.Records;

public sealed class VmEntityTests : VmEntityKit
{
    [Fact]
    public void Request_is_kept_before_it_is_carried_out_and_repeated_ids_are_one()
    {
        Assert.Equal(VmRejectionCode.NotFound, Ask<VmRejected>(new GetVm(Vm)).Code);
        Create();
        Assert.Equal(VmRejectionCode.Exists, Ask<VmRejected>(new CreateVm(Vm, "other", "bob", "node1", default, Spec)).Code);
        Assert.False(Begin("a", VmAction.Start).IsDone);
        Assert.Equal(new RunVm(Vm, "a", Spec), Nodes["node1"].ExpectMsg<RunVm>());
        RestartEntity();

        // The new one asks again: the agent knows the id.
        var again = Nodes["node1"].ExpectMsg<RunVm>();
        Assert.Equal("a", again.Id);
        Assert.False(Begin("a", VmAction.Start).IsDone);
        End("node1", again);
        Assert.Equal(RequestOutcome.Done, Await("a").Outcome);
        Assert.True(Begin("a", VmAction.Start).IsDone);
        RestartEntity();
        Assert.Equal(RequestOutcome.Done, Await("a").Outcome);
        VmRecord record = Ask<VmRecord>(new GetVm(Vm));
        Assert.Equal(("alice", "node1", true), (record.Owner, record.Node, record.IsWanted));
        Nodes["node1"].ExpectNoMsg(TimeSpan.Zero);
    }

    /// <summary>What a record is asked before it goes to another node is kept and answered, and goes on there.</summary>
    [Fact]
    public void Record_that_goes_elsewhere_answers_first()
    {
        Create();
        Watch(Entity);
        foreach (string id in (string[])["a", "b"])
        {
            Entity.Tell(new CommandVm(Vm, id, VmAction.Stop, 0, ""), Client);
        }

        Entity.Tell(EndEntity.Instance, ActorRefs.NoSender);
        Assert.Equal(["a", "b"], [Client.ExpectMsg<VmOperation>().Id, Client.ExpectMsg<VmOperation>().Id]);
        ExpectTerminated(Entity);
        RestartEntity();
        Assert.False(Begin("a", VmAction.Stop).IsDone);
    }

    [Fact]
    public void Agent_that_does_not_answer_is_asked_again()
    {
        Create();
        Begin("a", VmAction.Resize, 3);
        var first = Nodes["node1"].ExpectMsg<ResizeVm>();
        Assert.Equal(first, Nodes["node1"].ExpectMsg<ResizeVm>());
        End("node1", first, RequestOutcome.Refused, "CPU 2: refused by the guest");
        Assert.Equal((RequestOutcome.Refused, "CPU 2: refused by the guest"), (Await("a").Outcome, Await("a").Detail));
    }

    [Theory]
    [InlineData(VmAction.Resize, 0, "", "0 CPUs: the VM can have 1 to 4")]
    [InlineData(VmAction.Plug, 4, "", "there is no CPU 4: the VM has 0 to 3")]
    [InlineData(VmAction.Stop, -1, "", "the number is less than 0")]
    [InlineData(VmAction.Save, 0, "../x", "the name of a snapshot is")]
    [InlineData(VmAction.Migrate, 0, "node1", "the VM is at node 'node1' already")]
    [InlineData(VmAction.Migrate, 0, "node3", "there is no node 'node3' now")]
    [InlineData((VmAction)99, 0, "", "99 is no action")]
    [InlineData(VmAction.Stop, int.MaxValue, "", "2147483647 seconds: a guest can have at most 86400 to power off")]
    public void Request_that_cannot_be_is_rejected_in_words(VmAction action, int number, string text, string reason)
    {
        Create();
        Assert.StartsWith(reason, Ask<VmRejected>(new CommandVm(Vm, "a", action, number, text)).Reason, StringComparison.Ordinal);
        Assert.Equal(VmRejectionCode.NotFound, Ask<VmRejected>(new GetOperation(Vm, "a")).Code);
    }

    [Fact]
    public void First_start_goes_on_from_the_snapshot_that_the_VM_is_made_of_and_later_ones_boot()
    {
        VmSpec spec = Spec with { Snapshot = "/vms/golden/state/snapshots/booted" };
        Assert.Equal(
            "snapshot: '/vms/.hidden' is not the folder of one", (Spec with { Snapshot = "/vms/.hidden" }).FindProblem());
        Assert.Equal(
            "'here/booted' is not a whole path: give one that begins with /", (Spec with { Snapshot = "here/booted" }).FindProblem());
        Assert.True(Ask<VmOperation>(new CreateVm(Vm, "create", "alice", "node1", FailurePolicy.Leave, spec)).IsDone);
        foreach ((string id, RequestOutcome outcome, bool first) in ((string, RequestOutcome, bool)[])
            [("a", RequestOutcome.Failed, true), ("b", RequestOutcome.Done, true), ("c", RequestOutcome.Done, false)])
        {
            Begin(id, VmAction.Start);
            var run = Nodes["node1"].ExpectMsg<RunVm>();
            Assert.Equal(new RunVm(Vm, id, spec, first), run with { Spec = spec });
            End("node1", run, outcome);
            Await(id);
            RestartEntity();
        }

        Assert.Equal(["booted"], Ask<VmRecord>(new GetVm(Vm)).Snapshots);
    }

    private void Start()
    {
        Create();
        Begin("start", VmAction.Start);
        End("node1", Nodes["node1"].ExpectMsg<RunVm>());
        Await("start");
    }

    [Fact]
    public void Migration_moves_the_record_when_the_guest_runs_there()
    {
        Start();
        Begin("move", VmAction.Migrate, 0, "node2");
        var receive = Nodes["node2"].ExpectMsg<ReceiveVm>();
        See("node2", ProcessState.Receiving, 42);
        End("node2", receive, detail: "unix:/there");
        var send = Nodes["node1"].ExpectMsg<SendVm>();
        Assert.Equal("unix:/there", send.Address);

        // CPUs may be changed meanwhile, where the guest is.
        Begin("plug", VmAction.Plug, 1);
        End("node1", Nodes["node1"].ExpectMsg<ChangeCpu>());
        Assert.Equal(RequestOutcome.Done, Await("plug").Outcome);
        End("node1", send, detail: "downtime 5 ms");
        Assert.Equal("downtime 5 ms", Await("move").Detail);
        Assert.Equal("node2", Ask<VmRecord>(new GetVm(Vm)).Node);
        Begin("a", VmAction.Resize, 2);
        Nodes["node2"].ExpectMsg<ResizeVm>();
    }

    [Fact]
    public void Start_of_a_VM_that_moves_while_it_is_stopped_is_to_be_repeated()
    {
        Create();
        Begin("move", VmAction.Migrate, 0, "node2");
        var leave = Nodes["node1"].ExpectMsg<EndVm>();
        Assert.Equal(
            new VmRejected(Vm, VmRejectionCode.NotWritten, "the VM is on its way to another node: repeat the request"),
            Ask<VmRejected>(new CommandVm(Vm, "start", VmAction.Start, 0, "")));
        End("node1", leave);
        Assert.Equal(RequestOutcome.Done, Await("move").Outcome);
        Begin("start", VmAction.Start);
        Nodes["node2"].ExpectMsg<RunVm>();
    }

    [Fact]
    public void What_a_failed_migration_left_at_the_target_is_ended()
    {
        Start();
        Begin("move", VmAction.Migrate, 0, "node2");
        End("node2", Nodes["node2"].ExpectMsg<ReceiveVm>(), detail: "unix:/there");
        End("node1", Nodes["node1"].ExpectMsg<SendVm>(), RequestOutcome.Failed, "Unable to write to socket");
        Assert.Equal(RequestOutcome.Failed, Await("move").Outcome);
        Assert.Equal("node1", Ask<VmRecord>(new GetVm(Vm)).Node);
        See("node2", ProcessState.Receiving, 42);
        Nodes["node2"].ExpectMsg<EndVm>();
    }

    [Fact]
    public void VM_that_fails_is_started_again_by_its_policy_and_not_while_it_is_not_wanted()
    {
        Create(FailurePolicy.Restart);
        See("node1", ProcessState.Failed);
        Begin("a", VmAction.Start);
        End("node1", Nodes["node1"].ExpectMsg<RunVm>());
        Await("a");
        See("node1", ProcessState.Running, 42);
        See("node1", ProcessState.Failed);
        var own = Nodes["node1"].ExpectMsg<RunVm>();
        Assert.StartsWith("policy.", own.Id, StringComparison.Ordinal);
        End("node1", own);
        Assert.Equal(RequestOutcome.Done, Await(own.Id).Outcome);
        See("node1", ProcessState.Running, 43);
        See("node1", ProcessState.PoweredOff);
        Patience.Until(() => !Ask<VmRecord>(new GetVm(Vm)).IsWanted, "it is no longer wanted");
    }

    [Fact]
    public void VM_that_fails_goes_on_from_its_last_snapshot()
    {
        Create(FailurePolicy.Restore);
        Begin("a", VmAction.Start);
        End("node1", Nodes["node1"].ExpectMsg<RunVm>());
        Begin("b", VmAction.Save, 0, "nightly");
        End("node1", Nodes["node1"].ExpectMsg<SaveVm>());
        Await("a");
        Await("b");
        See("node1", ProcessState.Failed);
        Assert.Equal("nightly", Nodes["node1"].ExpectMsg<RestoreVm>().Tag);
    }

    [Fact]
    public void VM_with_the_policy_leave_is_left()
    {
        Create();
        Begin("a", VmAction.Start);
        End("node1", Nodes["node1"].ExpectMsg<RunVm>());
        Await("a");
        See("node1", ProcessState.Failed);
        Assert.Equal(ProcessState.Failed, Ask<VmRecord>(new GetVm(Vm)).State);
        Nodes["node1"].ExpectNoMsg(TimeSpan.FromSeconds(2));
    }

    [Fact]
    public void Deleted_VM_is_gone_and_its_name_is_free()
    {
        Create();
        Begin("a", VmAction.Delete);
        Assert.Equal("the VM is being deleted", Ask<VmRejected>(new CommandVm(Vm, "b", VmAction.Start, 0, "")).Reason);
        End("node1", Nodes["node1"].ExpectMsg<EndVm>());
        End("node1", Nodes["node1"].ExpectMsg<RemoveVm>());
        Patience.Until(() =>
        {
            Entity.Tell(new GetVm(Vm), Client);
            return Client.ExpectMsg<IFleetMessage>() is VmRejected { Code: VmRejectionCode.NotFound };
        }, "it is gone");
        Assert.True(Await("a").IsDone);
        See("node1", ProcessState.Running, 42);
        Nodes["node1"].ExpectMsg<EndVm>();
        RestartEntity();
        Assert.True(Ask<VmOperation>(new CreateVm(Vm, "again", "bob", "node2", default, Spec)).IsDone);
        Assert.Equal("bob", Ask<VmRecord>(new GetVm(Vm)).Owner);
    }

    /// <summary>A CPU that was to be plugged when the VM was deleted is none of the next VM of that name.</summary>
    [Fact]
    public void Operations_of_a_deleted_VM_end_with_it()
    {
        Create(FailurePolicy.Restart);
        See("node1", ProcessState.Running, 42);
        Begin("plug", VmAction.Plug, 1);
        Nodes["node1"].ExpectMsg<ChangeCpu>();
        Begin("rm", VmAction.Delete);
        End("node1", Nodes["node1"].ExpectMsg<EndVm>());
        End("node1", Nodes["node1"].FishForMessage<RemoveVm>(_ => true));
        Await("rm");
        VmOperation plug = Ask<VmOperation>(new GetOperation(Vm, "plug"));
        Assert.Equal((true, RequestOutcome.Cancelled, "the VM was deleted"), (plug.IsDone, plug.Outcome, plug.Detail));
        RestartEntity();
        Assert.True(Ask<VmOperation>(new CreateVm(Vm, "again", "bob", "node1", FailurePolicy.Restart, Spec)).IsDone);
        Begin("start", VmAction.Start);
        End("node1", Nodes["node1"].FishForMessage<RunVm>(_ => true));
        Await("start");
        See("node1", ProcessState.Failed);
        Assert.StartsWith("policy.", Nodes["node1"].FishForMessage<RunVm>(_ => true).Id, StringComparison.Ordinal);
    }

    /// <summary>What waits for an answer of the placement, and what the placement has answered, may be for nothing.</summary>
    [Fact]
    public void Room_of_a_VM_that_is_not_made_is_given_back()
    {
        Lose("node2");
        Ask<VmRejected>(new CreateVm(Vm, "create", "alice", "", default, Spec));
        Patience.Until(() => Located.Any(l => l is { Vm: Vm, Node: "" }), "the placement hears that it is nowhere");
    }
}
