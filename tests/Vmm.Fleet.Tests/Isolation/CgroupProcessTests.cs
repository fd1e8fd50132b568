using System.Diagnostics;
using Akka.Actor;
using Vmm.Fleet.Isolation;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;
using Vmm.Fleet.Tests.Nodes;

namespace Vmm.Fleet.Tests.Isolation;

/// <summary>VMs in cgroups of their own.</summary>
public sealed class CgroupProcessTests : NodeTestKit
{
    private const string Vm = "vm1";

    private readonly string _slice = Path.Combine(CgroupFactAttribute.MountPoint ?? "/nonexistent", $"vmm-test-{Guid.NewGuid():N}");
    private readonly Process? _holder;

    private string Own => Path.Combine(_slice, "vmm-node.service");

    private string Unit => Path.Combine(_slice, NodeCgroups.Unit);

    private string Cgroup => Path.Combine(Unit, $"vm-{Vm}");

    public CgroupProcessTests()
    {
        if (new CgroupFactAttribute().Skip == null)
        {
            Directory.CreateDirectory(Own);
            Directory.CreateDirectory(Unit);
            _holder = Process.Start("sleep", ["infinity"]);
            VmCgroup.Write(Path.Combine(Unit, "cgroup.procs"), $"{_holder.Id}");
        }
    }

    protected override void AfterAll()
    {
        base.AfterAll();
        _holder?.Kill();
        _holder?.WaitForExit();
        if (_holder != null)
        {
            foreach (string cgroup in (string[])[.. Directory.EnumerateDirectories(Unit), Unit, Own, _slice])
            {
                Patience.Until(() => TryRemove(cgroup), $"{cgroup} is empty");
            }
        }
    }

    private static bool TryRemove(string cgroup)
    {
        new VmCgroup(cgroup).Remove();
        return !Directory.Exists(cgroup);
    }

    private static string CgroupOf(int process) =>
        NodeCgroups.FindOwn(File.ReadAllLines($"/proc/{process}/cgroup"), File.ReadAllLines("/proc/self/mountinfo"))!;

    private static string[] ProcessesIn(string cgroup) => File.ReadAllLines(Path.Combine(cgroup, "cgroup.procs"));

    private NodeSettings Limited() =>
        Settings(NewFolder()) with { Cgroups = NodeCgroups.Beside(Own, out _) ?? throw new InvalidOperationException(Unit) };

    [CgroupFact]
    public async Task Process_is_in_its_cgroup_from_the_first_instruction_and_does_not_leave_it()
    {
        NodeSettings settings = Limited();
        VmFolder folder = settings.FolderOf(Vm);
        Directory.CreateDirectory(folder.Root);
        string script = $"cat /proc/self/cgroup; echo $$ >{Cgroup}/cgroup.procs || echo no; "
            + $"echo $$ >{Unit}/holder/cgroup.procs || echo no; mkdir {Cgroup}/more || echo no; exit 3";
        var process = VmProcess.Launch(folder, ["sh", "-c", script], new VmConfinement(settings, folder, Idle));
        Assert.Equal(3, await process.Ended.WaitAsync(Patience.Limit));
        string[] said = await File.ReadAllLinesAsync(folder.Log);
        Assert.Contains($"0::{Cgroup[CgroupFactAttribute.MountPoint!.Length..]}", said);
        Assert.Equal(3, said.Count(line => line == "no"));

        // What was in the unit is in a cgroup of its own.
        Assert.Equal([$"{_holder!.Id}"], ProcessesIn(Path.Combine(Unit, "holder")));
        Assert.Empty(ProcessesIn(Unit));
    }

    [CgroupFact]
    public void VM_of_an_earlier_run_is_still_in_its_cgroup_which_goes_with_it()
    {
        NodeSettings settings = Limited();
        IActorRef node = StartNode(settings);
        Assert.Equal((RequestOutcome.Done, ""), Of(Do(node, new RunVm(Vm, NewId(), Idle))));
        int process = Await(node, Vm, ProcessState.Running).Process;
        Assert.Equal(Cgroup, CgroupOf(process));
        StopNode(node);

        // An ended VM has left one that its node did not see empty.
        string left = Path.Combine(Unit, "vm-left");
        Directory.CreateDirectory(left);
        node = StartNode(settings with { Cgroups = NodeCgroups.Beside(Own, out _) });
        Assert.False(Directory.Exists(left));
        Assert.Equal(process, Await(node, Vm, ProcessState.Running).Process);
        Assert.Equal(Cgroup, CgroupOf(process));
        Assert.Equal(RequestOutcome.Done, Do(node, new EndVm(Vm, NewId(), 0)).Outcome);
        Patience.Until(() => !Directory.Exists(Cgroup), "its cgroup is gone");
        Assert.Equal((RequestOutcome.Done, ""), Of(Do(node, new RunVm(Vm, NewId(), Idle))));
        Assert.Equal(Cgroup, CgroupOf(Await(node, Vm, ProcessState.Running).Process));
        Assert.Equal(RequestOutcome.Done, Do(node, new EndVm(Vm, NewId(), 0)).Outcome);
    }

    [CgroupFact]
    public void VM_that_cannot_be_put_into_its_cgroup_does_not_start()
    {
        NodeSettings settings = Limited();
        IActorRef node = StartNode(settings with { Cgroups = new NodeCgroups(NewFolder()) });
        RequestEnded end = Do(node, new RunVm(Vm, NewId(), Idle));
        Assert.Equal(RequestOutcome.Failed, end.Outcome);
        Assert.Contains("cgroup.procs", end.Detail, StringComparison.Ordinal);
        Assert.Equal(0, ReportOf(node, Vm).Process);
    }

    /// <summary>A folder stands for the cgroup: the kernel of a host without the memory controller kills nobody for it.</summary>
    [Fact]
    public void VM_that_was_killed_for_memory_says_so()
    {
        string folder = NewFolder(), cgroup = Path.Combine(folder, $"vm-{Vm}");
        Directory.CreateDirectory(cgroup);
        foreach (string file in (string[])["cgroup.procs", "memory.max", "memory.events"])
        {
            File.WriteAllText(Path.Combine(cgroup, file), "");
        }

        IActorRef node = StartNode(Settings(NewFolder()) with { Cgroups = new NodeCgroups(folder) });
        Assert.Equal((RequestOutcome.Done, ""), Of(Do(node, new RunVm(Vm, NewId(), Idle))));
        int process = Await(node, Vm, ProcessState.Running).Process;
        Assert.Equal($"{process}", File.ReadAllText(Path.Combine(cgroup, "cgroup.procs")));
        File.WriteAllText(Path.Combine(cgroup, "memory.events"), "oom 1\noom_kill 1\n");
        using var killed = Process.GetProcessById(process);
        killed.Kill();
        Assert.Equal(
            "the host killed it: it used more memory than its limit of 584 MiB", Await(node, Vm, ProcessState.Failed).Detail);
    }

    private static (RequestOutcome Outcome, string Detail) Of(RequestEnded end) => (end.Outcome, end.Detail);
}
