using Akka.Actor;
using Akka.Event;
using Vmm.Actors.Hosting;
using Vmm.Actors.Journals;
using Vmm.Actors.Protocol;
using Vmm.Actors.Snapshots;
using Vmm.Actors.Vm;

namespace Vmm.Actors.Migration;

/// <summary>
/// Keeps the settings of migrations, makes an actor for each migration (<see cref="OutgoingMigration"/>, <see cref="IncomingMigration"/>),
/// one at a time, and remembers how the last one ended. The journal says who owns the guest.
/// </summary>
internal sealed class MigrationCoordinator : MessageActor
{
    private static readonly MigrationInfo s_none =
        new(MigrationStatus.None, false, "", "", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, [], []);

    private readonly IVmMachine _machine;
    private readonly IMigrationTransport? _transport;
    private readonly IMigrationJournal _journal;
    private readonly TimeSpan _helloTimeout;
    private readonly string _product;
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private MigrationSettings _settings = MigrationSettings.Default;

    // Nobody while no migration is under way.
    private IActorRef _current = ActorRefs.Nobody;
    private bool _incoming;
    private MigrationInfo _last = s_none;
    private DirtyRate _rate = new(false, 0, 0, 0);
    private VmRunState _runState;

    /// <param name="transport">What addresses mean; null for a VM that cannot migrate.</param>
    /// <param name="runState">Of the VM; the supervisor tells of each later one (<see cref="VmStatus"/>).</param>
    /// <param name="helloTimeout">How long whoever connects to a receiver has to say what it is.</param>
    /// <param name="product">The version of the program.</param>
    public MigrationCoordinator(
        IVmMachine machine, IMigrationTransport? transport, IMigrationJournal journal, VmRunState runState, TimeSpan helloTimeout,
        string product)
    {
        _machine = machine;
        _transport = transport;
        _journal = journal;
        _runState = runState;
        _helloTimeout = helloTimeout;
        _product = product;
        Receive<StartMigration>(Start);
        Receive<ReceiveMigration>(Listen);
        Receive<RecoverMigration>(recover => Resume(
            incoming: true, recover.Uri, "Migrate recover can only be run when postcopy is paused."));
        Receive<CancelMigration>(cancel => ToCurrent(cancel, new MigrationCommandDone()));
        Receive<ContinueMigration>(go => ToCurrent(go, NotUnderWay));
        Receive<PauseMigration>(pause => ToCurrent(pause, new VmCommandRejected(
            RejectionCode.WrongRunState, "migrate-pause is currently only supported during postcopy-active or postcopy-recover state")));
        Receive<YankMigration>(yank => ToCurrent(yank, new VmCommandRejected(RejectionCode.DeviceNotFound, "Instance not found")));
        Receive<StartPostcopy>(post => ToCurrent(post, new VmCommandRejected(
            RejectionCode.WrongRunState, "Enable postcopy with migrate_set_capability before the start of migration")));
        Receive<SetMigrationCapabilities>(set =>
        {
            if (!_current.IsNobody())
            {
                Reject(RejectionCode.InProgress, UnderWay);
                return;
            }

            Change(_settings.With(set, out string? refusal), refusal);
            Context.System.EventStream.Publish(_settings.Describe());
        });
        Receive<SetMigrationParameters>(set => Change(_settings.With(set, out string? refusal), refusal));
        Receive<GetMigrationCapabilities>(_ => Sender.Tell(_settings.Describe()));
        Receive<GetMigrationParameters>(_ => Sender.Tell(_settings.DescribeParameters()));
        Receive<MeasureDirtyRate>(Measure);
        Receive<GetDirtyRate>(_ => Sender.Tell(_rate));
        Receive<DirtyRate>(rate => _rate = rate);
        Receive<GetMigration>(get => ToCurrent(get, _last));
        Receive<MigrationAdvanced>(advanced => Context.System.EventStream.Publish(new MigrationChanged(advanced.Status)));
        Receive<MigrationOver>(over =>
        {
            _last = over.Info ?? _last;

            // What failed to come here is told by the program that waits for it.
            if (over.Info is { Problem.Length: > 0, Incoming: false })
            {
                _log.Warning("The migration failed: {0}", over.Info.Problem);
            }

            // After what was forwarded to it.
            _current.Tell(PoisonPill.Instance);
            _current = ActorRefs.Nobody;
        });
        Receive<VmStatus>(Note);
    }

    private const string UnderWay = "There's a migration process in progress";

    private VmCommandRejected NotUnderWay => new(
        RejectionCode.WrongRunState, $"Migration not in expected state: {MigrationParameterTable.NameOf(_last.Status)}");

    // A defect of a migration is one of the VM's.
    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(_ => Directive.Escalate);

    private void Start(StartMigration start)
    {
        if (start.Resume)
        {
            Resume(incoming: false, start.Uri, "Cannot resume if there is no paused migration");
        }
        else if (VmState.BlockerOf(_machine) is { } blocker)
        {
            Reject(RejectionCode.InvalidState, blocker);
        }
        else if (Open(start.Uri) is { } endpoint)
        {
            Make(incoming: false, (vm, requester) => new OutgoingMigration(
                _machine, vm, requester, start, endpoint, _settings, _journal, _product));
        }
    }

    private void Listen(ReceiveMigration receive)
    {
        if (_runState != VmRunState.InMigrate)
        {
            Reject(RejectionCode.WrongRunState, "'-incoming' was not specified on the command line");
        }
        else if (Open(receive.Uri) is { } endpoint)
        {
            Make(incoming: true, (vm, requester) => new IncomingMigration(
                _machine, vm, requester, endpoint, _settings, _journal, _helloTimeout));
        }
    }

    private void Measure(MeasureDirtyRate measure)
    {
        if (_rate.Measuring)
        {
            Reject(RejectionCode.InProgress, "the dirty rate is already being measured");
        }
        else if (measure.Milliseconds is < DirtyRateMeter.Shortest or > DirtyRateMeter.Longest)
        {
            Reject(RejectionCode.InvalidArgument,
                $"calc-time is out of range: from {DirtyRateMeter.Shortest} to {DirtyRateMeter.Longest} milliseconds");
        }
        else
        {
            (IActorRef requester, IActorRef vm) = (Sender, Context.Parent);
            Context.ActorOf(ActorProps.Of(() => new DirtyRateMeter(_machine, vm, requester, measure.Milliseconds)));
        }
    }

    private void Resume(bool incoming, string uri, string notPaused)
    {
        if (_current.IsNobody() || incoming != _incoming)
        {
            Reject(RejectionCode.WrongRunState, notPaused);
        }
        else if (Parse(uri) is { } endpoint)
        {
            _current.Tell(new ResumeLink(endpoint, Sender));
        }
    }

    private IMigrationEndpoint? Open(string uri)
    {
        if (!_current.IsNobody())
        {
            Reject(RejectionCode.InProgress, UnderWay);
            return null;
        }

        if (Parse(uri) is not { } endpoint)
        {
            return null;
        }

        if (_settings.RefusalOf(endpoint) is { } refusal)
        {
            Reject(RejectionCode.InvalidArgument, refusal);
            return null;
        }

        return endpoint;
    }

    private IMigrationEndpoint? Parse(string uri)
    {
        if (_transport == null)
        {
            Reject(RejectionCode.NotSupported, "this VM cannot migrate");
            return null;
        }

        try
        {
            return _transport.Parse(
                uri, _settings.Text(MigrationParameter.TlsCreds), _settings.Text(MigrationParameter.TlsHostname),
                _settings.Text(MigrationParameter.TlsAuthz));
        }
        catch (FormatException e)
        {
            Reject(RejectionCode.InvalidArgument, e.Message);
            return null;
        }
    }

    // The actor is made in a context of its own, so it is given the supervisor and who asks.
    private void Make<T>(bool incoming, Func<IActorRef, IActorRef, T> make)
        where T : MessageActor
    {
        (IActorRef vm, IActorRef requester) = (Context.Parent, Sender);
        _incoming = incoming;
        _current = Context.ActorOf(ActorProps.Of(() => make(vm, requester)));
    }

    private void ToCurrent(IProtocolMessage message, IProtocolMessage without)
    {
        if (_current.IsNobody())
        {
            Sender.Tell(without);
        }
        else
        {
            _current.Forward(message);
        }
    }

    private void Change(MigrationSettings settings, string? refusal)
    {
        if (refusal != null)
        {
            Reject(RejectionCode.InvalidArgument, refusal);
            return;
        }

        _settings = settings;
        _current.Tell(settings);
        Sender.Tell(new MigrationCommandDone());
    }

    // A person has let a guest go on that had been handed over, or has started one in its place.
    private void Note(VmStatus status)
    {
        _runState = status.RunState;
        if (_incoming)
        {
            _current.Tell(status);
        }

        if (status.RunState == VmRunState.Running && _current.IsNobody() && _journal.Elsewhere() != null)
        {
            try
            {
                _journal.Append(new MigrationOwned(DateTimeOffset.UtcNow.ToUnixTimeMilliseconds()));
            }
            catch (JournalException e)
            {
                _log.Warning("{0}", e.Message);
            }
        }
    }

    private void Reject(RejectionCode code, string reason) => Sender.Tell(new VmCommandRejected(code, reason));
}
