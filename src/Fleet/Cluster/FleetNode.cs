using Akka.Actor;
using Akka.Cluster.Sharding;
using Akka.Configuration;
using Akka.Persistence.Query;
using Akka.Persistence.Sql.Query;
using Akka.Streams;
using Akka.Streams.Dsl;
using Vmm.Actors.Hosting;
using Vmm.Fleet.Ledger;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;
using Vmm.Fleet.Records;
using Vmm.Management.Text;

namespace Vmm.Fleet.Cluster;

/// <summary>
/// One node of the fleet: the cluster's actor system, the supervisor of the VMs of this machine, and the records of VMs, which the cluster
/// distributes. A node alone is a cluster of one, opens no port, and keeps its records in an SQLite file.
/// </summary>
public sealed class FleetNode : IAsyncDisposable
{
    private const string SystemName = "fleet";
    private const string DatabaseName = "records.db";

    // Records are small; a tenth of the shards is what one of ten nodes has.
    private const int Shards = 100;

    // How long a question to a record may take: it writes to its database before it answers.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    // Nobody else has the folder.
    private readonly FileStream _lock;
    private readonly ActorSystem _system;
    private readonly IActorRef _supervisor;
    private readonly IActorRef _records;
    private readonly IActorRef _accounts;

    private FleetNode(FileStream held, ActorSystem system, IActorRef supervisor, IActorRef records, IActorRef accounts) =>
        (_lock, _system, _supervisor, _records, _accounts) = (held, system, supervisor, records, accounts);

    /// <summary>Starts the node. It can be asked at once, and answers when it has joined the cluster.</summary>
    /// <param name="name">The name of the node, by the rule for names of VMs.</param>
    /// <param name="settings">Where its VMs are.</param>
    /// <param name="more">Settings of Akka that come before ours, such as loggers.</param>
    /// <exception cref="NodeConfigException">The folder cannot be used, or another node has it.</exception>
    public static FleetNode Start(string name, NodeSettings settings, Config more)
    {
        FileStream held = Hold(settings.Folder);
        var system = ActorSystem.Create(SystemName, more.WithFallback(Configuration(name, settings.Folder)));
        var nodes = new ClusterNodes(system);
        IActorRef supervisor = system.ActorOf(
            ActorProps.Of(() => new NodeSupervisor(settings)), ClusterNodes.SupervisorName);
        IActorRef accounts = ClusterSharding.Get(system).Start(
            "owner", owner => ActorProps.Of(() => new AccountEntity(owner)), ClusterShardingSettings.Create(system), new ByName());
        IActorRef records = ClusterSharding.Get(system).Start(
            "vm", vm => ActorProps.Of(() => new VmEntity(vm, nodes, accounts)), ClusterShardingSettings.Create(system), new ByName());
        system.ActorOf(ActorProps.Of(() => new NodeReporter(name, supervisor, records)), "reporter");
        return new FleetNode(held, system, supervisor, records, accounts);
    }

    /// <summary>Whether the node is a member of its cluster.</summary>
    public bool IsUp => Akka.Cluster.Cluster.Get(_system).SelfMember.Status == Akka.Cluster.MemberStatus.Up;

    /// <summary>The answer of the record of a VM: <see cref="VmRecord"/>, <see cref="VmOperation"/> or <see cref="VmRejected"/>.</summary>
    /// <exception cref="AskTimeoutException">There is none in time. Whether the request was kept is not known.</exception>
    public Task<IFleetMessage> AskAsync(IVmRecordMessage message, CancellationToken stop) =>
        _records.Ask<IFleetMessage>(message, s_patience, stop);

    /// <summary>The answer of an owner's account: as the message says, or <see cref="VmRejected"/>.</summary>
    /// <exception cref="AskTimeoutException">There is none in time. Whether the request was kept is not known.</exception>
    public Task<IFleetMessage> AskAsync(IAccountMessage message, CancellationToken stop) =>
        _accounts.Ask<IFleetMessage>(message, s_patience, stop);

    /// <summary>The names of all VMs that there are or have been.</summary>
    public async Task<IReadOnlyList<string>> ListAsync()
    {
        var journal = PersistenceQuery.Get(_system).ReadJournalFor<SqlReadJournal>(SqlReadJournal.Identifier);
        return [.. (await journal.CurrentPersistenceIds().RunWith(Sink.Seq<string>(), _system.Materializer()).ConfigureAwait(false))
            .Select(VmEntity.VmOf).OfType<string>()];
    }

    /// <summary>What this node sees of its VMs.</summary>
    public Task<NodeReport> ReportAsync(CancellationToken stop) =>
        _supervisor.Ask<NodeReport>(new GetNodeReport(), s_patience, stop);

    /// <summary>
    /// Has what this node sees of its VMs told, each change at once: <see cref="VmReport"/>, and <see cref="VmScaled"/>.
    /// </summary>
    /// <param name="happened">Takes them, in order; it does not wait.</param>
    /// <returns>What ends it when it is disposed.</returns>
    public IDisposable Subscribe(Action<IFleetMessage> happened)
    {
        IActorRef listener = _system.ActorOf(ActorProps.Of(() => new Listener(happened)));
        return new Subscription(() => _system.Stop(listener));
    }

    /// <summary>Leaves the cluster. The VMs go on.</summary>
    public async ValueTask DisposeAsync()
    {
        await CoordinatedShutdown.Get(_system).Run(CoordinatedShutdown.ActorSystemTerminateReason.Instance).ConfigureAwait(false);
        await _lock.DisposeAsync().ConfigureAwait(false);
    }

    private static FileStream Hold(string folder)
    {
        try
        {
            Directory.CreateDirectory(folder);
            return new FileStream(Path.Combine(folder, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NodeConfigException($"cannot use the folder '{folder}', or another node has it: {SystemError.Describe(e)}");
        }
    }

    private static Config Configuration(string name, string folder) => ConfigurationFactory.ParseString(
        $$"""
        akka.cluster {
          roles = ["{{ClusterNodes.RoleOf(name)}}"]
          seed-nodes = ["akka.test://{{SystemName}}@{{name}}:1"]
        }
        akka.remote.test {
          registry-key = "{{name}}-{{Guid.NewGuid():N}}"
          local-address = "test://{{SystemName}}@{{name}}:1"
        }
        akka.persistence {
          journal.sql.connection-string = "Data Source={{Quoted(Path.Combine(folder, DatabaseName))}}"
          query.journal.sql.connection-string = "Data Source={{Quoted(Path.Combine(folder, DatabaseName))}}"
          snapshot-store.sql.connection-string = "Data Source={{Quoted(Path.Combine(folder, DatabaseName))}}"
        }
        """)
        .WithFallback(ConfigurationFactory.FromResource("fleet.conf", typeof(FleetNode).Assembly))
        .WithFallback(Akka.Persistence.Sql.SqlPersistence.DefaultConfiguration);

    // For a string of HOCON.
    private static string Quoted(string text) =>
        text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal);

    private sealed class Subscription(Action end) : IDisposable
    {
        public void Dispose() => end();
    }

    private sealed class Listener : MessageActor
    {
        public Listener(Action<IFleetMessage> happened) => Receive(happened);

        protected override void PreStart()
        {
            Context.System.EventStream.Subscribe(Self, typeof(VmReport));
            Context.System.EventStream.Subscribe(Self, typeof(VmScaled));
        }

        protected override void PostStop() => Context.System.EventStream.Unsubscribe(Self);
    }

    /// <summary>Which record or account a message is for, and in which shard that is.</summary>
    private sealed class ByName() : HashCodeMessageExtractor(Shards)
    {
        public override string? EntityId(object message) => (message as IVmRecordMessage)?.Vm ?? (message as IAccountMessage)?.Owner;

        public override object EntityMessage(object message) => message;
    }
}
