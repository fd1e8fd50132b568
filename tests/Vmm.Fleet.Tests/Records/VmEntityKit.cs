using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Configuration;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using Vmm.Actors.Hosting;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Records;

namespace Vmm.Fleet.Tests.Records;

/// <summary>The record of a VM, with nodes that the test answers for.</summary>
public abstract class VmEntityKit : TestKit
{
    protected const string Vm = "vm1";

    /// <summary>A quota with which the account does not answer.</summary>
    protected const int Silent = -1;

    private readonly Dictionary<string, TestProbe> _nodes;

    // Nodes that are not there. The actor looks, too.
    private readonly ConcurrentDictionary<string, bool> _lost = new(StringComparer.Ordinal);

    // What each node has told last. The probes read it, too.
    private readonly ConcurrentDictionary<string, VmReport> _told = new(StringComparer.Ordinal);

    protected static VmSpec Spec { get; } = new(1, 4, 64 << 20, "max", "/boot/image", "", "", "", []);

    protected IReadOnlyDictionary<string, TestProbe> Nodes => _nodes;

    protected TestProbe Client { get; }

    protected IActorRef Entity { get; private set; }

    /// <summary>What the nodes say of the VM's times: each is asked again and again.</summary>
    private protected VmTimes Times { get; set; } = new(Vm, [], [], []);

    /// <summary>How many CPUs the owner may have.</summary>
    protected int Quota { get; set; } = int.MaxValue;

    /// <summary>What the account was asked for. The actor adds, too.</summary>
    protected ConcurrentQueue<AskCpus> Asked { get; } = new();

    /// <summary>Where the placement was told that the VM is. The actor adds, too.</summary>
    protected ConcurrentQueue<VmLocated> Located { get; } = new();

    /// <param name="more">Settings of Akka that come before the usual ones.</param>
    protected VmEntityKit(string more = "")
        : base(ConfigurationFactory.ParseString(more).WithFallback(Patience.Akka))
    {
        _nodes = new[] { "node1", "node2" }.ToDictionary(n => n, n => NodeProbe(n));
        Client = CreateTestProbe("client");
        Entity = StartEntity();
    }

    private TestProbe NodeProbe(string name)
    {
        TestProbe probe = CreateTestProbe(name);
        probe.SetAutoPilot(new DelegateAutoPilot((sender, message) =>
        {
            if (message is GetVmTimes)
            {
                sender.Tell(Times);
            }
            else if (message is GetVmReport)
            {
                sender.Tell(_told.GetValueOrDefault(name) ?? new VmReport(Vm, ProcessState.Stopped, "", 0, 0), probe);
            }

            return AutoPilot.KeepRunning;
        }));
        probe.IgnoreMessages(message => message is IVmQuery or GetVmReport);
        return probe;
    }

    private sealed class FakeNodes(
        Dictionary<string, TestProbe> nodes, ConcurrentDictionary<string, bool> lost, ConcurrentQueue<VmLocated> located) : INodes
    {
        public ICanTell? Find(string node) => lost.ContainsKey(node) ? null : nodes.GetValueOrDefault(node)?.Ref;

        public Task<bool> TryFenceAsync(string node) => Task.FromResult(lost.GetValueOrDefault(node));

        public Task<VmPlaced> PlaceAsync(PlaceVm vm) => Task.FromResult(new VmPlaced(vm.Vm, "node2", ""));

        public void Tell(VmLocated where) => located.Enqueue(where);
    }

    // The account of an owner.
    private sealed class Accounts : MessageActor
    {
        public Accounts(Func<int> quota, ConcurrentQueue<AskCpus> asked)
        {
            Receive<AskCpus>(ask =>
            {
                asked.Enqueue(ask);
                if (quota() != Silent)
                {
                    Sender.Tell(new CpusAnswered(
                        ask.Vm, ask.Id, Math.Min(ask.Cpus, quota()), ask.Cpus > quota() ? "it would be over quota" : ""));
                }
            });
            Receive<CountMeter>(count => Sender.Tell(new MeterCounted(count.Vm, count.Meter, quota())));
        }
    }

    private IActorRef StartEntity()
    {
        var nodes = new FakeNodes(_nodes, _lost, Located);
        IActorRef accounts = Sys.ActorOf(ActorProps.Of(() => new Accounts(() => Quota, Asked)));
        return Sys.ActorOf(ActorProps.Of(() => new VmEntity(Vm, nodes, accounts)));
    }

    /// <summary>A node is not there.</summary>
    /// <param name="isFenced">Whether nothing of it runs any more.</param>
    protected void Lose(string node, bool isFenced = true) => _lost[node] = isFenced;

    // As after the end of its node: it recovers from what was kept.
    protected void RestartEntity()
    {
        Watch(Entity);
        Sys.Stop(Entity);
        ExpectTerminated(Entity);
        Entity = StartEntity();
    }

    protected T Ask<T>(IVmRecordMessage message)
    {
        Entity.Tell(message, Client);
        return Client.ExpectMsg<T>();
    }

    protected void Create(FailurePolicy policy = FailurePolicy.Leave) =>
        Assert.True(Ask<VmOperation>(new CreateVm(Vm, "create", "alice", "node1", policy, Spec)).IsDone);

    protected VmOperation Begin(string id, VmAction action, int number = 0, string text = "") =>
        Ask<VmOperation>(new CommandVm(Vm, id, action, number, text));

    protected void End(string node, IVmRequest request, RequestOutcome outcome = RequestOutcome.Done, string detail = "") =>
        Entity.Tell(new RequestEnded(Vm, request.Id, outcome, detail, []), Nodes[node]);

    protected VmOperation Await(string id)
    {
        VmOperation? operation = null;
        Patience.Until(() => (operation = Ask<VmOperation>(new GetOperation(Vm, id))).IsDone, $"{id} is done");
        return operation!;
    }

    protected void See(string node, ProcessState state, int process = 0, int cpus = 1)
    {
        _told[node] = new VmReport(Vm, state, "", process, process == 0 ? 0 : cpus);
        Entity.Tell(new VmSeen(Vm, node, _told[node]), Nodes[node]);
    }
}
