namespace Vmm.Actors.Protocol;

/// <summary>
/// Plug a CPU. Answer: <see cref="HotplugAccepted"/> and later <see cref="HotplugOutcome"/>, or <see cref="HotplugRejected"/>.
/// </summary>
/// <param name="Id">The name that the CPU is to have.</param>
/// <param name="Trace">The trace that the request is part of; with one, each step is published as <see cref="CpuStepTaken"/>.</param>
public sealed record PlugVcpu(string Id, int Cpu, string Trace = "") : IProtocolMessage;

/// <summary>Ask the guest to give a CPU back. Answers as for <see cref="PlugVcpu"/>.</summary>
/// <param name="Trace">As for <see cref="PlugVcpu"/>.</param>
public sealed record UnplugVcpu(string Id, string Trace = "") : IProtocolMessage;

/// <summary>
/// Enable or disable a CPU that is there, by the administrator (<c>device_set … admin-state=</c>). Answers as for <see cref="PlugVcpu"/>. A
/// request for the state that the CPU already has is done at once.
/// </summary>
/// <param name="Trace">As for <see cref="PlugVcpu"/>.</param>
public sealed record SetVcpuAdmin(int Cpu, bool Enabled, string Trace = "") : IProtocolMessage;

/// <param name="Cpu">-1 for a device that is no CPU.</param>
public sealed record HotplugAccepted(string Id, int Cpu) : IProtocolMessage;

/// <summary>A request was rejected and has no effect.</summary>
/// <param name="Id">The CPU's name; empty where the request has none.</param>
/// <param name="Code">The reason for programs.</param>
/// <param name="Reason">The reason for people: one line, in QEMU's words where QEMU has some.</param>
public sealed record HotplugRejected(string Id, RejectionCode Code, string Reason) : IProtocolMessage
{
    public static HotplugRejected Of(string id, Rejection why) => new(id, why.Code, why.Reason);
}

/// <summary>The end of a request: sent to the requester and published.</summary>
/// <param name="Id">The name of the CPU or device.</param>
/// <param name="Cpu">-1 for a device that is no CPU.</param>
/// <param name="Operation">The request.</param>
/// <param name="OstStatus">The guest's _OST status (ACPI 6.5, section 6.3.5); 0 if there is none.</param>
/// <param name="QomPath">Of a device: its path among QEMU's objects. Empty for a CPU.</param>
public sealed record HotplugOutcome(
    string Id, int Cpu, HotplugOperation Operation, HotplugOutcomeKind Kind, int OstStatus, string QomPath = "") : IProtocolMessage;

/// <summary>The change of a CPU that a request asks for.</summary>
public enum HotplugOperation
{
    Plug,
    Unplug,

    /// <summary>The administrator enables a CPU that is there.</summary>
    Enable,

    /// <summary>The administrator disables a CPU, which stays part of the machine.</summary>
    Disable,
}

public static class HotplugOperations
{
    /// <summary>The operation of a <see cref="PlugVcpu"/>, <see cref="UnplugVcpu"/> or <see cref="SetVcpuAdmin"/>.</summary>
    /// <exception cref="ArgumentException">The message is none of them.</exception>
    public static HotplugOperation Of(IProtocolMessage request) => request switch
    {
        PlugVcpu or PlugDevice => HotplugOperation.Plug,
        UnplugVcpu or UnplugDevice => HotplugOperation.Unplug,
        SetVcpuAdmin set => set.Enabled ? HotplugOperation.Enable : HotplugOperation.Disable,
        _ => throw new ArgumentException($"{request.GetType().Name} is no request of hotplug", nameof(request)),
    };

    /// <summary>Whether the guest gets the CPU (true), or is to give it back (false).</summary>
    public static bool Comes(this HotplugOperation operation) => operation is HotplugOperation.Plug or HotplugOperation.Enable;
}

public enum HotplugOutcomeKind
{
    /// <summary>The CPU has come or has left.</summary>
    Done,

    /// <summary>The guest answered with a failure.</summary>
    Refused,

    /// <summary>The guest has not answered in time. The request is still pending: another outcome may follow.</summary>
    TimedOut,

    /// <summary>Something else came first: an unplug or an eject before the end of a plug, a reset before the end of an unplug.</summary>
    Cancelled,
}

/// <summary>A step of a change of a CPU.</summary>
public enum CpuStep
{
    /// <summary>The request is in the journal.</summary>
    Accepted,

    /// <summary>The vCPU has its state and its actor.</summary>
    VcpuMade,

    /// <summary>The GIC's CPU interface is accessible.</summary>
    InterfaceAttached,

    /// <summary>The block says what is asked of the guest, and the GED notifies it.</summary>
    GuestNotified,

    /// <summary>The guest has evaluated _OST.</summary>
    GuestAnswered,

    /// <summary>The guest turns the CPU on (PSCI CPU_ON).</summary>
    PoweredOn,

    /// <summary>The guest has evaluated _EJ0.</summary>
    Ejected,

    /// <summary>The GIC's CPU interface is not accessible any more.</summary>
    InterfaceDetached,

    /// <summary>The vCPU's actor and its thread have ended.</summary>
    VcpuFreed,
}

/// <summary>Published for a request with a trace: a step of it. It may come after the outcome, as the guest turns a CPU on later.</summary>
/// <param name="Trace">That of the request.</param>
/// <param name="OstStatus">Of <see cref="CpuStep.GuestAnswered"/>: the guest's status (ACPI 6.5, section 6.3.5); else 0.</param>
/// <param name="StartedAt">When the step before it was taken, or the request came: UTC, in units of 100 ns since 1970.</param>
/// <param name="EndedAt">When it was taken, in the same units.</param>
public sealed record CpuStepTaken(string Trace, int Cpu, CpuStep Step, int OstStatus, long StartedAt, long EndedAt) : IProtocolMessage;

/// <summary>Query. Answer: <see cref="PluggedVcpus"/>.</summary>
public sealed record GetPluggedVcpus : IProtocolMessage;

/// <summary>The hot-plugged CPUs with their names, in parallel arrays.</summary>
public sealed record PluggedVcpus(string[] Ids, int[] Cpus) : IProtocolMessage;

/// <summary>The administrative state of a CPU.</summary>
public enum CpuAdminState
{
    Enabled,
    Disabled,

    /// <summary>
    /// The CPU is not there and can be plugged. For the guest this is the same as <see cref="Disabled"/>: on Arm every possible CPU is
    /// present.
    /// </summary>
    Removed,
}

/// <summary>The state of a CPU for the guest (CPUOperPowerState of QEMU's series).</summary>
public enum CpuOperationalState
{
    On,

    /// <summary>The CPU waits for an interrupt (WFI).</summary>
    Standby,
    Off,

    /// <summary>The CPU is being powered on.</summary>
    Unknown,
}

/// <summary>Query. Answer: <see cref="CpusPowerState"/>.</summary>
public sealed record GetCpusPowerState : IProtocolMessage;

/// <summary>
/// The administrative states of all possible CPUs. The receiver adds the operational states and answers the query with <see
/// cref="CpusPowerState"/>.
/// </summary>
public sealed record DescribeCpusPower(string[] Ids, CpuAdminState[] Admin) : IProtocolMessage;

/// <summary>The administrative and operational state of each possible CPU, by CPU number.</summary>
/// <param name="Ids">The name: that of a plugged CPU, or cpu- and the number; empty for a removed one.</param>
/// <param name="Admin">The state for the administrator.</param>
/// <param name="Oper">The state for the guest.</param>
public sealed record CpusPowerState(string[] Ids, CpuAdminState[] Admin, CpuOperationalState[] Oper) : IProtocolMessage;

/// <summary>Published: the guest evaluated _OST for a CPU (ACPI 6.5, section 6.3.5).</summary>
/// <param name="Id">The name of a CPU that was plugged; empty for others.</param>
/// <param name="Source">The event that the guest answers.</param>
/// <param name="Status">The guest's answer; 0 is success.</param>
public sealed record AcpiDeviceOst(string Id, int Cpu, int Source, int Status) : IProtocolMessage;

/// <summary>Query: the last _OST of each CPU. Answer: <see cref="AcpiOspmStatus"/>.</summary>
public sealed record GetAcpiOspmStatus : IProtocolMessage;

/// <summary>
/// The last _OST of each possible CPU, in parallel arrays. The numbers are 0 if there was none since the last reset, and the id is empty
/// for a CPU that was not plugged.
/// </summary>
public sealed record AcpiOspmStatus(string[] Ids, int[] Sources, int[] Statuses) : IProtocolMessage;

/// <summary>An event of the hotplug journal, or <see cref="HotplugTimedOut"/>.</summary>
public interface IHotplugEvent : IProtocolMessage
{
    /// <summary>The CPU's name.</summary>
    string Id { get; }

    int Cpu { get; }

    /// <summary>UTC milliseconds since 1970.</summary>
    long At { get; }
}

public sealed record PlugStarted(string Id, int Cpu, long At) : IHotplugEvent;

public sealed record PlugConfirmed(string Id, int Cpu, long At) : IHotplugEvent;

/// <summary>The guest answered a plug with a failure. The CPU stays plugged, as with QEMU, and can be removed.</summary>
public sealed record PlugRefused(string Id, int Cpu, int OstStatus, long At) : IHotplugEvent;

public sealed record UnplugStarted(string Id, int Cpu, long At) : IHotplugEvent;

public sealed record UnplugRefused(string Id, int Cpu, int OstStatus, long At) : IHotplugEvent;

public sealed record UnplugCompleted(string Id, int Cpu, long At) : IHotplugEvent;

/// <summary>The administrator has enabled a CPU; <see cref="PlugConfirmed"/> or <see cref="PlugRefused"/> ends it.</summary>
public sealed record EnableStarted(string Id, int Cpu, long At) : IHotplugEvent;

/// <summary>The administrator wants a CPU disabled; <see cref="DisableCompleted"/> or <see cref="UnplugRefused"/> ends it.</summary>
public sealed record DisableStarted(string Id, int Cpu, long At) : IHotplugEvent;

public sealed record DisableCompleted(string Id, int Cpu, long At) : IHotplugEvent;

/// <summary>
/// The guest has not answered in time. The state at the next start does not depend on it, so it is no longer written; journals of earlier
/// versions have it.
/// </summary>
public sealed record HotplugTimedOut(string Id, int Cpu, long At) : IHotplugEvent;

/// <summary>
/// Something else came first: an unplug or an eject before the end of a plug, or a reset before the end of an unplug. After a reset the CPU
/// stays plugged.
/// </summary>
public sealed record HotplugCancelled(string Id, int Cpu, long At) : IHotplugEvent;

/// <summary>A snapshot was loaded, in which the CPU was so; whatever it was before is forgotten.</summary>
/// <param name="Id">The name of one that was plugged or is to be told of.</param>
/// <param name="Missing">It is one of power-on that was unplugged.</param>
/// <param name="HasAdmin">The administrator has enabled or disabled it; <paramref name="Admin"/> says which.</param>
/// <param name="Pending">The guest has not answered a request, which is <paramref name="Operation"/>.</param>
public sealed record CpuRestored(
    string Id,
    int Cpu,
    bool Plugged,
    bool Missing,
    bool HasAdmin,
    CpuAdminState Admin,
    bool Pending,
    HotplugOperation Operation,
    long At) : IHotplugEvent;
