using System.Diagnostics;
using Akka.Configuration;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;

namespace Vmm.Fleet.Tests.Cluster;

/// <summary>Tests that look at what this process as a whole has: no other test runs meanwhile.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AloneCollection
{
    public const string Name = "alone";
}

/// <summary>A node alone: its cluster of one, its database, and real VMs.</summary>
[Collection(AloneCollection.Name)]
public sealed class FleetNodeTests : IDisposable
{
    private const string Vm = "vm1";
    private const string Node = "node1";

    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-").FullName;
    private readonly VmSpec _spec;

    public FleetNodeTests()
    {
        string image = IdleGuest.WriteImage(_folder);
        _spec = new VmSpec(1, 4, 64 << 20, "max", image, "", "", "", []);
    }

    public void Dispose() => LocalFleet.RemoveNodes(_folder);

    private FleetNode Start() =>
        FleetNode.Start(Node, new NodeSettings(_folder, ["dotnet", VmmProcess.Program]) { StartLimit = Patience.Limit }, Config.Empty);

    private static Task<VmOperation> DoAsync(FleetNode node, string id, VmAction action) => TestFleet.DoAsync(node, Vm, action, id: id);

    private static Task<VmRecord> AwaitAsync(FleetNode node, Predicate<VmRecord> condition) => TestFleet.AwaitAsync(node, Vm, condition);

    [Fact]
    public async Task Node_keeps_its_records_and_leaves_its_VMs_when_it_ends()
    {
        int process;
        await using (FleetNode node = Start())
        {
            await TestFleet.AskAsync<VmOperation>(node, new CreateVm(Vm, "create", "alice", Node, FailurePolicy.Restart, _spec));
            Assert.Equal(RequestOutcome.Done, (await DoAsync(node, "start", VmAction.Start)).Outcome);
            await AwaitAsync(node, r => r.State == ProcessState.Running);
            Assert.True(node.IsUp);
            process = Assert.Single((await node.ReportAsync(CancellationToken.None)).Vms).Process;
        }

        await using (FleetNode node = Start())
        {
            VmRecord record = await AwaitAsync(node, r => r.State == ProcessState.Running);
            Assert.Equal(("alice", Node, true), (record.Owner, record.Node, record.IsWanted));
            Assert.Equal(process, Assert.Single((await node.ReportAsync(CancellationToken.None)).Vms).Process);
            Assert.True((await DoAsync(node, "start", VmAction.Start)).IsDone);

            // A VM that dies is started again.
            Process.GetProcessById(process).Kill();
            await AwaitAsync(node, r => r.State != ProcessState.Running);
            await AwaitAsync(node, r => r.State == ProcessState.Running);
            Assert.Equal(RequestOutcome.Done, (await DoAsync(node, "stop", VmAction.Stop)).Outcome);
            await AwaitAsync(node, r => r.State == ProcessState.Stopped);
            Assert.Equal(RequestOutcome.Done, (await DoAsync(node, "delete", VmAction.Delete)).Outcome);
            Patience.Until(() => !Directory.Exists(Path.Combine(_folder, "vms", Vm)), "its folder is gone");
        }
    }

    [Fact]
    public async Task Folder_is_one_nodes()
    {
        await using FleetNode node = Start();
        Assert.Contains("another node has it", Assert.Throws<NodeConfigException>(Start).Message, StringComparison.Ordinal);
    }

    /// <summary>A node alone has no port: nobody else on the machine can speak to its actors.</summary>
    [Fact]
    public async Task Node_alone_listens_nowhere()
    {
        await using FleetNode node = Start();
        Assert.Equal(VmRejectionCode.NotFound, (await TestFleet.AskAsync<VmRejected>(node, new GetVm(Vm))).Code);
        string[] own = [.. Directory.EnumerateFileSystemEntries("/proc/self/fd")
            .Select(fd => new FileInfo(fd).LinkTarget ?? "").Where(target => target.StartsWith("socket:[", StringComparison.Ordinal))
            .Select(target => target[8..^1])];

        // Documentation/networking/proc_net_tcp.rst: the state 0A is LISTEN, and the tenth field is the inode.
        Assert.DoesNotContain(
            new[] { "/proc/net/tcp", "/proc/net/tcp6" }.SelectMany(File.ReadLines)
                .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(f => f.Length > 9 && f[3] == "0A"),
            f => own.Contains(f[9]));
    }
}
