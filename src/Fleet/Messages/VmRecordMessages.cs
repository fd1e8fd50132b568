using System.Security.Cryptography;
using System.Text;

namespace Vmm.Fleet.Messages;

/// <summary>
/// A message for the record of a VM, wherever in the cluster it is. Answers are <see cref="VmOperation"/>, <see cref="VmRecord"/> or
/// <see cref="VmRejected"/>. Nothing is answered before it is kept.
/// </summary>
public interface IVmRecordMessage : IFleetMessage
{
    /// <summary>The VM's name (<see cref="FleetNames.IsVm"/>).</summary>
    string Vm { get; }
}

/// <summary>What is done when a VM's process has failed, or its machine is gone.</summary>
public enum FailurePolicy
{
    /// <summary>Start it again from its disks.</summary>
    Restart,

    /// <summary>Go on from its last snapshot; from its disks if there is none.</summary>
    Restore,

    /// <summary>Leave it as it is.</summary>
    Leave,
}

/// <summary>Make a record of a VM. It is not started. Answer: <see cref="VmOperation"/>, or <see cref="VmRejected"/>.</summary>
/// <param name="Id">The id of the request: one that is known is not carried out again.</param>
/// <param name="Node">The name of the node that is to have it.</param>
public sealed record CreateVm(string Vm, string Id, string Owner, string Node, FailurePolicy Policy, VmSpec Spec) : IVmRecordMessage;

/// <summary>What can be done with a VM.</summary>
public enum VmAction
{
    Create,
    Start,

    /// <summary>The number is how many seconds the guest may take to power off; 0 for not asking it.</summary>
    Stop,

    /// <summary>The number is that of CPUs that are to be enabled.</summary>
    Resize,

    /// <summary>The number is that of the CPU, as for the next three.</summary>
    Plug,
    Unplug,
    Enable,
    Disable,

    /// <summary>The text is the name of the snapshot, as for the next.</summary>
    Save,
    Restore,

    /// <summary>The text is the name of the node that is to have it.</summary>
    Migrate,

    /// <summary>Stop the VM and remove all of it.</summary>
    Delete,
}

/// <summary>
/// Do something with a VM. Answer: <see cref="VmOperation"/> as soon as the request is kept, or <see cref="VmRejected"/>. An id that is
/// known gets the operation as it stands.
/// </summary>
/// <param name="Number">As <see cref="VmAction"/> says; else 0.</param>
/// <param name="Text">As <see cref="VmAction"/> says; else empty.</param>
/// <param name="Match">What <see cref="VmRecord.Tag"/> is to be when the request comes; empty for anything.</param>
/// <param name="Trace">For a change of CPUs: the trace that it is part of, as <see cref="IVmRequest.Trace"/>.</param>
public sealed record CommandVm(
    string Vm, string Id, VmAction Action, int Number, string Text, string Match = "", string Trace = "") : IVmRecordMessage
{
    // A day.
    private const int MostStopSeconds = 86400;

    /// <summary>What is wrong with the request, whatever the VM does: one line; null if nothing is.</summary>
    /// <param name="maxCpus">The VM's possible CPUs.</param>
    public string? FindProblem(int maxCpus) =>
        !FleetNames.IsRequest(Id) ? $"the id of a request is {FleetNames.RequestRule}"
        : !Enum.IsDefined(Action) ? $"{(int)Action} is no action"
        : Number < 0 ? "the number is less than 0"
        : Action == VmAction.Stop && Number > MostStopSeconds
            ? $"{Number} seconds: a guest can have at most {MostStopSeconds} to power off"
        : Action == VmAction.Create ? "a VM is created by a request of its own"
        : Action is VmAction.Save or VmAction.Restore && !FleetNames.IsSnapshot(Text)
            ? "the name of a snapshot is 1 to 128 letters, digits, '-', '.' and '_', the first a letter or digit"
        : Action == VmAction.Resize && (Number < 1 || Number > maxCpus) ? $"{Number} CPUs: the VM can have 1 to {maxCpus}"
        : Action is VmAction.Plug or VmAction.Unplug or VmAction.Enable or VmAction.Disable && Number >= maxCpus
            ? $"there is no CPU {Number}: the VM has 0 to {maxCpus - 1}"
        : null;
}

/// <summary>
/// Set how the number of CPUs follows the load; null for not at all. Answer: <see cref="VmRecord"/>, or <see cref="VmRejected"/>.
/// </summary>
public sealed record SetScaling(string Vm, ScalingSpec? Scaling) : IVmRecordMessage;

/// <summary>Query. Answer: <see cref="VmRecord"/> or <see cref="VmRejected"/>.</summary>
public sealed record GetVm(string Vm) : IVmRecordMessage;

/// <summary>Query. Answer: <see cref="VmOperation"/> or <see cref="VmRejected"/>.</summary>
public sealed record GetOperation(string Vm, string Id) : IVmRecordMessage;

/// <summary>A node tells the record of a VM what it sees of it.</summary>
public sealed record VmSeen(string Vm, string Node, VmReport Report) : IVmRecordMessage;

/// <summary>A VM as the fleet knows it.</summary>
/// <param name="Version">Counts up with each change that is kept.</param>
/// <param name="IsWanted">Whether it is to run.</param>
/// <param name="State">What its node has seen last.</param>
/// <param name="Detail">Of that.</param>
/// <param name="EnabledCpus">CPUs that are enabled; 0 without a process.</param>
/// <param name="Snapshots">The names of those that were saved, the last one last.</param>
public sealed record VmRecord(
    string Vm,
    long Version,
    string Owner,
    string Node,
    FailurePolicy Policy,
    VmSpec Spec,
    bool IsWanted,
    ProcessState State,
    string Detail,
    int EnabledCpus,
    string[] Snapshots) : IFleetMessage
{
    /// <summary>Another one for each version, and for each state that is seen: an ETag (RFC 9110, section 8.8.3).</summary>
    public string Tag()
    {
        byte[] seen = SHA256.HashData(Encoding.UTF8.GetBytes(FormattableString.Invariant($"{State} {EnabledCpus} {Detail}")));
        return FormattableString.Invariant($"\"{Version}-{Convert.ToHexStringLower(seen.AsSpan(0, 8))}\"");
    }
}

/// <summary>A request about a VM, and how it stands.</summary>
/// <param name="IsDone">Whether it has ended; what follows is without meaning before.</param>
/// <param name="StartedAt">UTC milliseconds since 1970.</param>
/// <param name="EndedAt">The same; 0 before.</param>
public sealed record VmOperation(
    string Vm,
    string Id,
    VmAction Action,
    int Number,
    string Text,
    bool IsDone,
    RequestOutcome Outcome,
    string Detail,
    CpuOutcome[] Cpus,
    long StartedAt,
    long EndedAt) : IFleetMessage;

public enum VmRejectionCode
{
    /// <summary>There is no such VM, operation or node.</summary>
    NotFound,

    /// <summary>There is a VM of that name.</summary>
    Exists,

    /// <summary>The request says something that cannot be.</summary>
    Invalid,

    /// <summary>It cannot be kept now, and may be repeated: nothing has changed.</summary>
    NotWritten,

    /// <summary>The VM is not as the request says that it is to be.</summary>
    Changed,
}

/// <summary>A request was rejected and has no effect.</summary>
/// <param name="Reason">One line for people.</param>
public sealed record VmRejected(string Vm, VmRejectionCode Code, string Reason) : IFleetMessage;
