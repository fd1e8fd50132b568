using Akka.Actor;
using Akka.TestKit;
using Vmm.Actors.Hosting;
using Vmm.Actors.Tests;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;

namespace Vmm.Fleet.Tests.Nodes;

/// <summary>Nodes with folders of their own, and VMs that are processes of the program itself.</summary>
public abstract class NodeTestKit : PatientTestKit
{
    private readonly List<string> _folders = [];
    private TestProbe? _probe;
    private int _requests;

    /// <summary>A guest without an operating system that waits for interrupts.</summary>
    protected VmSpec Idle { get; }

    protected NodeTestKit()
    {
        string image = IdleGuest.WriteImage(NewFolder());
        Idle = new VmSpec(1, 4, 64 << 20, "max", image, "", "", "", []);
    }

    /// <summary>A folder that is removed at the end; its path is short enough for the sockets in it.</summary>
    protected string NewFolder()
    {
        string folder = Directory.CreateTempSubdirectory("vmm-").FullName;
        _folders.Add(folder);
        return folder;
    }

    protected static NodeSettings Settings(string folder) =>
        new(folder, ["dotnet", VmmProcess.Program]) { StartLimit = Patience.Limit, QuitLimit = Patience.Limit };

    protected IActorRef StartNode(string folder) => StartNode(Settings(folder));

    protected IActorRef StartNode(NodeSettings settings) => Sys.ActorOf(ActorProps.Of(() => new NodeSupervisor(settings)));

    /// <summary>Ends the node's actors; the VMs go on.</summary>
    protected void StopNode(IActorRef node)
    {
        Watch(node);
        Sys.Stop(node);
        ExpectTerminated(node);
        Unwatch(node);
    }

    // One for all questions: each that is made gives the system's configuration another fallback, so that the next ones take longer.
    private TestProbe Probe => _probe ??= CreateTestProbe();

    /// <summary>An id that no other request of the test has.</summary>
    protected string NewId() => $"request-{++_requests}";

    /// <summary>Sends a request and waits for its end.</summary>
    protected RequestEnded Do(IActorRef node, IVmRequest request)
    {
        node.Tell(request, Probe);
        RequestEnded end = Probe.ExpectMsg<RequestEnded>();
        Assert.Equal((request.Vm, request.Id), (end.Vm, end.Id));
        return end;
    }

    protected VmReport ReportOf(IActorRef node, string vm)
    {
        node.Tell(new GetVmReport(vm), Probe);
        return Probe.ExpectMsg<VmReport>();
    }

    protected VmTimes TimesOf(IActorRef node, string vm)
    {
        node.Tell(new GetVmTimes(vm), Probe);
        return Probe.ExpectMsg<VmTimes>();
    }

    /// <summary>Waits until an agent reports a state.</summary>
    protected VmReport Await(IActorRef node, string vm, ProcessState state)
    {
        VmReport? report = null;
        Patience.Until(() => (report = ReportOf(node, vm)).State == state, $"{vm} is {state}");
        return report!;
    }

    protected override void AfterAll()
    {
        base.AfterAll();
        foreach (string folder in _folders)
        {
            LocalFleet.RemoveNodes(folder);
        }
    }
}
