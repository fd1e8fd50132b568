namespace Vmm.Fleet.Messages;

/// <summary>A message for the agent of a VM that changes nothing of the VM.</summary>
public interface IVmQuery : IFleetMessage
{
    /// <summary>The VM's name (<see cref="FleetNames.IsVm"/>).</summary>
    string Vm { get; }
}

/// <summary>Query: how long the VM has used its CPUs. Answer: <see cref="VmTimes"/>; none while the VM does not answer.</summary>
public sealed record GetVmTimes(string Vm) : IVmQuery;

/// <summary>The last reading of a meter of a process that has ended is kept elsewhere now: it is told no more.</summary>
public sealed record ForgetMeter(string Vm, string Meter) : IVmQuery;

/// <summary>What a meter shows (Vmm.Actors.Protocol.VcpuTimes): nanoseconds since it began, those in arrays by possible CPU.</summary>
/// <param name="At">When it was read: UTC milliseconds since 1970.</param>
public sealed record VmMeter(string Meter, long At, long RunNs, long[] BusyNs, long[] EnabledNs);

/// <summary>The times of a VM at one node.</summary>
/// <param name="Running">The meter of its process; none without one.</param>
/// <param name="Enabled">Whether each possible CPU is enabled; empty without a process.</param>
/// <param name="Ended">The last readings of processes that have ended, until <see cref="ForgetMeter"/>.</param>
public sealed record VmTimes(string Vm, VmMeter[] Running, bool[] Enabled, VmMeter[] Ended) : IFleetMessage;
