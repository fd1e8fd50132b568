using Akka.Actor;
using Akka.Cluster;
using Akka.Cluster.Sharding;
using Akka.Cluster.Tools.Singleton;
using Akka.Configuration;
using Akka.Persistence.Query;
using Akka.Persistence.Sql.Query;
using Akka.Streams;
using Akka.Streams.Dsl;
using Serilog;
using Vmm.Actors.Hosting;
using Vmm.Fleet.Certificates;
using Vmm.Fleet.Fencing;
using Vmm.Fleet.Isolation;
using Vmm.Fleet.Ledger;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;
using Vmm.Fleet.Placement;
using Vmm.Fleet.Records;
using Vmm.Management.Text;

namespace Vmm.Fleet.Cluster;

/// <summary>
/// One node of the fleet: the cluster's actor system, the supervisor of the VMs of this machine, and the records of VMs, which the cluster
/// distributes. A node alone is a cluster of one, opens no port, and keeps its records in an SQLite file; several share PostgreSQL.
/// </summary>
public sealed class FleetNode : IVms, IAsyncDisposable
{
    private const string PlacementName = "placement";

    // Records are small; a tenth of the shards is what one of ten nodes has.
    private const int Shards = 100;

    // How long what has VMs may take to answer.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    // How long a node may take to say how it is.
    private static readonly TimeSpan s_nodePatience = TimeSpan.FromSeconds(5);

    // Nobody else has the folder.
    private readonly FileStream _lock;
    private readonly ActorSystem _system;
    private readonly Akka.Cluster.Cluster _cluster;
    private readonly IActorRef _supervisor;
    private readonly IActorRef _records;
    private readonly IActorRef _accounts;
    private readonly ClusterNodes _nodes;

    // All that the journal knows, which is read as a whole.
    private readonly SharedReading<IReadOnlyList<string>> _names;

    // Null for a node alone.
    private readonly LeaseKeeper? _leases;

    /// <summary>Starts the node. It can be asked at once, and answers when it has joined the cluster.</summary>
    /// <param name="name">The name of the node, by the rule for names of VMs.</param>
    /// <param name="settings">Where its VMs are.</param>
    /// <param name="more">Settings of Akka that come before ours, such as loggers.</param>
    /// <param name="cluster">How it is one of several; null for a node alone.</param>
    /// <param name="supervisor">
    /// The actor that has the VMs of this machine, and takes and answers what <see cref="NodeSupervisor"/> does; null for that.
    /// </param>
    /// <exception cref="NodeConfigException">
    /// The folder cannot be used, or another node has it, or a file that the configuration names is wrong: one line.
    /// </exception>
    public static FleetNode Start(
        string name, NodeSettings settings, Config more, ClusterConfig? cluster = null, Func<NodeSettings, Props>? supervisor = null)
    {
        FileStream? held = null;
        try
        {
            if (VmConfinement.FindGap(settings.Landlock) is { } gap)
            {
                Log.Warning("Processes of VMs reach all files that this node does: {Reason}", gap);
            }

            settings = settings with
            {
                User = settings.VmUser is { } user ? HostUser.Parse(user, settings.Landlock) : null,
                Cgroups = NodeCgroups.Open(settings.Cgroup),
            };
            ClusterLinks? links = cluster == null ? null : ClusterLinks.Read(name, cluster);
            held = Hold(settings.Folder);
            return new FleetNode(
                held, name, settings, more, cluster, links,
                supervisor ?? (own => ActorProps.Of(() => new NodeSupervisor(own))));
        }
        catch (NodeConfigException)
        {
            held?.Dispose();
            throw;
        }
    }

    private FleetNode(
        FileStream held, string name, NodeSettings settings, Config more, ClusterConfig? cluster, ClusterLinks? links,
        Func<NodeSettings, Props> supervisor)
    {
        _lock = held;
        settings = settings with { Name = name };
        if (links != null)
        {
            settings = settings with
            {
                Lease = MapLease(settings.Folder),
                Migration = links.WriteMigrationLink(Path.Combine(settings.Folder, "tls"), settings.User),
            };
            settings.User?.Share(settings.Lease.Path);
        }

        _system = links == null ? NodeSystem.Create(name, settings.Folder, more) : NodeSystem.Create(name, cluster!, links, more);
        _cluster = Akka.Cluster.Cluster.Get(_system);
        _names = new SharedReading<IReadOnlyList<string>>(ReadNamesAsync);
        if (links != null)
        {
            (string tls, HostUser? user) = (settings.Migration!.Folder, settings.User);
            _system.ActorOf(ActorProps.Of(() => new CertificateWatch(links, tls, user)), "certificates");
        }

        _supervisor = _system.ActorOf(supervisor(settings), ClusterNodes.SupervisorName);
        _leases = links == null ? null : new LeaseKeeper(
            new LeaseTable(links.Database), settings.Lease!, name, $"{Machine()}:{settings.Folder}", cluster!.Listen,
            new LeaseMember(_cluster, [.. cluster.Others.Where(seed => seed != cluster.Own)]));
        IActorRef placement = _system.ActorOf(
            ClusterSingletonProxy.Props($"/user/{PlacementName}", ClusterSingletonProxySettings.Create(_system)), "placement-proxy");
        _nodes = new ClusterNodes(_system, placement, _leases);
        ClusterNodes nodes = _nodes;
        _accounts = Shard("owner", owner => ActorProps.Of(() => new AccountEntity(owner)));
        IActorRef accounts = _accounts;
        _records = Shard("vm", vm => ActorProps.Of(() => new VmEntity(vm, nodes, accounts)));
        (IActorRef vms, IActorRef records) = (_supervisor, _records);
        _system.ActorOf(
            ClusterSingletonManager.Props(
                ActorProps.Of(() => new PlacementCoordinator(records, ClusterNodes.NameOf)), PoisonPill.Instance,
                ClusterSingletonManagerSettings.Create(_system)),
            PlacementName);
        _system.ActorOf(ActorProps.Of(() => new NodeReporter(name, vms, records, placement)), "reporter");
        _system.ActorOf(ActorProps.Of(() => new EventRelay(name, vms)), EventRelay.Name);
        var removed = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        _cluster.RegisterOnMemberRemoved(() => removed.TrySetResult("the others have removed it from the cluster"));
        Ended = EndAsync(removed.Task);
        if (cluster != null)
        {
            _ = JoinAsync(cluster);
        }
    }

    /// <summary>Completes with the reason when the node cannot go on. It is to be disposed, and its process to end.</summary>
    public Task<string> Ended { get; }

    /// <summary>Whether the node is a member of its cluster.</summary>
    public bool IsUp => _cluster.SelfMember.Status == MemberStatus.Up;

    /// <inheritdoc/>
    public Task<IFleetMessage> AskAsync(IVmRecordMessage message, CancellationToken stop) => FleetNames.IsVm(message.Vm)
        ? message is SetScaling ? EntityQuestion.AskOnceAsync(_records, message, stop)
            : EntityQuestion.AskAgainAsync(_records, message, stop)
        : Task.FromResult<IFleetMessage>(
            new VmRejected(message.Vm, VmRejectionCode.NotFound, $"there is no VM '{UserText.Legible(message.Vm)}'"));

    /// <summary>The answer of an owner's account: as the message says, or <see cref="VmRejected"/>.</summary>
    /// <exception cref="AskTimeoutException">There is none in time. Whether the request was kept is not known.</exception>
    public Task<IFleetMessage> AskAsync(IAccountMessage message, CancellationToken stop) =>
        message is ChangeQuota ? EntityQuestion.AskOnceAsync(_accounts, message, stop)
            : EntityQuestion.AskAgainAsync(_accounts, message, stop);

    /// <summary>What an owner has used from a day (UTC) to another, both of them included, by day and VM.</summary>
    /// <exception cref="AskTimeoutException">The account does not answer in time.</exception>
    public async Task<IReadOnlyList<DayUsage>> UsageAsync(string owner, DateOnly first, DateOnly last, CancellationToken stop)
    {
        var days = new List<DayUsage>();
        var ask = new GetUsage(owner, first, last);
        while (true)
        {
            var part = (AccountUsage)await AskAsync(ask, stop).ConfigureAwait(false);
            days.AddRange(part.Days);
            if (part.IsLast)
            {
                return days;
            }

            ask = ask with { First = days[^1].Day, AfterVm = days[^1].Vm };
        }
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<string>> ListAsync() => _names.ReadAsync();

    private async Task<IReadOnlyList<string>> ReadNamesAsync()
    {
        var journal = PersistenceQuery.Get(_system).ReadJournalFor<SqlReadJournal>(SqlReadJournal.Identifier);
        try
        {
            return [.. (await journal.CurrentPersistenceIds().RunWith(Sink.Seq<string>(), _system.Materializer()).ConfigureAwait(false))
                .Select(VmEntity.VmOf).OfType<string>()];
        }
        catch (Exception e)
        {
            // Of a connection that breaks there are many, some of them in others; the stream reads, and does nothing else.
            throw new RecordsException(e.GetBaseException());
        }
    }

    /// <summary>The nodes that are members, and what they say of themselves; without those that do not answer.</summary>
    public async Task<IReadOnlyList<NodeStatus>> NodesAsync(CancellationToken stop)
    {
        NodeStatus?[] all = await Task.WhenAll(
            _nodes.All.Select(node => AskAsync<NodeStatus>(node.Value, new GetNodeStatus(), s_nodePatience, stop)))
            .ConfigureAwait(false);
        return [.. all.OfType<NodeStatus>()];
    }

    /// <summary>Lets a node take VMs, or has those that it has moved elsewhere.</summary>
    /// <returns>Null if there is no such node now.</returns>
    public async Task<NodeStatus?> SetTakesVmsAsync(string node, bool takes, CancellationToken stop) =>
        _nodes.Find(node) is IActorRef supervisor
            ? await AskAsync<NodeStatus>(supervisor, new SetNodeTakesVms(takes), s_nodePatience, stop).ConfigureAwait(false) : null;

    /// <inheritdoc/>
    public async Task<T?> AskAsync<T>(string node, IVmQuery query, CancellationToken stop)
        where T : class, IFleetMessage => _nodes.Find(node) is IActorRef supervisor
            ? await AskAsync<T>(supervisor, query, s_patience, stop).ConfigureAwait(false) : null;

    private static async Task<T?> AskAsync<T>(IActorRef node, IFleetMessage question, TimeSpan patience, CancellationToken stop)
        where T : class, IFleetMessage
    {
        try
        {
            return await node.Ask<T>(question, patience, stop).ConfigureAwait(false);
        }
        catch (AskTimeoutException)
        {
            return null;
        }
    }

    /// <inheritdoc/>
    public Task<NodeReport> ReportAsync(CancellationToken stop) =>
        _supervisor.Ask<NodeReport>(new GetNodeReport(), s_patience, stop);

    /// <inheritdoc/>
    public IDisposable Subscribe(Action<IFleetMessage> happened)
    {
        IActorRef listener = _system.ActorOf(ActorProps.Of(() => new Listener(happened)));

        // Before the caller goes on: what happens from here on is told.
        foreach (Type told in (Type[])[typeof(VmReport), typeof(VmOperation), typeof(VmScaled), typeof(VmTimes)])
        {
            _system.EventStream.Subscribe(listener, told);
        }

        return new Subscription(() => _system.Stop(listener));
    }

    /// <inheritdoc/>
    public IDisposable Follow(Action<IFleetMessage> happened)
    {
        ClusterNodes nodes = _nodes;
        IActorRef follower = _system.ActorOf(ActorProps.Of(() => new EventFollower(nodes, happened)));
        return new Subscription(() => _system.Stop(follower));
    }

    /// <summary>Leaves the cluster. The VMs go on.</summary>
    public async ValueTask DisposeAsync()
    {
        await CoordinatedShutdown.Get(_system).Run(CoordinatedShutdown.ActorSystemTerminateReason.Instance).ConfigureAwait(false);
        _leases?.Dispose();
        await _lock.DisposeAsync().ConfigureAwait(false);
    }

    private IActorRef Shard(string kind, Func<string, Props> make)
    {
        var sharding = ClusterSharding.Get(_system);
        var settings = ClusterShardingSettings.Create(_system);
        return sharding.Start(
            kind, make, settings, new ByName(), sharding.DefaultShardAllocationStrategy(settings), EndEntity.Instance);
    }

    private async Task<string> EndAsync(Task<string> removed)
    {
        async Task<string> TerminatedAsync()
        {
            await _system.WhenTerminated.ConfigureAwait(false);
            return "its actor system has ended";
        }

        Task<string> first = await Task.WhenAny([removed, TerminatedAsync(), .. _leases is { } leases ? [leases.Lost] : (Task<string>[])[]])
            .ConfigureAwait(false);
        return await first.ConfigureAwait(false);
    }

    // The VMs that run here may run on from here; then the node joins.
    private async Task JoinAsync(ClusterConfig cluster)
    {
        LeaseKeeper.Founding founding = await _leases!.Held.ConfigureAwait(false);
        if (founding.IsFounder)
        {
            _cluster.Join(_cluster.SelfAddress);
            return;
        }

        _cluster.JoinSeedNodes(NodeSystem.Addresses(
            founding.Address is { } founder ? [.. cluster.Others, ClusterConfig.Parse(founder)] : cluster.Others)
            .Where(address => address != _cluster.SelfAddress).Distinct());
    }

    // machine-id(5), where there is one: names of machines may come twice.
    private static string Machine()
    {
        const string File = "/etc/machine-id";
        return System.IO.File.Exists(File) && System.IO.File.ReadAllText(File).Trim() is { Length: > 0 } id ? id : Environment.MachineName;
    }

    private static NodeLease MapLease(string folder)
    {
        try
        {
            return new NodeLease(Path.Combine(folder, "deadline"));
        }
        catch (IOException e)
        {
            throw new NodeConfigException(e.Message);
        }
    }

    private static FileStream Hold(string folder)
    {
        try
        {
            // The memory of guests is in their snapshots.
            PrivateFile.MakeFolder(folder);
            return new FileStream(Path.Combine(folder, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NodeConfigException($"cannot use the folder '{folder}', or another node has it: {SystemError.Describe(e)}");
        }
    }

    private sealed class Subscription(Action end) : IDisposable
    {
        public void Dispose() => end();
    }

    private sealed class Listener : MessageActor
    {
        public Listener(Action<IFleetMessage> happened) => Receive(happened);

        protected override void PostStop() => Context.System.EventStream.Unsubscribe(Self);
    }

    /// <summary>Which record or account a message is for, and in which shard that is.</summary>
    private sealed class ByName() : HashCodeMessageExtractor(Shards)
    {
        public override string? EntityId(object message) => (message as IVmRecordMessage)?.Vm ?? (message as IAccountMessage)?.Owner;

        public override object EntityMessage(object message) => message;
    }
}
