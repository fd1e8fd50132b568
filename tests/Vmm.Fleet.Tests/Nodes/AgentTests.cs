using System.Diagnostics;
using Akka.Actor;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;

namespace Vmm.Fleet.Tests.Nodes;

/// <summary>Agents and real processes of VMs.</summary>
public sealed class AgentTests : NodeTestKit
{
    private const string Vm = "vm1";

    [Fact]
    public void Start_is_done_once_and_repeated_ids_get_the_same_end()
    {
        string folder = NewFolder();
        IActorRef node = StartNode(folder);
        var run = new RunVm(Vm, NewId(), Idle);
        RequestEnded end = Do(node, run);
        Assert.Equal((RequestOutcome.Done, ""), (end.Outcome, end.Detail));
        VmReport report = Await(node, Vm, ProcessState.Running);
        Patience.Until(() => ReportOf(node, Vm).EnabledCpus == 1, "its CPUs are known");
        Assert.Equal(end, Do(node, run) with { Cpus = end.Cpus });
        Assert.Equal("it runs already", Do(node, new RunVm(Vm, NewId(), Idle)).Detail);
        Assert.Equal(report.Process, ReportOf(node, Vm).Process);

        // A session of its own: the end of a terminal is none of its (proc_pid_stat(5), field 6).
        Assert.Equal($"{report.Process}", File.ReadAllText($"/proc/{report.Process}/stat").Split(") ")[1].Split(' ')[3]);

        // An idle guest does not listen to its power button.
        Assert.Equal((RequestOutcome.Done, "the process was told to end"), Of(Do(node, new EndVm(Vm, NewId(), 1))));
        Assert.Equal(ProcessState.Stopped, Await(node, Vm, ProcessState.Stopped).State);
        Assert.Equal((RequestOutcome.Done, "it does not run"), Of(Do(node, new EndVm(Vm, NewId(), 1))));
    }

    [Fact]
    public void Node_that_ends_leaves_its_VMs_and_the_next_one_finds_them()
    {
        string folder = NewFolder();
        IActorRef node = StartNode(folder);
        Assert.Equal(RequestOutcome.Done, Do(node, new RunVm(Vm, "first", Idle)).Outcome);
        int process = Await(node, Vm, ProcessState.Running).Process;
        StopNode(node);

        node = StartNode(folder);
        Assert.Equal(process, Await(node, Vm, ProcessState.Running).Process);
        Assert.Equal((RequestOutcome.Done, ""), Of(Do(node, new RunVm(Vm, "first", Idle))));

        // It is no child of the node as it is after a restart: nothing but its exit code is missed.
        Process.GetProcessById(process).Kill();
        VmReport failed = Await(node, Vm, ProcessState.Failed);
        Assert.StartsWith("the process has ended", failed.Detail, StringComparison.Ordinal);
        Assert.Equal(RequestOutcome.Done, Do(node, new RunVm(Vm, NewId(), Idle)).Outcome);
        Assert.NotEqual(process, Await(node, Vm, ProcessState.Running).Process);
        Assert.Equal((RequestOutcome.Failed, "the VM runs: stop it first"), Of(Do(node, new RemoveVm(Vm, NewId()))));
        Do(node, new EndVm(Vm, NewId(), 0));
        Assert.Equal(RequestOutcome.Done, Do(node, new RemoveVm(Vm, NewId())).Outcome);
        Patience.Until(() => !Directory.EnumerateFileSystemEntries(Settings(folder).Vms).Any(), "the folder is empty");
        Assert.Equal(RequestOutcome.Failed, Do(node, new ResizeVm(Vm, NewId(), 1)).Outcome);
    }

    [Fact]
    public void VM_that_is_killed_has_failed_and_its_exit_code_is_told()
    {
        IActorRef node = StartNode(NewFolder());
        Do(node, new RunVm(Vm, NewId(), Idle));
        Process.GetProcessById(Await(node, Vm, ProcessState.Running).Process).Kill();
        Assert.StartsWith(
            "the process has ended with exit code 137", Await(node, Vm, ProcessState.Failed).Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void What_cannot_start_says_why()
    {
        IActorRef node = StartNode(NewFolder());
        RequestEnded end = Do(node, new RunVm(Vm, NewId(), Idle with { Kernel = "/nonexistent/kernel" }));
        Assert.Equal(RequestOutcome.Failed, end.Outcome);
        Assert.StartsWith("the VM has ended with exit code 1: vmm: ", end.Detail, StringComparison.Ordinal);
        Assert.Equal(end.Detail, Await(node, Vm, ProcessState.Failed).Detail);
        Assert.Equal(RequestOutcome.Rejected, Do(node, new RunVm("Not a name", NewId(), Idle)).Outcome);
        Assert.Equal(RequestOutcome.Rejected, Do(node, new RunVm(Vm, "not an id", Idle)).Outcome);
        Assert.Equal(RequestOutcome.Failed, Do(node, new SaveVm("vm2", NewId(), "tag")).Outcome);
    }

    [Fact]
    public void Request_under_way_when_the_node_ended_is_carried_out_by_the_next_one()
    {
        string folder = NewFolder();
        NodeSettings settings = Settings(folder);
        VmFolder vm = settings.FolderOf(Vm);
        Directory.CreateDirectory(vm.Root);
        using (var log = RequestLog.Read(vm.Requests))
        {
            log.Begin(new RunVm(Vm, "begun", Idle));
        }

        IActorRef node = StartNode(folder);
        Await(node, Vm, ProcessState.Running);
        Assert.Equal((RequestOutcome.Done, ""), Of(Do(node, new RunVm(Vm, "begun", Idle))));
    }

    /// <summary>A node that ended after it started a process, and before it noted which one.</summary>
    [Fact]
    public void Process_that_was_not_noted_is_found_by_its_socket()
    {
        string folder = NewFolder();
        IActorRef node = StartNode(folder);
        Do(node, new RunVm(Vm, NewId(), Idle));
        int process = Await(node, Vm, ProcessState.Running).Process;
        StopNode(node);
        string noted = Path.Combine(Settings(folder).Vms, Vm, "process");
        string note = File.ReadAllText(noted);
        File.Delete(noted);

        node = StartNode(folder);
        Assert.Equal(process, Await(node, Vm, ProcessState.Running).Process);
        Assert.Equal(note, File.ReadAllText(noted));
    }

    [Fact]
    public void Snapshot_brings_back_what_was_saved()
    {
        IActorRef node = StartNode(NewFolder());
        Do(node, new RunVm(Vm, NewId(), Idle));
        Assert.Equal((RequestOutcome.Done, ""), Of(Do(node, new SaveVm(Vm, NewId(), "before"))));
        Assert.Equal((RequestOutcome.Done, ""), Of(Do(node, new RestoreVm(Vm, NewId(), "before", Idle))));
        Do(node, new EndVm(Vm, NewId(), 0));
        Assert.Equal((RequestOutcome.Done, ""), Of(Do(node, new RestoreVm(Vm, NewId(), "before", Idle))));
        Await(node, Vm, ProcessState.Running);
        Assert.Equal(
            (RequestOutcome.Failed, "Snapshot 'none' does not exist"), Of(Do(node, new RestoreVm(Vm, NewId(), "none", Idle))));
    }

    [Fact]
    public void VM_goes_on_from_the_snapshot_of_another()
    {
        string folder = NewFolder();
        IActorRef node = StartNode(folder);
        Do(node, new RunVm(Vm, NewId(), Idle));
        Do(node, new SaveVm(Vm, NewId(), "golden"));
        string snapshot = Path.Combine(Settings(folder).Vms, Vm, "state", "snapshots", "golden");
        VmSpec spec = Idle with { Snapshot = snapshot };
        Assert.Equal((RequestOutcome.Done, ""), Of(Do(node, new RunVm("clone", NewId(), spec, FromSnapshot: true))));
        Await(node, "clone", ProcessState.Running);
        Assert.Equal((RequestOutcome.Done, ""), Of(Do(node, new RestoreVm("clone", NewId(), "golden", spec))));
        Assert.Equal(
            (RequestOutcome.Failed, "Snapshot 'goldenx' does not exist"),
            Of(Do(node, new RunVm("none", NewId(), spec with { Snapshot = $"{snapshot}x" }, FromSnapshot: true))));
    }

    [Fact]
    public void VM_moves_to_another_node()
    {
        (IActorRef source, IActorRef target) = (StartNode(NewFolder()), StartNode(NewFolder()));
        Do(source, new RunVm(Vm, NewId(), Idle));
        RequestEnded waiting = Do(target, new ReceiveVm(Vm, NewId(), Idle));
        Assert.Equal(RequestOutcome.Done, waiting.Outcome);
        Await(target, Vm, ProcessState.Receiving);
        VmTimes before = TimesOf(source, Vm);
        RequestEnded sent = Do(source, new SendVm(Vm, NewId(), waiting.Detail));
        Assert.Equal(RequestOutcome.Done, sent.Outcome);
        Assert.StartsWith("downtime ", sent.Detail, StringComparison.Ordinal);
        Await(target, Vm, ProcessState.Running);
        Await(source, Vm, ProcessState.Stopped);

        // The meter has moved, too.
        Assert.Equal(before.Running[0].Meter, TimesOf(target, Vm).Running[0].Meter);
        Assert.True(TimesOf(target, Vm).Running[0].RunNs >= before.Running[0].RunNs);
        VmTimes left = TimesOf(source, Vm);
        Assert.Empty(left.Running.Concat(left.Ended));
        Assert.Equal(RequestOutcome.Failed, Do(source, new SendVm(Vm, NewId(), waiting.Detail)).Outcome);

        // When it is lost there, it may begin anew where it was before.
        Do(target, new EndVm(Vm, NewId(), 0));
        Assert.Equal((RequestOutcome.Done, ""), Of(Do(source, new RunVm(Vm, NewId(), Idle))));
        Await(source, Vm, ProcessState.Running);
    }

    [Fact]
    public void Migration_to_nowhere_leaves_the_VM_running()
    {
        IActorRef node = StartNode(NewFolder());
        Do(node, new RunVm(Vm, NewId(), Idle));
        RequestEnded end = Do(node, new SendVm(Vm, NewId(), "unix:/nonexistent/socket"));
        Assert.Equal(RequestOutcome.Failed, end.Outcome);
        Assert.Contains("/nonexistent/socket", end.Detail, StringComparison.Ordinal);
        Assert.Equal(ProcessState.Running, Await(node, Vm, ProcessState.Running).State);
    }

    [Fact]
    public void Stop_ends_what_is_under_way_and_what_waits()
    {
        IActorRef node = StartNode(NewFolder());
        var probe = CreateTestProbe();
        node.Tell(new RunVm(Vm, "start", Idle), probe);
        node.Tell(new SaveVm(Vm, "save", "tag"), probe);
        node.Tell(new EndVm(Vm, "stop", 0), probe);
        var ends = Enumerable.Range(0, 3).Select(_ => probe.ExpectMsg<RequestEnded>()).ToDictionary(e => e.Id);
        Assert.Equal(RequestOutcome.Cancelled, ends["save"].Outcome);
        Assert.Equal(RequestOutcome.Cancelled, ends["start"].Outcome);
        Assert.Equal(RequestOutcome.Done, ends["stop"].Outcome);
        Await(node, Vm, ProcessState.Stopped);
    }

    /// <summary>A process that stands still hears neither its power button nor the command to end.</summary>
    [Fact]
    public void VM_that_does_not_answer_is_killed_by_a_stop()
    {
        IActorRef node = StartNode(Settings(NewFolder()) with { QuitLimit = TimeSpan.FromSeconds(1) });
        Do(node, new RunVm(Vm, NewId(), Idle));
        int process = Await(node, Vm, ProcessState.Running).Process;
        using (Process halt = Process.Start("kill", ["-STOP", $"{process}"]))
        {
            halt.WaitForExit();
        }

        Assert.Equal((RequestOutcome.Done, "the process was killed"), Of(Do(node, new EndVm(Vm, NewId(), 1))));
        Assert.False(Directory.Exists($"/proc/{process}"));
    }

    /// <summary>A record asks again and again, and is told once.</summary>
    [Fact]
    public void Who_asks_several_times_while_a_request_is_under_way_is_told_once()
    {
        IActorRef node = StartNode(NewFolder());
        var probe = CreateTestProbe();
        for (int i = 0; i < 3; i++)
        {
            node.Tell(new RunVm(Vm, "start", Idle), probe);
        }

        probe.ExpectMsg<RequestEnded>();
        Await(node, Vm, ProcessState.Running);
        probe.ExpectNoMsg(TimeSpan.FromMilliseconds(200));
    }

    private static (RequestOutcome Outcome, string Detail) Of(RequestEnded end) => (end.Outcome, end.Detail);
}
