namespace Vmm.Fleet.Messages;

/// <summary>
/// A request about one VM to the agent that has it. It ends exactly once, with <see cref="RequestEnded"/>, which is kept on disk before it
/// is sent. A request whose id is known is not carried out again: it gets the answer that there is or will be. An agent that ends in the
/// middle of a request carries it out again when it is back; what is done already is done then.
/// </summary>
public interface IVmRequest : IFleetMessage
{
    /// <summary>The VM's name (<see cref="FleetNames.IsVm"/>).</summary>
    string Vm { get; }

    /// <summary>The id of the request: whoever asks chooses it.</summary>
    string Id { get; }

    /// <summary>The trace that it is part of, as the header <c>traceparent</c> of W3C Trace Context; empty for none.</summary>
    string Trace => "";
}

/// <summary>Start the VM's process, unless it runs.</summary>
/// <param name="FromSnapshot">Whether it goes on from the snapshot of the specification, in place of a boot.</param>
public sealed record RunVm(string Vm, string Id, VmSpec Spec, bool FromSnapshot = false) : IVmRequest;

/// <summary>
/// End the VM's process: by its power button, after that by a command to the process, after that by a signal. It ends what is under way
/// with the VM, too.
/// </summary>
/// <param name="PowerDownSeconds">How long the guest may take to power off; 0 for not asking it.</param>
public sealed record EndVm(string Vm, string Id, int PowerDownSeconds) : IVmRequest;

/// <summary>Plug or unplug CPUs until as many are enabled.</summary>
public sealed record ResizeVm(string Vm, string Id, int Cpus, string Trace = "") : IVmRequest;

/// <summary>Change one CPU.</summary>
/// <param name="Cpu">Its number: 0 to one less than the possible ones.</param>
public sealed record ChangeCpu(string Vm, string Id, CpuChange Change, int Cpu, string Trace = "") : IVmRequest;

public enum CpuChange
{
    Plug,
    Unplug,

    /// <summary>The administrator enables a CPU that is part of the machine.</summary>
    Enable,

    /// <summary>The administrator disables a CPU, which stays part of the machine.</summary>
    Disable,
}

/// <summary>Save the VM, which runs on, as a snapshot in its folder; one of that name is replaced.</summary>
public sealed record SaveVm(string Vm, string Id, string Tag) : IVmRequest;

/// <summary>Make the VM what was saved; its process is started if it does not run.</summary>
public sealed record RestoreVm(string Vm, string Id, string Tag, VmSpec Spec) : IVmRequest;

/// <summary>
/// Start a process that waits for the VM from elsewhere. It is done when somebody can connect; <see cref="RequestEnded.Detail"/> is then
/// the address for <see cref="SendVm"/>.
/// </summary>
/// <param name="From">The node that it comes from: nobody else is let in.</param>
public sealed record ReceiveVm(string Vm, string Id, VmSpec Spec, string From = "") : IVmRequest;

/// <summary>
/// Send the running VM to a process that waits for it. When it is done, the guest runs there, and the process here has ended.
/// </summary>
public sealed record SendVm(string Vm, string Id, string Address) : IVmRequest;

/// <summary>Remove the folder of a VM that does not run, with its snapshots.</summary>
public sealed record RemoveVm(string Vm, string Id) : IVmRequest;

/// <summary>How a request ended.</summary>
public enum RequestOutcome
{
    Done,

    /// <summary>It cannot be done: nothing, or a part of it, has changed.</summary>
    Failed,

    /// <summary>The guest refused it.</summary>
    Refused,

    /// <summary>The guest has not answered in time; it may still do so.</summary>
    TimedOut,

    /// <summary>Something else came first, such as a stop.</summary>
    Cancelled,

    /// <summary>It was not begun.</summary>
    Rejected,
}

/// <summary>What became of one CPU of a request.</summary>
/// <param name="Outcome">Its own outcome.</param>
/// <param name="Ost">The guest's _OST status (ACPI 6.5, section 6.3.5); 0 if there is none.</param>
/// <param name="Detail">Why it is not done; empty when it is.</param>
public sealed record CpuOutcome(int Cpu, CpuChange Change, RequestOutcome Outcome, int Ost, string Detail);

/// <summary>The end of a request.</summary>
/// <param name="Detail">One line: why it is not done, or what was done.</param>
/// <param name="Cpus">What became of each CPU that it was about; empty for others.</param>
/// <param name="EnabledCpus">CPUs that are enabled after a change of CPUs; null for others, and when that is not known.</param>
public sealed record RequestEnded(
    string Vm, string Id, RequestOutcome Outcome, string Detail, CpuOutcome[] Cpus, int? EnabledCpus = null) : IFleetMessage;
