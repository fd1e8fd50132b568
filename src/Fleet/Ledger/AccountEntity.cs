using Akka.Actor;
using Akka.Cluster.Sharding;
using Akka.Persistence;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Ledger;

/// <summary>The account of one owner (<see cref="OwnerAccount"/>), which is kept: each event before anybody is told.</summary>
internal sealed class AccountEntity : UntypedPersistentActor
{
    // A reading is an event, and a VM has several in a minute: the account is saved as a whole after so many.
    private const int EventsOfSnapshot = 500;

    // A message between nodes has at most 128 KB; a VM's day has at most about 200 bytes.
    private const int DaysOfAnswer = 500;

    // An account that nobody has spoken to for so long is not kept in memory, nor made again with its node: it comes when it is asked.
    private static readonly TimeSpan s_rest = TimeSpan.FromMinutes(2);

    private readonly OwnerAccount _account;

    public AccountEntity(string owner) => _account = new OwnerAccount(owner);

    public override string PersistenceId => $"owner-{_account.Owner}";

    private static DateTimeOffset Now => DateTimeOffset.UtcNow;

    protected override void PreStart()
    {
        base.PreStart();
        Context.SetReceiveTimeout(s_rest);
    }

    protected override void OnRecover(object message)
    {
        switch (message)
        {
            case SnapshotOffer { Snapshot: AccountSnapshot saved }:
                _account.Load(saved);
                break;
            case ILedgerEvent happened:
                _account.Apply(happened);
                break;
        }
    }

    protected override void OnCommand(object message)
    {
        switch (message)
        {
            case CountMeter count:
                Count(count);
                break;
            case AskCpus ask:
                CpusGranted? granted = _account.Grant(Now, ask.Vm, ask.Cpus, out string? refusal);
                Keep(granted, () => new CpusAnswered(ask.Vm, ask.Id, _account.GrantedTo(ask.Vm), refusal ?? ""));
                break;
            case ChangeQuota change:
                QuotaSet? set = _account.SetQuota(Now, change.Quota, out string? problem);
                Keep(set, () => problem == null ? Describe() : new VmRejected("", VmRejectionCode.Invalid, problem));
                break;
            case GetAccount:
                Sender.Tell(Describe());
                break;
            case GetUsage get:
                Tell(get);
                break;
            case ReceiveTimeout:
                Context.Parent.Tell(new Passivate(EndEntity.Instance));
                break;
            case EndEntity:
                Context.Stop(Self);
                break;
            case SaveSnapshotSuccess saved:
                // What the snapshot has is not read again.
                DeleteMessages(saved.Metadata.SequenceNr);
                DeleteSnapshots(new SnapshotSelectionCriteria(saved.Metadata.SequenceNr - 1));
                break;
            case SaveSnapshotFailure failed:
                Serilog.Log.Warning("owner {Owner}: {Reason}; it is tried again", _account.Owner, failed.Cause.Message);
                break;
            case DeleteMessagesSuccess or DeleteSnapshotsSuccess:
                break;
            default:
                Unhandled(message);
                break;
        }
    }

    private void Count(CountMeter count)
    {
        MeterRead? read = _account.Read(
            DateTimeOffset.FromUnixTimeMilliseconds(count.At), count.Vm, count.Meter,
            new CpuUsage(count.BusyNs, count.IdleNs, count.StandbyNs));
        Keep(read, () => new MeterCounted(count.Vm, count.Meter, _account.AllowanceOf(count.Vm, Now)));
    }

    private void Tell(GetUsage get)
    {
        DayUsage[] days =
        [
            .. _account.Usage.Where(u => u.Day <= get.Last
                && (u.Day > get.First || (u.Day == get.First && string.CompareOrdinal(u.Vm, get.AfterVm) > 0))).Take(DaysOfAnswer + 1),
        ];
        bool isLast = days.Length <= DaysOfAnswer;
        Sender.Tell(new AccountUsage(_account.Owner, isLast ? days : days[..DaysOfAnswer], isLast));
    }

    private AccountState Describe() => new(
        _account.Owner, _account.Quota, _account.Granted, _account.UsedInMonthOf(Now),
        [.. _account.Grants.OrderBy(g => g.Vm, StringComparer.Ordinal)]);

    // Keeps an event, if there is one, and then answers.
    private void Keep(ILedgerEvent? happened, Func<IFleetMessage> answer)
    {
        if (happened == null)
        {
            Sender.Tell(answer());
            return;
        }

        Persist(happened, kept =>
        {
            _account.Apply(kept);
            Sender.Tell(answer());
            if (LastSequenceNr % EventsOfSnapshot == 0)
            {
                SaveSnapshot(_account.Save());
            }
        });
    }
}
