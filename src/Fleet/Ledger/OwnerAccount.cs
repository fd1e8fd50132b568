using System.Globalization;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Ledger;

/// <summary>
/// The account of an owner: what each VM has used on each day (UTC), how many CPUs each may have, and the quota. A command returns an event
/// or says why not, and changes nothing; <see cref="Apply"/> is the only change. One thread at a time.
/// </summary>
public sealed class OwnerAccount(string owner)
{
    private const decimal NanosecondsPerSecond = 1e9m;

    // A VM has one meter at a time, and a few more whose last readings may be late.
    private const int MetersOfVm = 16;

    private readonly Dictionary<string, List<(string Meter, DateTimeOffset At, CpuUsage Usage)>> _meters = [];
    private readonly SortedDictionary<(DateOnly Day, string Vm), CpuUsage> _usage =
        new(Comparer<(DateOnly Day, string Vm)>.Create((a, b) =>
            a.Day.CompareTo(b.Day) is var days and not 0 ? days : string.CompareOrdinal(a.Vm, b.Vm)));

    private readonly Dictionary<string, int> _granted = [];

    // By the first day of the month: nanoseconds of enabled CPUs.
    private readonly Dictionary<DateOnly, decimal> _months = [];

    public string Owner => owner;

    public OwnerQuota Quota { get; private set; } = new(null, null);

    /// <summary>How many CPUs all VMs together may have enabled now.</summary>
    public int Granted => _granted.Values.Sum();

    /// <summary>What was used, by day and VM.</summary>
    public IEnumerable<DayUsage> Usage => _usage.Select(u => new DayUsage(u.Key.Day, u.Key.Vm, u.Value));

    /// <summary>How many CPUs each VM may have enabled.</summary>
    public IEnumerable<GrantedCpus> Grants => _granted.Select(g => new GrantedCpus(g.Key, g.Value));

    /// <summary>All of the account.</summary>
    public AccountSnapshot Save() => new(
        Quota,
        [.. _meters.SelectMany(vm => vm.Value.Select(m => new MeterRead(m.At, vm.Key, m.Meter, m.Usage)))],
        [.. Usage],
        [.. Grants]);

    /// <summary>Becomes what was saved. The account is a new one.</summary>
    public void Load(AccountSnapshot saved)
    {
        Quota = saved.Quota;
        foreach (MeterRead read in saved.Meters)
        {
            MetersOf(read.Vm).Add((read.Meter, read.At, read.Usage));
        }

        foreach (DayUsage day in saved.Days)
        {
            _usage[(day.Day, day.Vm)] = day.Usage;
            DateOnly month = new(day.Day.Year, day.Day.Month, 1);
            _months[month] = _months.GetValueOrDefault(month) + day.Usage.Enabled;
        }

        foreach (GrantedCpus vm in saved.Vms)
        {
            _granted[vm.Vm] = vm.Cpus;
        }
    }

    /// <summary>How many CPUs a VM may have enabled.</summary>
    public int GrantedTo(string vm) => _granted.GetValueOrDefault(vm);

    /// <summary>CPU-seconds of enabled CPUs in the calendar month (UTC) of a moment.</summary>
    public decimal UsedInMonthOf(DateTimeOffset moment) => _months.GetValueOrDefault(MonthOf(moment)) / NanosecondsPerSecond;

    /// <summary>How many CPUs the quota would let a VM have enabled: what its policy has to keep to.</summary>
    public int AllowanceOf(string vm, DateTimeOffset now) =>
        IsUsedUp(now) ? 0 : Quota.Cpus is { } most ? Math.Max(0, most - Granted + GrantedTo(vm)) : int.MaxValue;

    /// <summary>A reading of a meter. Null: nothing new, as with a reading that others have overtaken.</summary>
    public MeterRead? Read(DateTimeOffset at, string vm, string meter, CpuUsage usage)
    {
        CpuUsage last = LastOf(vm, meter)?.Usage ?? default;
        return usage.IsAtLeast(last) && usage != last ? new MeterRead(at, vm, meter, usage) : null;
    }

    /// <summary>
    /// Asks that a VM may have so many CPUs enabled. Fewer than before it may always have. The answer counts as soon as it is applied, so
    /// two VMs that ask at once cannot both have the last CPU.
    /// </summary>
    /// <param name="refusal">One line; null when the event says yes.</param>
    public CpusGranted? Grant(DateTimeOffset at, string vm, int cpus, out string? refusal)
    {
        int has = GrantedTo(vm), more = cpus - has;
        refusal = cpus < 0 ? $"a VM cannot have {cpus} CPUs"
            : more <= 0 ? null
            : IsUsedUp(at) ? string.Create(CultureInfo.InvariantCulture,
                $"owner '{owner}' has used {UsedInMonthOf(at):0} of {Quota.CpuSecondsPerMonth:0} CPU-seconds of {at.UtcDateTime:yyyy-MM}: "
                + $"VM '{vm}' stays at {has} CPUs")
            : Quota.Cpus < Granted + more
                ? $"owner '{owner}' may have {Quota.Cpus} CPUs and has {Granted}: {more} more for VM '{vm}' would be over quota"
            : null;
        return refusal == null && more != 0 ? new CpusGranted(at, vm, cpus) : null;
    }

    /// <summary>Sets the quota. VMs that have more keep it until their policies have unplugged it.</summary>
    public QuotaSet? SetQuota(DateTimeOffset at, OwnerQuota quota, out string? refusal)
    {
        refusal = quota.Refuse();
        return refusal == null ? new QuotaSet(at, quota) : null;
    }

    public void Apply(ILedgerEvent happened)
    {
        switch (happened)
        {
            case MeterRead read:
                Apply(read);
                break;
            case CpusGranted { Cpus: 0 } gone:
                _granted.Remove(gone.Vm);
                break;
            case CpusGranted granted:
                _granted[granted.Vm] = granted.Cpus;
                break;
            case QuotaSet set:
                Quota = set.Quota;
                break;
            default:
                throw new ArgumentException($"{happened.GetType().Name} is no event of an account", nameof(happened));
        }
    }

    private void Apply(MeterRead read)
    {
        (DateTimeOffset At, CpuUsage Usage)? last = LastOf(read.Vm, read.Meter);
        CpuUsage used = read.Usage - (last?.Usage ?? default);
        if (!used.IsAtLeast(default))
        {
            return;
        }

        List<(string Meter, DateTimeOffset At, CpuUsage Usage)> meters = MetersOf(read.Vm);
        meters.RemoveAll(m => m.Meter == read.Meter);
        meters.Add((read.Meter, read.At, read.Usage));
        meters.RemoveRange(0, Math.Max(0, meters.Count - MetersOfVm));
        Spread(read.Vm, last?.At ?? read.At, read.At, used);
    }

    // Over the days since the reading before, evenly: a node may have been away for days.
    private void Spread(string vm, DateTimeOffset from, DateTimeOffset to, CpuUsage used)
    {
        while (from < to && DayOf(from) < DayOf(to))
        {
            var midnight = new DateTimeOffset(DayOf(from).AddDays(1).ToDateTime(TimeOnly.MinValue), TimeSpan.Zero);
            double share = (midnight - from) / (to - from);
            var part = new CpuUsage((long)(used.Busy * share), (long)(used.Idle * share), (long)(used.Standby * share));
            Add(vm, from, part);
            used -= part;
            from = midnight;
        }

        Add(vm, to, used);
    }

    private void Add(string vm, DateTimeOffset at, CpuUsage used)
    {
        (DateOnly, string) key = (DayOf(at), vm);
        _usage[key] = _usage.GetValueOrDefault(key) + used;
        _months[MonthOf(at)] = _months.GetValueOrDefault(MonthOf(at)) + used.Enabled;
    }

    private bool IsUsedUp(DateTimeOffset now) => Quota.CpuSecondsPerMonth is { } most && UsedInMonthOf(now) >= most;

    private List<(string Meter, DateTimeOffset At, CpuUsage Usage)> MetersOf(string vm)
    {
        if (!_meters.TryGetValue(vm, out List<(string Meter, DateTimeOffset At, CpuUsage Usage)>? meters))
        {
            _meters[vm] = meters = [];
        }

        return meters;
    }

    private (DateTimeOffset At, CpuUsage Usage)? LastOf(string vm, string meter)
    {
        foreach ((string name, DateTimeOffset at, CpuUsage usage) in _meters.GetValueOrDefault(vm) ?? [])
        {
            if (name == meter)
            {
                return (at, usage);
            }
        }

        return null;
    }

    private static DateOnly DayOf(DateTimeOffset moment) => DateOnly.FromDateTime(moment.UtcDateTime);

    private static DateOnly MonthOf(DateTimeOffset moment) => new(moment.UtcDateTime.Year, moment.UtcDateTime.Month, 1);
}
