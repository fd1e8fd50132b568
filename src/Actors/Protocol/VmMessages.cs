namespace Vmm.Actors.Protocol;

/// <summary>Run states of a VM, a subset of those of QEMU's <c>query-status</c>.</summary>
public enum VmRunState
{
    /// <summary>Nothing has been executed since power-on.</summary>
    Prelaunch,
    Running,
    Paused,

    /// <summary>The guest has powered off, or was reset where a reset powers off.</summary>
    Shutdown,

    /// <summary>A part of the VM has failed; a reset is the way out.</summary>
    InternalError,
}

/// <summary>The run states in QEMU's words, for people.</summary>
public static class RunStateNames
{
    public static string Of(VmRunState state) => state switch
    {
        VmRunState.Prelaunch => "prelaunch",
        VmRunState.Running => "running",
        VmRunState.Paused => "paused",
        VmRunState.Shutdown => "shutdown",
        _ => "internal-error",
    };
}

/// <summary>Power on: reset the machine and start the boot CPU.</summary>
public sealed record StartVm : IProtocolMessage;

/// <summary>Power on without executing anything: the state is prelaunch until <see cref="ContinueVm"/>.</summary>
public sealed record PrepareVm : IProtocolMessage;

public sealed record StopVm : IProtocolMessage;

public sealed record ContinueVm : IProtocolMessage;

public sealed record ResetVm : IProtocolMessage;

/// <summary>Query: the registers of one vCPU, empty for one that is not enabled. Answer: <see cref="VcpuRegisters"/>.</summary>
public sealed record GetVcpuRegisters(int Cpu) : IProtocolMessage;

public sealed record VcpuRegisters(int Cpu, string Text) : IProtocolMessage;

/// <summary>Query: what the translator has done. Answered while vCPUs run. Answer: <see cref="JitDescription"/>.</summary>
public sealed record GetJitDescription : IProtocolMessage;

/// <param name="Text">Lines of text; empty for a machine that only interprets.</param>
public sealed record JitDescription(string Text) : IProtocolMessage;

/// <summary>Query: what the machine is made of. Answer: <see cref="MachineDescription"/>.</summary>
public sealed record GetMachineDescription : IProtocolMessage;

/// <param name="CpuModel">The model of every CPU, such as cortex-a57.</param>
/// <param name="EnabledCpus">How many are enabled at power-on.</param>
/// <param name="Sockets">With the others, how the possible CPUs are arranged: each count is per parent.</param>
/// <param name="MemoryBytes">RAM.</param>
/// <param name="Acpi">Whether there is ACPI, and so CPU hotplug.</param>
/// <param name="Name">The VM's name; empty for none.</param>
/// <param name="Uuid">The VM's UUID; zeros for none.</param>
/// <param name="Protocol">The <see cref="ProtocolVersion"/> of the VM; versions before 2 did not say it.</param>
/// <param name="DisabledCpus">How many CPUs behind them are disabled at power-on; versions before 3 did not say it.</param>
public sealed record MachineDescription(
    string CpuModel,
    int EnabledCpus,
    int Sockets,
    int Clusters,
    int Cores,
    int Threads,
    ulong MemoryBytes,
    bool Acpi,
    string Name,
    string Uuid,
    int Protocol = 1,
    int DisabledCpus = 0) : IProtocolMessage;

/// <summary>Query: the devices of the board. Answer: <see cref="BoardDevices"/>.</summary>
public sealed record GetBoardDevices : IProtocolMessage;

/// <summary>The devices that monitors list, in the board's order, in parallel arrays.</summary>
/// <param name="Types">The type of each in QEMU's object model (QOM).</param>
/// <param name="Names">Its name below /machine; empty for one that QOM numbers in /machine/unattached.</param>
public sealed record BoardDevices(string[] Types, string[] Names) : IProtocolMessage;

/// <summary>Query: guest memory as it is now, without side effects. Answer: <see cref="GuestMemoryRead"/>.</summary>
/// <param name="Cpu">The CPU whose translation tables are used; -1 for physical addresses.</param>
/// <param name="Length">Bytes, up to <see cref="Longest"/>.</param>
public sealed record ReadGuestMemory(int Cpu, ulong Address, int Length) : IProtocolMessage
{
    public const int Longest = 1 << 20;
}

/// <param name="Bytes">Fewer than asked for where memory ends, or a page that is not mapped begins.</param>
public sealed record GuestMemoryRead(byte[] Bytes) : IProtocolMessage;

/// <summary>Query: a part of the machine as text for people. Answer: <see cref="MachineReport"/>.</summary>
/// <param name="Subject">The part.</param>
/// <param name="Cpu">For subjects of a CPU.</param>
public sealed record GetMachineReport(ReportSubject Subject, int Cpu) : IProtocolMessage;

/// <param name="Text">Lines of text; empty for a CPU that is not enabled.</param>
public sealed record MachineReport(string Text) : IProtocolMessage;

/// <summary>What <see cref="GetMachineReport"/> can tell.</summary>
public enum ReportSubject
{
    /// <summary>The regions of guest physical memory.</summary>
    MemoryTree,

    /// <summary>The same as a flat view.</summary>
    FlatView,

    /// <summary>Interrupts that are enabled, pending or active.</summary>
    Interrupts,

    /// <summary>The GIC's CPU interfaces.</summary>
    CpuInterfaces,

    /// <summary>What was loaded into RAM at power-on.</summary>
    Roms,

    /// <summary>The cached translations of a CPU.</summary>
    Tlb,
}

/// <summary>Why a machine was reset or shut down; a subset of QEMU's ShutdownCause.</summary>
public enum ShutdownCause
{
    /// <summary>The monitor's <c>quit</c>.</summary>
    HostQuit,

    /// <summary>The monitor's <c>system_reset</c>.</summary>
    HostReset,

    /// <summary>SIGINT, SIGTERM or SIGHUP to the process.</summary>
    HostSignal,

    /// <summary>A key at the terminal.</summary>
    HostUi,

    /// <summary>PSCI SYSTEM_OFF.</summary>
    GuestShutdown,

    /// <summary>PSCI SYSTEM_RESET.</summary>
    GuestReset,
}

/// <summary>Published: the machine was reset.</summary>
/// <param name="Guest">The guest asked for it.</param>
public sealed record VmReset(bool Guest, ShutdownCause Cause) : IProtocolMessage;

/// <summary>Published: the machine was shut down.</summary>
/// <param name="Guest">The guest asked for it.</param>
public sealed record VmShutdown(bool Guest, ShutdownCause Cause) : IProtocolMessage;

/// <summary>Published: the guest was told to shut down (<see cref="PressPowerButton"/>).</summary>
public sealed record PowerButtonPressed : IProtocolMessage;

public sealed record GetVmStatus : IProtocolMessage;

/// <summary>The answer to every command and query of the supervisor, and what it publishes on each change.</summary>
/// <param name="Detail">Why: the crash report, or empty.</param>
public sealed record VmStatus(VmRunState RunState, string Detail) : IProtocolMessage;

/// <summary>A part of the VM fails and is about to stop by itself; told to the supervisor.</summary>
/// <param name="Part">The name of the part's actor.</param>
public sealed record PartFailed(string Part, string Report) : IProtocolMessage;

/// <summary>A command or query that cannot be.</summary>
/// <param name="Code">Why, for programs.</param>
/// <param name="Reason">Why, for people: one line, in QEMU's words where QEMU has some.</param>
public sealed record VmCommandRejected(RejectionCode Code, string Reason) : IProtocolMessage;

public sealed record AttachCpuInterface(int Cpu) : IProtocolMessage;

public sealed record CpuInterfaceAttached(int Cpu) : IProtocolMessage;

public sealed record DetachCpuInterface(int Cpu) : IProtocolMessage;

public sealed record CpuInterfaceDetached(int Cpu) : IProtocolMessage;
