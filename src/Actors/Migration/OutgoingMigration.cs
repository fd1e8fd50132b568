using Akka.Actor;
using Akka.Event;
using Vmm.Actors.Journals;
using Vmm.Actors.Protocol;
using Vmm.Actors.Snapshots;
using Vmm.Actors.Vcpu;
using Vmm.Actors.Vm;
using Vmm.Emulation.Migration;

namespace Vmm.Actors.Migration;

/// <summary>
/// One migration that leaves this process.
/// <code>
/// sending → (pre-switchover →) VM held, its state taken → rest sent → receiver ready →
/// journal: left → COMMIT → receiver runs → postmigrate
/// </code>
/// With postcopy the receiver runs sooner, and asks for the pages that it lacks; a link that is lost then is waited for.
/// Until the journal says that the guest has left, every failure, a lost link and a cancellation lead back: the guest goes on here. From
/// the moment at which COMMIT may have been sent, a lost link leaves it paused: nobody here knows whether it runs there.
/// </summary>
internal sealed class OutgoingMigration : HoldingActor
{
    private readonly IMigrationJournal _journal;
    private readonly string _product;
    private readonly MigrationProgress _progress;
    private readonly OutgoingLink _link;
    private readonly Guid _session = Guid.NewGuid();
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private readonly IActorRef _supervisor;
    private readonly IActorRef _requester;
    private readonly StartMigration _start;

    // A receiver goes on with the guest, and with what is counted of it. A file may have many readers.
    private readonly bool _continues;
    private MigrationSettings _settings;

    // Takes the place of the link after it was lost while the receiver lacked pages.
    private ResumedOutgoingLink? _resumed;

    // Why the link was cut on purpose; null while it was not.
    private string? _cut;
    private bool _cancelled;

    /// <param name="supervisor">Of the VM.</param>
    /// <param name="requester">Is answered when the migration has begun.</param>
    public OutgoingMigration(
        IVmMachine machine, IActorRef supervisor, IActorRef requester, StartMigration start, IMigrationEndpoint endpoint,
        MigrationSettings settings, IMigrationJournal journal, string product)
        : base(machine, supervisor)
    {
        _supervisor = supervisor;
        _requester = requester;
        _start = start;
        _continues = endpoint.HasReturnPath;
        _settings = settings;
        _journal = journal;
        _product = product;
        _progress = new MigrationProgress(Context.Parent, incoming: false, (long)machine.Ram.Size);
        var hello = new MigrationHello(product, _session, Resume: false, machine.Identity) { Channels = settings.Channels };
        _link = OutgoingLink.Of(Self, machine, endpoint, hello, settings);
        Claim("There's a migration process in progress", Begin);
    }

    protected override void PostStop() => CutLinks();

    private void CutLinks()
    {
        _link.Dispose();
        _resumed?.Dispose();
    }

    private void Begin()
    {
        _progress.Enter(MigrationStatus.Setup);
        _requester.Tell(new MigrationStarted(""));
        MigrationLink.Start(_link);
        Become(Sending);
        Stash.UnstashAll();
    }

    protected override void Queries()
    {
        Receive<GetMigration>(_ => Sender.Tell(Describe()));
        Receive<YankMigration>(_ =>
        {
            CutLinks();
            Sender.Tell(new MigrationCommandDone());
        });
        Receive<MigrationSettings>(settings =>
        {
            _settings = settings;
            _link.Change(settings);
        });
    }

    private void Sending()
    {
        Receive<LinkAccepted>(_ =>
        {
            _progress.EndSetup();
            _progress.Enter(MigrationStatus.Active);
        });
        Receive<PassBegan>(began =>
        {
            _progress.BeginPass(began.Pass, _link.Ram!);
            Context.System.EventStream.Publish(new MigrationPassed(began.Pass));
        });
        Receive<ThrottleWanted>(wanted => Throttle(wanted.Percent));
        Receive<StartPostcopy>(_ => _settings.Has(MigrationCapability.PostcopyRam), _ =>
        {
            _link.StartPostcopy();
            Sender.Tell(new MigrationCommandDone());
        });
        Receive<StopWanted>(_ =>
        {
            _progress.EndPasses(_link.Ram!);
            if (_settings.Has(MigrationCapability.PauseBeforeSwitchover))
            {
                Hold(VmRunState.FinishMigrate, from =>
                {
                    _progress.Enter(MigrationStatus.PreSwitchover);
                    Become(() => WaitingToSwitchOver(from));
                    Stash.UnstashAll();
                });
            }
            else
            {
                Hold(VmRunState.FinishMigrate, from =>
                {
                    _progress.Enter(MigrationStatus.Device);
                    SwitchOver(from);
                });
            }
        });
        Interruptible();
    }

    private void WaitingToSwitchOver(VmRunState from)
    {
        Receive<ContinueMigration>(go => go.State == MigrationStatus.PreSwitchover, _ =>
        {
            Sender.Tell(new MigrationCommandDone());
            _progress.Enter(MigrationStatus.Device);
            SwitchOver(from);
        });
        Interruptible();
    }

    private void SwitchOver(VmRunState from) => Collect(state =>
    {
        _link.Finish(_continues ? state.With(Machine.Meter.Read()) : state, running: from == VmRunState.Running);
        Become(SendingRest);
        Stash.UnstashAll();
    });

    private void SendingRest()
    {
        Receive<ReceiverReady>(_ => Write(new MigrationLeft($"{_session}", _start.Uri, Now), then: () =>
        {
            _link.Commit();
            Become(HandingOver);
            Stash.UnstashAll();
        }));
        Interruptible();
    }

    // While the guest is this side's for certain.
    private void Interruptible()
    {
        Receive<CancelMigration>(_ =>
        {
            Sender.Tell(new MigrationCommandDone());
            Cut("it was cancelled", cancelled: true);
        });
        Receive<LinkEnded>(ended => End(ended.Problem!));
        Receive<ContinueMigration>(_ => Sender.Tell(new VmCommandRejected(
            RejectionCode.WrongRunState, $"Migration not in expected state: {MigrationParameterTable.NameOf(_progress.Status)}")));
        Unsupported();
        Queries();
    }

    private void Unsupported()
    {
        Receive<StartPostcopy>(_ => Sender.Tell(new VmCommandRejected(
            RejectionCode.NotSupported, "Enable postcopy with migrate_set_capability before the start of migration")));
        Receive<PauseMigration>(_ => Sender.Tell(new VmCommandRejected(
            RejectionCode.WrongRunState, "migrate-pause is currently only supported during postcopy-active or postcopy-recover state")));
    }

    // COMMIT is on its way. Nothing that a person asks for can take it back.
    private void HandingOver()
    {
        Receive<CancelMigration>(_ => Sender.Tell(new MigrationCommandDone()));
        Receive<ContinueMigration>(_ => Sender.Tell(new MigrationCommandDone()));
        Receive<ReceiverRuns>(_ =>
        {
            _progress.Downtime = Machine.StoodStill;
            Write(new MigrationGone($"{_session}", Now), then: ServePages, otherwise: ServePages);
        });
        Receive<LinkEnded>(ended =>
        {
            if (ended.Problem == null)
            {
                _progress.Downtime = Machine.StoodStill;
                Write(new MigrationGone($"{_session}", Now), then: Complete, otherwise: Complete);
            }
            else if (ended.CommitSent)
            {
                string uncertain = $"the link was lost while the guest was handed over to {_start.Uri}: it may run there "
                    + $"({ended.Problem}); 'cont' lets it go on here";
                Release(new ReleaseVm(VmRunState.PostMigrate, uncertain));
                Finish(MigrationStatus.Failed, uncertain);
            }
            else
            {
                Write(new MigrationOwned(Now), then: () => End(ended.Problem), otherwise: () => End(ended.Problem));
            }
        });
        Unsupported();
        Queries();
    }

    // The guest runs at the receiver; its RAM is here, and nobody writes it.
    private void ServePages()
    {
        Release(new ReleaseVm(VmRunState.PostMigrate));
        BecomeServing(MigrationStatus.PostcopyActive);
    }

    private void BecomeServing(MigrationStatus status)
    {
        _progress.Enter(status);
        Become(() =>
        {
            Receive<PauseMigration>(_ =>
            {
                CutLinks();
                Sender.Tell(new MigrationCommandDone());
            });
            Receive<LinkAccepted>(_ => _progress.Enter(MigrationStatus.PostcopyRecover));
            Receive<LinkResumed>(_ => _progress.Enter(MigrationStatus.PostcopyActive));
            Receive<LinkEnded>(ended =>
            {
                if (ended.Problem == null)
                {
                    Finish(MigrationStatus.Completed, "");
                    return;
                }

                _progress.Enter(MigrationStatus.PostcopyPaused, ended.Problem);
                Become(WaitingForLink);
            });
            Receive<CancelMigration>(_ => RejectCancel());
            Receive<ResumeLink>(resume => Reject(resume.Requester, "Cannot resume if there is no paused migration"));
            Unsupported();
            Queries();
        });
        Stash.UnstashAll();
    }

    private void WaitingForLink()
    {
        Receive<ResumeLink>(resume =>
        {
            _resumed = MigrationLink.Start(new ResumedOutgoingLink(
                Self, Machine, resume.Endpoint, new MigrationHello(_product, _session, Resume: true, Machine.Identity),
                _link.PostcopyLimit));
            resume.Requester.Tell(new MigrationStarted(""));
            BecomeServing(MigrationStatus.PostcopyRecoverSetup);
        });
        Receive<CancelMigration>(_ => RejectCancel());
        Unsupported();
        Queries();
    }

    private void RejectCancel() => Reject(Sender, "Postcopy migration cannot be cancelled: the guest runs at the receiver");

    private static void Reject(IActorRef requester, string why) =>
        requester.Tell(new VmCommandRejected(RejectionCode.WrongRunState, why));

    private void Complete()
    {
        Release(new ReleaseVm(VmRunState.PostMigrate));
        Finish(MigrationStatus.Completed, "");
    }

    // `otherwise` is null where the guest must not be handed over without the entry.
    private void Write(IMigrationEvent happened, Action then, Action? otherwise = null) => RunTask(
        () =>
        {
            try
            {
                _journal.Append(happened);
                return null;
            }
            catch (JournalException e)
            {
                return e;
            }
        },
        failure =>
        {
            if (failure is not JournalException e)
            {
                then();
                return;
            }

            _log.Warning("{0}", e.Message);
            if (otherwise == null)
            {
                Cut(e.Message, cancelled: false);
            }
            else
            {
                otherwise();
            }
        });

    // Cuts the link, and waits until its thread has ended.
    private void Cut(string why, bool cancelled)
    {
        (_cut, _cancelled) = (why, cancelled);
        _progress.Enter(cancelled ? MigrationStatus.Cancelling : _progress.Status);
        _link.Dispose();
        Become(() =>
        {
            Receive<LinkEnded>(_ => End(_cut));
            Receive<CancelMigration>(_ => Sender.Tell(new MigrationCommandDone()));
            Unsupported();
            Queries();
        });
        Stash.UnstashAll();
    }

    // The guest goes on here.
    private void End(string problem)
    {
        Release(new ReleaseVm());
        Finish(_cancelled ? MigrationStatus.Cancelled : MigrationStatus.Failed, _cancelled ? "" : problem);
    }

    protected override void Abandon(VmCommandRejected why)
    {
        if (_progress.Status == MigrationStatus.None)
        {
            _requester.Tell(why);
            Leave(null);
            return;
        }

        Cut(why.Reason, cancelled: false);
    }

    protected override void Fail(Exception cause) => Cut($"{cause.GetType().Name}: {cause.Message}", cancelled: false);

    private void Throttle(int percent)
    {
        _progress.ThrottlePercent = percent;
        _supervisor.Tell(new ThrottleVcpus(percent));
    }

    private void Finish(MigrationStatus status, string problem)
    {
        if (_progress.ThrottlePercent > 0)
        {
            Throttle(0);
        }

        Disclaim();
        _progress.Enter(status, problem);
        Leave(Describe());
    }

    private void Leave(MigrationInfo? info)
    {
        Context.Parent.Tell(new MigrationOver(info));
        Become(() =>
        {
            Receive<CancelMigration>(_ => Sender.Tell(new MigrationCommandDone()));
            Receive<ContinueMigration>(go => Sender.Tell(new MigrationCommandDone()));
            Receive<ResumeLink>(resume => Reject(resume.Requester, "Cannot resume if there is no paused migration"));
            Unsupported();
            Queries();
        });
        Stash.UnstashAll();
    }

    private MigrationInfo Describe() => _progress.Describe(
        _link.Written, _resumed?.Left ?? _link.Left, _link.Ram?.ZeroPages ?? 0, _link.Ram?.NormalPages ?? 0,
        _link.Ram?.LinkBytesPerSecond ?? 0, _link.ExpectedMilliseconds, _link.Requested + (_resumed?.Requested ?? 0))
        with { MultifdBytes = _link.MultifdBytes, PrecopyBytes = _link.WrittenBefore, PostcopyBytes = _link.WrittenAfter };

    private static long Now => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
}
