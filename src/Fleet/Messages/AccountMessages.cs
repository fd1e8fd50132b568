using Vmm.Fleet.Ledger;

namespace Vmm.Fleet.Messages;

/// <summary>A message for the account of an owner, wherever in the cluster it is. Nothing is answered before it is kept.</summary>
public interface IAccountMessage : IFleetMessage
{
    /// <summary>The owner's name (<see cref="FleetNames.IsOwner"/>).</summary>
    string Owner { get; }
}

/// <summary>
/// A reading of a meter of a VM: totals since the meter began, so one that comes twice changes nothing. Answer: <see cref="MeterCounted"/>.
/// </summary>
/// <param name="At">When it was read: UTC milliseconds since 1970.</param>
public sealed record CountMeter(string Owner, string Vm, string Meter, long At, long BusyNs, long IdleNs, long StandbyNs) : IAccountMessage;

/// <param name="Allowance">How many CPUs the quota would let the VM have enabled.</param>
public sealed record MeterCounted(string Vm, string Meter, int Allowance) : IFleetMessage;

/// <summary>
/// A VM is to have so many CPUs enabled: more only within the quota. 0 when it runs no more. Answer: <see cref="CpusAnswered"/>.
/// </summary>
/// <param name="Id">What the answer has, too.</param>
public sealed record AskCpus(string Owner, string Vm, string Id, int Cpus) : IAccountMessage;

/// <param name="Granted">How many the VM may have enabled now.</param>
/// <param name="Refusal">Why it may not have as many as were asked for: one line; empty if it may.</param>
public sealed record CpusAnswered(string Vm, string Id, int Granted, string Refusal) : IFleetMessage;

/// <summary>Set the quota. Answer: <see cref="AccountState"/>, or <see cref="VmRejected"/> without a VM.</summary>
public sealed record ChangeQuota(string Owner, OwnerQuota Quota) : IAccountMessage;

/// <summary>Query. Answer: <see cref="AccountState"/>.</summary>
public sealed record GetAccount(string Owner) : IAccountMessage;

/// <summary>An account now.</summary>
/// <param name="GrantedCpus">CPUs that all VMs together may have enabled.</param>
/// <param name="CpuSecondsThisMonth">Of enabled CPUs in the calendar month (UTC).</param>
/// <param name="Vms">How many CPUs each VM may have enabled.</param>
public sealed record AccountState(
    string Owner, OwnerQuota Quota, int GrantedCpus, decimal CpuSecondsThisMonth, GrantedCpus[] Vms) : IFleetMessage;

/// <param name="Cpus">CPUs that it may have enabled.</param>
public sealed record GrantedCpus(string Vm, int Cpus);

/// <summary>Query: what was used from a day (UTC) to another, both of them included. Answer: <see cref="AccountUsage"/>.</summary>
/// <param name="AfterVm">Of the first day only VMs whose names come after this one, by their characters.</param>
public sealed record GetUsage(string Owner, DateOnly First, DateOnly Last, string AfterVm = "") : IAccountMessage;

/// <param name="Days">By day and VM; as many as a message between nodes has room for.</param>
/// <param name="IsLast">False: there is more after the last of them.</param>
public sealed record AccountUsage(string Owner, DayUsage[] Days, bool IsLast = true) : IFleetMessage;

/// <summary>What a VM has used on a day (UTC).</summary>
public sealed record DayUsage(DateOnly Day, string Vm, CpuUsage Usage);
