using System.Diagnostics;
using Akka.Actor;
using Akka.Event;
using Vmm.Actors.Journals;
using Vmm.Actors.Protocol;
using Vmm.Actors.Snapshots;
using Vmm.Actors.Vcpu;
using Vmm.Actors.Vm;
using Vmm.Emulation.State;

namespace Vmm.Actors.Migration;

/// <summary>
/// One migration that comes to this process, from the moment at which somebody can connect.
/// <code>
/// listening → VM held, RAM comes → all is here: VM given the guest's state → journal: arrived → READY → COMMIT: the guest runs → RUNNING
/// </code>
/// A link that is lost before READY leaves the VM waiting for a migration. One that is lost after it leaves the guest paused: nobody here
/// knows whether it goes on there.
/// </summary>
internal sealed class IncomingMigration : HoldingActor
{
    private readonly IMigrationEndpoint _endpoint;
    private readonly IMigrationJournal _journal;
    private readonly TimeSpan _helloTimeout;
    private readonly MigrationProgress _progress;
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private readonly IActorRef _supervisor;
    private readonly IActorRef _requester;
    private readonly MigrationSettings _settings;
    private IncomingLink? _link;
    private GuestArrived? _guest;

    // What the sender has counted of the vCPUs; null when nothing came.
    private VcpuReading? _times;

    // The link has been told that the guest cannot go on here: it ends, and a guest that arrives meanwhile is not taken.
    private bool _refused;

    // Takes the place of the link after it was lost while pages were missing.
    private ResumedIncomingLink? _resumed;

    /// <param name="supervisor">Of the VM.</param>
    /// <param name="requester">Is answered when somebody can connect.</param>
    /// <param name="helloTimeout">How long whoever connects has to say what it is.</param>
    public IncomingMigration(
        IVmMachine machine, IActorRef supervisor, IActorRef requester, IMigrationEndpoint endpoint, MigrationSettings settings,
        IMigrationJournal journal, TimeSpan helloTimeout)
        : base(machine, supervisor)
    {
        _supervisor = supervisor;
        _requester = requester;
        _settings = settings;
        _endpoint = endpoint;
        _journal = journal;
        _helloTimeout = helloTimeout;
        _progress = new MigrationProgress(Context.Parent, incoming: true, (long)machine.Ram.Size);
        Claim("There's a migration process in progress", Listen);
    }

    protected override void PostStop() => CutLinks();

    private void CutLinks()
    {
        _link?.Dispose();
        _resumed?.Dispose();
    }

    private void Listen()
    {
        IMigrationListener listener;
        try
        {
            listener = _endpoint.Listen();
        }
        catch (IOException e)
        {
            _requester.Tell(new VmCommandRejected(RejectionCode.InvalidArgument, e.Message));
            Disclaim();
            Leave(null);
            return;
        }

        _progress.Address = listener.Address;
        _progress.Enter(MigrationStatus.Setup);
        _requester.Tell(new MigrationStarted(listener.Address));
        _link = MigrationLink.Start(IncomingLink.Of(Self, Machine, _endpoint, listener, _settings, _helloTimeout));
        Become(Receiving);
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
    }

    private void Receiving()
    {
        Receive<SenderFits>(_ =>
        {
            _progress.EndSetup();
            _progress.Enter(MigrationStatus.Active);

            // What can be done before the guest stands still at the sender, is.
            Hold(VmRunState.InMigrate, _ => Freeze(_ =>
            {
                Become(Receiving);
                Stash.UnstashAll();
            }));
        });

        // A part of the VM has failed while it was held.
        Receive<VmCommandRejected>(Abandon);
        Receive<GuestArrived>(_ => !_refused, Take);
        Receive<LinkEnded>(ended =>
        {
            Release(new ReleaseVm());
            Finish(MigrationStatus.Failed, ended.Problem!);

            // What this sender wrote is garbage of tens of MiB. Left to itself it would add up over senders that fail one after another.
            GC.Collect();
        });
        Commands();
    }

    private void Take(GuestArrived guest)
    {
        _guest = guest;
        LoadableVm state;
        try
        {
            state = LoadableVm.Of(Machine, guest.Units);
            _times = state.Times;
        }
        catch (StateException e)
        {
            Refuse(e.Message);
            return;
        }

        void LoadRam()
        {
            guest.File?.LoadRam(Machine.Ram);
            if (guest.Missing != null)
            {
                Machine.MissingPages.Start(guest.Missing.Words);
            }
        }

        Machine.TraceStep("the state is right");
        Give(state, LoadRam, () => RunTask(
            () =>
            {
                _journal.Append(new MigrationArrived($"{guest.Session}", Now));
                return null;
            },
            _ =>
            {
                _link!.Answer(null);
                Become(Waiting);
                Stash.UnstashAll();
            }));
    }

    // Waits for the sender's word.
    private void Waiting()
    {
        Receive<GuestHandedOver>(HandOver);
        Receive<LinkEnded>(ended => LeavePaused($"the link was lost before the guest was handed over: it may run at the sender "
            + $"({ended.Problem}); 'cont' lets it go on here"));
        Commands();
    }

    private void HandOver(GuestHandedOver over)
    {
        if (_guest!.Running)
        {
            TimeSpan stoodStill = over.StoodStill + Stopwatch.GetElapsedTime(over.HeardAt);
            if (over.StoodStill > TimeSpan.Zero)
            {
                Machine.AdvanceClock(stoodStill);
            }

            _progress.Downtime = stoodStill;
        }

        if (_times != null)
        {
            Machine.Meter.Continue(_times);
        }

        Release(new ReleaseVm(_guest.Running ? VmRunState.Running : VmRunState.Paused));
        RunTask(
            () =>
            {
                _journal.Append(new MigrationOwned(Now));
                return null;
            },
            _ =>
            {
                Confirm();
            });
    }

    private void Confirm()
    {
        _link!.ConfirmRunning();
        if (_guest!.File is { } file)
        {
            _supervisor.Tell(new FollowLoad(file));
        }

        if (_guest!.Missing != null)
        {
            BecomeReceiving(MigrationStatus.PostcopyActive);
            return;
        }

        // The guest is here, whether or not the sender hears of it.
        Become(() =>
        {
            Receive<LinkEnded>(_ => Finish(MigrationStatus.Completed, ""));
            Commands();
        });
        Stash.UnstashAll();
    }

    // The guest runs, and lacks pages.
    private void BecomeReceiving(MigrationStatus status)
    {
        _progress.Enter(status);
        Become(() =>
        {
            Receive<PauseMigration>(_ =>
            {
                CutLinks();
                Sender.Tell(new MigrationCommandDone());
            });
            Receive<LinkResumed>(_ => _progress.Enter(MigrationStatus.PostcopyActive));

            // It was reset while another link was waited for: nobody needs that any more.
            Receive<VmStatus>(
                _ => _progress.Status == MigrationStatus.PostcopyRecover && Machine.MissingPages.Count == 0, _ => _resumed!.Dispose());
            Receive<LinkEnded>(ended =>
            {
                if (ended.Problem == null || Machine.MissingPages.Count == 0)
                {
                    Finish(MigrationStatus.Completed, "");
                    return;
                }

                _progress.Enter(MigrationStatus.PostcopyPaused, ended.Problem);
                Become(WaitingForLink);
            });
            Receive<ResumeLink>(NotPaused);
            Commands();
        });
        Stash.UnstashAll();
    }

    private static void NotPaused(ResumeLink resume) => resume.Requester.Tell(new VmCommandRejected(
        RejectionCode.WrongRunState, "Migrate recover can only be run when postcopy is paused."));

    private void WaitingForLink()
    {
        Receive<ResumeLink>(resume =>
        {
            try
            {
                IMigrationListener listener = resume.Endpoint.Listen();
                _resumed = MigrationLink.Start(new ResumedIncomingLink(Self, Machine, listener, _guest!.Session, _helloTimeout));
                _progress.Address = listener.Address;
                resume.Requester.Tell(new MigrationStarted(listener.Address));
            }
            catch (IOException e)
            {
                resume.Requester.Tell(new VmCommandRejected(RejectionCode.InvalidArgument, e.Message));
                return;
            }

            BecomeReceiving(MigrationStatus.PostcopyRecover);
        });
        Receive<VmStatus>(_ => Machine.MissingPages.Count == 0, _ => Finish(
            MigrationStatus.Failed, "the machine was reset before all of the guest's RAM had come"));
        Commands();
    }

    private void Commands()
    {
        Receive<StrangerTurnedAway>(stranger => _log.Warning(
            "{0}: {1}; the link was closed, and a sender is waited for", _progress.Address, stranger.Why));
        Receive<CancelMigration>(_ => Sender.Tell(new MigrationCommandDone()));
        Receive<ContinueMigration>(_ => Reject("there is no outgoing migration"));
        Receive<StartPostcopy>(_ => Reject("there is no outgoing migration"));
        Receive<PauseMigration>(_ => Reject(
            "migrate-pause is currently only supported during postcopy-active or postcopy-recover state"));
        Queries();
    }

    private static void Reject(string why) => Context.Sender.Tell(new VmCommandRejected(RejectionCode.WrongRunState, why));

    private void LeavePaused(string why)
    {
        Release(new ReleaseVm(VmRunState.Paused, why));
        Finish(MigrationStatus.Failed, why);
    }

    private void Refuse(string why)
    {
        if (!_refused)
        {
            _refused = true;
            _link!.Answer(why);
        }

        Become(Receiving);
        Stash.UnstashAll();
    }

    protected override void Abandon(VmCommandRejected why)
    {
        if (_link == null)
        {
            _requester.Tell(why);
            Leave(null);
            return;
        }

        Refuse(why.Reason);
    }

    protected override void Fail(Exception cause)
    {
        string why = cause is JournalException ? cause.Message : $"{cause.GetType().Name}: {cause.Message}";
        _log.Warning("{0}", why);
        if (_progress.Downtime != null || !IsHolding)
        {
            // The guest is here already; the next start of this side is told of what could not be written.
            Confirm();
            return;
        }

        // The guest's state is here, but it is not to be: without a reset, the VM cannot wait for another.
        Release(new ReleaseVm(VmRunState.Paused, why));
        Refuse(why);
    }

    private void Finish(MigrationStatus status, string problem)
    {
        Disclaim();
        _progress.Enter(status, problem);
        Leave(Describe());
    }

    private void Leave(MigrationInfo? info)
    {
        Context.Parent.Tell(new MigrationOver(info));
        Become(() =>
        {
            Receive<ResumeLink>(NotPaused);
            Commands();
        });
        Stash.UnstashAll();
    }

    private MigrationInfo Describe() =>
        _progress.Describe(_link?.BytesRead ?? 0, Machine.MissingPages.Count, 0, _link?.Pages ?? 0, 0, 0, 0);

    private static long Now => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
}
