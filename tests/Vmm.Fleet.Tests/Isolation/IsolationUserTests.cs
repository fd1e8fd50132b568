using System.Diagnostics.CodeAnalysis;
using Akka.Actor;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Isolation;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;
using Vmm.Fleet.Tests.Cluster;
using Vmm.Fleet.Tests.Nodes;
using Vmm.Host.Guest;

namespace Vmm.Fleet.Tests.Isolation;

/// <summary>VMs of a node that is root, as another user.</summary>
[SuppressMessage("Interoperability", "CA1416", Justification = "Vmm runs on Linux alone.")]
public sealed class IsolationUserTests(PostgresServer postgres) : NodeTestKit, IClassFixture<PostgresServer>
{
    private const string Vm = "vm1";
    private const UnixFileMode Passable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    private static readonly HostUser s_nobody = new(65534, 65534);

    private NodeSettings Own() => Settings(NewFolder()) with { User = s_nobody };

    // The guest's image is in a folder of a test, which is root's alone.
    private VmSpec Guest()
    {
        File.SetUnixFileMode(Path.GetDirectoryName(Idle.Kernel)!, Passable);
        return Idle;
    }

    private static string UserOf(int process) =>
        File.ReadLines($"/proc/{process}/status").First(line => line.StartsWith("Uid:", StringComparison.Ordinal));

    [RootFact]
    public async Task Program_runs_as_the_user_and_the_node_stays_root()
    {
        NodeSettings settings = Own();
        VmFolder folder = settings.FolderOf(Vm);
        Directory.CreateDirectory(folder.Root);
        s_nobody.Share(settings.Folder);
        s_nobody.Share(settings.Vms);
        File.SetUnixFileMode(Guest().Kernel, UnixFileMode.UserRead);
        Directory.CreateDirectory(folder.State);
        await File.WriteAllTextAsync(Path.Combine(folder.State, "old"), "of root");
        string script = "id -u; id -g; id -G; echo x >>state/old && mv state/old state/new && echo kept; "
            + $"cat {Idle.Kernel} || echo no; exit 5";
        var process = VmProcess.Launch(folder, ["sh", "-c", script], new VmConfinement(settings, folder, Idle));
        Assert.Equal(5, await process.Ended.WaitAsync(Patience.Limit));
        string[] said = await File.ReadAllLinesAsync(folder.Log);
        Assert.Equal(["65534", "65534", "65534", "kept"], said[..4]);
        Assert.Equal("no", said[^1]);
        Assert.Equal(["Uid:", "0", "0", "0", "0"], UserOf(Environment.ProcessId).Split('\t'));
    }

    [RootFact]
    public void VM_is_started_saved_restored_moved_and_removed()
    {
        (NodeSettings at, NodeSettings to) = (Own(), Own());
        (IActorRef source, IActorRef target) = (StartNode(at), StartNode(to));
        VmSpec guest = Guest();
        Assert.Equal((RequestOutcome.Done, ""), Of(Do(source, new RunVm(Vm, NewId(), guest))));
        Assert.Equal("Uid:\t65534\t65534\t65534\t65534", UserOf(Await(source, Vm, ProcessState.Running).Process));
        Assert.Equal((RequestOutcome.Done, ""), Of(Do(source, new SaveVm(Vm, NewId(), "tag"))));
        Do(source, new EndVm(Vm, NewId(), 0));
        Assert.Equal((RequestOutcome.Done, ""), Of(Do(source, new RestoreVm(Vm, NewId(), "tag", guest))));
        VmSpec clone = guest with { Snapshot = Path.Combine(at.FolderOf(Vm).Snapshots, "tag") };
        Assert.Equal((RequestOutcome.Done, ""), Of(Do(source, new RunVm("clone", NewId(), clone, FromSnapshot: true))));

        RequestEnded waiting = Do(target, new ReceiveVm(Vm, NewId(), guest));
        Assert.Equal(RequestOutcome.Done, waiting.Outcome);
        RequestEnded sent = Do(source, new SendVm(Vm, NewId(), waiting.Detail));
        Assert.True(sent.Outcome == RequestOutcome.Done, sent.Detail);
        Assert.Equal("Uid:\t65534\t65534\t65534\t65534", UserOf(Await(target, Vm, ProcessState.Running).Process));
        Assert.Equal(RequestOutcome.Done, Do(target, new EndVm(Vm, NewId(), 0)).Outcome);
        Assert.Equal(RequestOutcome.Done, Do(target, new RemoveVm(Vm, NewId())).Outcome);
        Assert.False(Directory.Exists(to.FolderOf(Vm).Root));
    }

    [RootFact]
    public async Task VM_moves_over_TLS_under_a_lease()
    {
        using var fleet = new TestFleet(postgres.NewDatabase(), 2);
        File.SetUnixFileMode(Path.GetDirectoryName(fleet.FolderOf(1))!, Passable);
        FleetNode Start(int node) => FleetNode.Start(
            TestFleet.NodeName(node), fleet.Settings(node) with { VmUser = "nobody" }, Akka.Configuration.Config.Empty, fleet.Config(node));
        await using FleetNode first = Start(1), second = Start(2);
        await TestFleet.AwaitAllAsync(first, second);
        await TestFleet.AskAsync<VmOperation>(first, new CreateVm(Vm, "create", "alice", "node1", FailurePolicy.Leave, fleet.Idle));
        VmOperation started = await TestFleet.DoAsync(first, Vm, VmAction.Start);
        Assert.True(started.Outcome == RequestOutcome.Done, started.Detail);
        VmOperation moved = await TestFleet.DoAsync(first, Vm, VmAction.Migrate, text: "node2");
        Assert.True(moved.Outcome == RequestOutcome.Done, moved.Detail);
        await TestFleet.AwaitAsync(first, Vm, r => r is { State: ProcessState.Running, Node: "node2" });
        int process = Assert.Single((await second.ReportAsync(CancellationToken.None)).Vms, vm => vm.Process != 0).Process;
        Assert.Equal("Uid:\t65534\t65534\t65534\t65534", UserOf(process));

        // The keys are for this group and nobody else.
        Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead,
            File.GetUnixFileMode(Path.Combine(fleet.FolderOf(1), "tls", "client-key.pem")));
    }

    [RootFact]
    public void User_that_cannot_be_is_told_in_one_line()
    {
        Assert.Equal(s_nobody, HostUser.Parse("65534:65534", IsolationUse.Auto));
        Assert.Equal(s_nobody, HostUser.Parse("nobody", IsolationUse.Required));
        foreach ((string text, string said) in ((string, string)[])
        [
            ("no-such-user", "vmUser: 'no-such-user' is no user of /etc/passwd, and not UID:GID"),
            ("1:x", "vmUser: '1:x' is no user of /etc/passwd, and not UID:GID"), ("root", "vmUser: give another user than root"),
        ])
        {
            Assert.Equal(said, Assert.Throws<NodeConfigException>(() => HostUser.Parse(text, IsolationUse.Auto)).Message);
        }

        Assert.Equal(
            "vmUser: needs Landlock, but landlock is off",
            Assert.Throws<NodeConfigException>(() => HostUser.Parse("nobody", IsolationUse.Off)).Message);
    }

    private static (RequestOutcome Outcome, string Detail) Of(RequestEnded end) => (end.Outcome, end.Detail);
}
