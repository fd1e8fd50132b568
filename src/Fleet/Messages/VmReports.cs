using Vmm.Actors.Protocol;

namespace Vmm.Fleet.Messages;

/// <summary>What an agent sees of a VM's process.</summary>
public enum ProcessState
{
    /// <summary>There is none: none was started, a request has ended it, or it has ended while no agent was there.</summary>
    Stopped,

    /// <summary>It has been started and does not answer yet.</summary>
    Starting,

    /// <summary>The guest runs.</summary>
    Running,

    /// <summary>The process is there and the guest does not run: <see cref="VmReport.Detail"/> has the run state.</summary>
    Paused,

    /// <summary>It waits for the guest from elsewhere.</summary>
    Receiving,

    /// <summary>The process has ended in good order, and not for a request: the guest powered off, or a monitor ended the VM.</summary>
    PoweredOff,

    /// <summary>The process has ended with an error, or was killed.</summary>
    Failed,
}

/// <summary>What there is of a VM on a machine.</summary>
/// <param name="Detail">The run state of a process, or how the last one ended.</param>
/// <param name="Process">The process id; 0 without one.</param>
/// <param name="EnabledCpus">CPUs that are enabled; 0 without a process.</param>
public sealed record VmReport(string Vm, ProcessState State, string Detail, int Process, int EnabledCpus) : IFleetMessage
{
    /// <summary>Of a process that answers.</summary>
    internal static VmReport Of(string vm, VmStatus status, int process, int enabledCpus)
    {
        string name = RunStateNames.Of(status.RunState);
        return new VmReport(
            vm,
            status.RunState switch
            {
                VmRunState.Running => ProcessState.Running,
                VmRunState.InMigrate => ProcessState.Receiving,
                _ => ProcessState.Paused,
            },
            status.Detail.Length > 0 ? $"{name}: {status.Detail}" : name, process, enabledCpus);
    }
}

/// <summary>
/// Query. Answer: <see cref="VmReport"/>; for a VM that a machine does not have the state is <see cref="ProcessState.Stopped"/>.
/// </summary>
public sealed record GetVmReport(string Vm) : IFleetMessage;

/// <summary>Query: all VMs of a machine. Answer: <see cref="NodeReport"/>.</summary>
public sealed record GetNodeReport : IFleetMessage;

/// <summary>
/// Tell what happens at a node: <see cref="VmSeen"/>, <see cref="VmOperation"/> and <see cref="VmScaled"/>. Whoever has not asked again for
/// half a minute is told no more.
/// </summary>
public sealed record FollowEvents : IFleetMessage;

public sealed record NodeReport(VmReport[] Vms) : IFleetMessage;
