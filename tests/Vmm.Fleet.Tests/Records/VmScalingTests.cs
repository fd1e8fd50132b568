using Akka.TestKit;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Scaling;

namespace Vmm.Fleet.Tests.Records;

/// <summary>CPUs of a VM that follow its load and its owner's quota; the VM is what the test says of its times.</summary>
public sealed class VmScalingTests : VmEntityKit
{
    private readonly TestProbe _events;
    private long _ran = 1_000_000_000;
    private long _busy;

    public VmScalingTests()
    {
        _events = CreateTestProbe("events");
        Sys.EventStream.Subscribe(_events, typeof(VmScaled));
    }

    private static ScalingSpec Quick => new(4, UpAfter: 0.5, DownAfter: 1, CoolDown: 0, MostChanges: 100);

    // Half a second of the VM, with so many CPUs that are enabled and so many that are busy.
    private void Run(int enabled, int busy)
    {
        _ran += 500_000_000;
        _busy += 500_000_000 * busy;
        Times = new VmTimes(
            Vm, [new VmMeter("a", _ran / 1_000_000, _ran, [_busy, 0, 0, 0], [_ran, 0, 0, 0])],
            [.. Enumerable.Range(0, 4).Select(cpu => cpu < enabled)], []);
    }

    // It goes on until the node is asked for a change of a CPU.
    private ChangeCpu RunUntilChanged(int enabled, int busy)
    {
        ChangeCpu? change = null;
        Patience.Until(
            () =>
            {
                Run(enabled, busy);
                return Nodes["node1"].HasMessages;
            },
            "a CPU is to change");
        change = Nodes["node1"].ExpectMsg<ChangeCpu>();
        return change;
    }

    [Fact]
    public void CPUs_follow_the_load_and_each_change_is_an_operation()
    {
        Create();
        Assert.Equal(Quick, Ask<VmRecord>(new SetScaling(Vm, Quick)).Spec.Scaling);
        See("node1", ProcessState.Running, 42);
        ChangeCpu plug = RunUntilChanged(1, 1);
        Assert.Equal((CpuChange.Plug, 1), (plug.Change, plug.Cpu));
        Assert.Equal((VmAction.Plug, false), (Ask<VmOperation>(new GetOperation(Vm, plug.Id)).Action, Await("create").Outcome != default));
        VmScaled said = _events.ExpectMsg<VmScaled>();
        Assert.Equal((Vm, ScalingAction.Plug, ScalingReason.LoadHigh, 1), (said.Vm, said.Action, said.Reason, Assert.Single(said.Cpus)));
        End("node1", plug);
        Assert.Equal(RequestOutcome.Done, Await(plug.Id).Outcome);

        // What the guest has refused is not asked for again at once.
        ChangeCpu unplug = RunUntilChanged(2, 0);
        Assert.Equal((CpuChange.Unplug, 1), (unplug.Change, unplug.Cpu));
        End("node1", unplug, RequestOutcome.Refused, "CPU 1: refused by the guest");
        Await(unplug.Id);
        _events.FishForMessage<VmScaled>(e => e.Action == ScalingAction.Unplug);
        Patience.Until(
            () =>
            {
                Run(2, 0);
                return _events.HasMessages;
            },
            "the policy says why it holds");
        Assert.Equal(ScalingReason.Refused, _events.ExpectMsg<VmScaled>().Reason);
    }

    [Fact]
    public void Policy_is_kept_and_can_be_taken_away()
    {
        Create();
        Ask<VmRecord>(new SetScaling(Vm, Quick));
        RestartEntity();
        Assert.Equal(Quick.Maximum, Ask<VmRecord>(new GetVm(Vm)).Spec.Scaling?.Maximum);
        See("node1", ProcessState.Running, 42);
        RunUntilChanged(1, 1);
        Assert.Null(Ask<VmRecord>(new SetScaling(Vm, null)).Spec.Scaling);
    }

    [Fact]
    public void Policy_that_cannot_be_is_refused_in_words()
    {
        Create();
        Assert.Equal(
            "scaling: a maximum of 5 CPUs is not possible: the VM can have 4",
            Ask<VmRejected>(new SetScaling(Vm, new ScalingSpec(5))).Reason);
        Assert.Equal(
            "scaling: upAfter: give 0 to 604800 seconds", Ask<VmRejected>(new SetScaling(Vm, new ScalingSpec(4, UpAfter: 1e300))).Reason);
        Assert.Equal(
            "scaling: window '61 * * * *': '61' is no minute: *, a number of 0 to 59, a range such as 0-59, or */2 is expected",
            Ask<VmRejected>(new SetScaling(Vm, new ScalingSpec(4, Schedule: [new ScalingWindow("61 * * * *", 60)]))).Reason);
    }

    [Fact]
    public void Plug_and_start_wait_for_the_quota()
    {
        Quota = 1;
        Create();
        Begin("start", VmAction.Start);
        End("node1", Nodes["node1"].ExpectMsg<RunVm>());
        Await("start");
        See("node1", ProcessState.Running, 42);
        foreach ((string id, VmAction action, int number) in new[] { ("plug", VmAction.Plug, 1), ("resize", VmAction.Resize, 3) })
        {
            Begin(id, action, number);
            Assert.Equal((RequestOutcome.Rejected, "it would be over quota"), (Await(id).Outcome, Await(id).Detail));
        }

        // Nothing is asked for a CPU that leaves.
        Begin("unplug", VmAction.Unplug, 0);
        End("node1", Nodes["node1"].ExpectMsg<ChangeCpu>());
        Quota = 2;
        Begin("more", VmAction.Plug, 1);
        Assert.Equal("more", Nodes["node1"].ExpectMsg<ChangeCpu>().Id);
    }

    /// <summary>The VM's folder is removed when its last reading is in the account.</summary>
    [Fact]
    public void Deleted_VM_is_removed_when_its_last_reading_is_counted()
    {
        Create();
        Times = new VmTimes(Vm, [], [], [new VmMeter("a", 1, 5, [5, 0, 0, 0], [5, 0, 0, 0])]);
        Begin("rm", VmAction.Delete);
        End("node1", Nodes["node1"].ExpectMsg<EndVm>());
        Nodes["node1"].ExpectNoMsg(TimeSpan.FromMilliseconds(300));
        Times = new VmTimes(Vm, [], [], []);
        Nodes["node1"].ExpectMsg<RemoveVm>();
    }

    private void RunWithCpus(int cpus)
    {
        Create();
        Begin("start", VmAction.Start);
        End("node1", Nodes["node1"].ExpectMsg<RunVm>());
        Await("start");
        See("node1", ProcessState.Running, 42, cpus);
        Patience.Until(() => Asked.LastOrDefault()?.Cpus == cpus, "the account knows of its CPUs");
    }

    /// <summary>The end of a plug comes before its node has told how many CPUs there are.</summary>
    [Fact]
    public void Second_plug_is_asked_for_beside_the_first()
    {
        RunWithCpus(1);
        foreach (int cpu in new[] { 1, 2 })
        {
            Begin($"plug{cpu}", VmAction.Plug, cpu);
            var change = Nodes["node1"].ExpectMsg<ChangeCpu>();
            Assert.Equal(cpu + 1, Asked.Last().Cpus);
            Entity.Tell(
                new RequestEnded(
                    Vm, change.Id, RequestOutcome.Done, "", [new CpuOutcome(cpu, CpuChange.Plug, RequestOutcome.Done, 0, "")], cpu + 1),
                Nodes["node1"]);
            Await($"plug{cpu}");
        }

        // Nothing was given back meanwhile.
        Assert.Equal([1, 2, 3], Asked.Select(a => a.Cpus).Distinct());
        Assert.Equal(Asked.Select(a => a.Cpus).Order(), Asked.Select(a => a.Cpus));
    }

    /// <summary>A record that is made anew does not know how many CPUs the VM has: it gives none of them back for that.</summary>
    [Fact]
    public void Plug_of_a_record_that_has_seen_nothing_waits_for_what_its_node_says()
    {
        RunWithCpus(3);
        RestartEntity();
        Asked.Clear();
        Begin("plug", VmAction.Plug, 3);
        See("node1", ProcessState.Running, 42, 3);
        Nodes["node1"].ExpectMsg<ChangeCpu>();
        Assert.Equal([4], Asked.Select(a => a.Cpus));
    }

    [Fact]
    public void CPUs_that_are_given_back_are_told_until_the_account_has_answered()
    {
        RunWithCpus(3);
        Quota = Silent;
        See("node1", ProcessState.Running, 42, 2);
        Patience.Until(() => Asked.Last().Cpus == 2, "it is told");
        Quota = int.MaxValue;
        Asked.Clear();
        See("node1", ProcessState.Running, 42, 2);
        Patience.Until(() => Asked.LastOrDefault()?.Cpus == 2, "it is told again");
    }

    [Fact]
    public void New_VM_of_a_name_has_none_of_the_CPUs_of_the_old_one()
    {
        RunWithCpus(3);
        Begin("rm", VmAction.Delete);
        End("node1", Nodes["node1"].ExpectMsg<EndVm>());
        End("node1", Nodes["node1"].ExpectMsg<RemoveVm>());
        Await("rm");
        See("node1", ProcessState.Stopped);
        Assert.True(Ask<VmOperation>(new CreateVm(Vm, "again", "bob", "node1", default, Spec)).IsDone);
        Asked.Clear();
        Begin("start2", VmAction.Start);
        Nodes["node1"].ExpectMsg<RunVm>();
        Assert.Equal([1], Asked.Select(a => a.Cpus));
    }

    /// <summary>Times that cannot be, as of a damaged file, end neither scaling nor the account of what follows.</summary>
    [Fact]
    public void VM_is_counted_after_times_that_cannot_be()
    {
        Create();
        Ask<VmRecord>(new SetScaling(Vm, Quick));
        See("node1", ProcessState.Running, 42);
        Times = new VmTimes(Vm, [new VmMeter("b", 1, 1, [long.MaxValue, 1, 0, 0], [1, 0, 0, 0])], [true, false, false, false], []);
        Nodes["node1"].ExpectNoMsg(TimeSpan.FromSeconds(2));
        ChangeCpu plug = RunUntilChanged(1, 1);
        Assert.Equal((CpuChange.Plug, 1), (plug.Change, plug.Cpu));
    }
}
