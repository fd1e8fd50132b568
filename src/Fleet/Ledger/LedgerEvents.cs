using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Ledger;

/// <summary>
/// What has happened to an account. It is written before anybody is told, and the account is what all of them in order make it.
/// </summary>
public interface ILedgerEvent : IFleetMessage
{
    DateTimeOffset At { get; }
}

/// <summary>The meter of a VM was read. The usage is that since the meter began, so a second writing of the same changes nothing.</summary>
/// <param name="Meter">Which meter: a VM that starts anew has a new one.</param>
public sealed record MeterRead(DateTimeOffset At, string Vm, string Meter, CpuUsage Usage) : ILedgerEvent;

/// <summary>A VM may have so many CPUs enabled. 0: it is gone.</summary>
public sealed record CpusGranted(DateTimeOffset At, string Vm, int Cpus) : ILedgerEvent;

/// <summary>The owner has another quota.</summary>
public sealed record QuotaSet(DateTimeOffset At, OwnerQuota Quota) : ILedgerEvent;

/// <summary>What an owner may have.</summary>
/// <param name="Cpus">CPUs that are enabled at one time, in all VMs together; null for as many as the owner wants.</param>
/// <param name="CpuSecondsPerMonth">CPU-seconds of enabled CPUs in a calendar month (UTC); null for as many as the owner wants.</param>
public sealed record OwnerQuota(int? Cpus, decimal? CpuSecondsPerMonth)
{
    /// <summary>What is wrong with the quota, in one line; null for nothing.</summary>
    public string? Refuse() => Cpus < 0 ? $"a quota of {Cpus} CPUs is not possible"
        : CpuSecondsPerMonth < 0 ? FormattableString.Invariant($"a quota of {CpuSecondsPerMonth} CPU-seconds is not possible") : null;
}

/// <summary>All that the events of an account have made of it.</summary>
/// <param name="Meters">The last reading of each meter, the newest of a VM last.</param>
public sealed record AccountSnapshot(OwnerQuota Quota, MeterRead[] Meters, DayUsage[] Days, GrantedCpus[] Vms) : IFleetMessage;
