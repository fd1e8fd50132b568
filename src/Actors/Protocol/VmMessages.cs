namespace Vmm.Actors.Protocol;

/// <summary>Run states of a VM, a subset of those of QEMU's <c>query-status</c>.</summary>
public enum VmRunState
{
    /// <summary>Nothing has been executed since power-on.</summary>
    Prelaunch,
    Running,
    Paused,

    /// <summary>The guest has powered off, or has asked for a reset where that powers off (<c>-no-reboot</c>).</summary>
    Shutdown,

    /// <summary>A part of the VM has failed. A reset leads out of it.</summary>
    InternalError,

    /// <summary>A disk failed, and the VM was stopped for it (<c>rerror=stop</c>, <c>werror=stop</c>). <c>cont</c> tries again.</summary>
    IoError,

    /// <summary>It is held still to be saved, and goes on by itself.</summary>
    SaveVm,

    /// <summary>It is held still to be loaded, and goes on by itself.</summary>
    RestoreVm,

    /// <summary>It was started to receive a migration, and waits for it.</summary>
    InMigrate,

    /// <summary>It is held still while the last of it is sent to another process.</summary>
    FinishMigrate,

    /// <summary>The guest was handed over to another process. What is here is the machine as it was then.</summary>
    PostMigrate,
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
        VmRunState.IoError => "io-error",
        VmRunState.SaveVm => "save-vm",
        VmRunState.RestoreVm => "restore-vm",
        VmRunState.InMigrate => "inmigrate",
        VmRunState.FinishMigrate => "finish-migrate",
        VmRunState.PostMigrate => "postmigrate",
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

/// <summary>
/// Query: the registers of one vCPU. Answer: <see cref="VcpuRegisters"/>, whose text is empty for a CPU that is not enabled.
/// </summary>
public sealed record GetVcpuRegisters(int Cpu) : IProtocolMessage;

public sealed record VcpuRegisters(int Cpu, string Text) : IProtocolMessage;

/// <summary>Query: the figures of the translator. It is answered while vCPUs run. Answer: <see cref="JitDescription"/>.</summary>
public sealed record GetJitDescription : IProtocolMessage;

/// <param name="Text">Lines of text; empty for a machine that only interprets.</param>
public sealed record JitDescription(string Text) : IProtocolMessage;

/// <summary>Query: the parts of the machine. Answer: <see cref="MachineDescription"/>.</summary>
public sealed record GetMachineDescription : IProtocolMessage;

/// <param name="CpuModel">The model of every CPU, such as cortex-a57.</param>
/// <param name="EnabledCpus">The number of CPUs that are enabled at power-on.</param>
/// <param name="Sockets">The number of sockets. With the other three counts, each per parent, it says how the possible CPUs are
/// arranged.</param>
/// <param name="MemoryBytes">The size of the RAM.</param>
/// <param name="Acpi">Whether the machine has ACPI, and so CPU hotplug.</param>
/// <param name="Name">The VM's name; empty for none.</param>
/// <param name="Uuid">The VM's UUID; zeros for none.</param>
/// <param name="Protocol">The <see cref="ProtocolVersion"/> of the VM. Versions before 2 did not have the member.</param>
/// <param name="DisabledCpus">The number of CPUs behind the enabled ones that are disabled at power-on. Versions before 3 did not have the
/// member.</param>
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
/// <param name="UserTypes">The types of the devices that a person has asked for.</param>
/// <param name="UserPaths">The path of each of those.</param>
/// <param name="Hotplugged">Whether each of those came while the machine ran.</param>
public sealed record BoardDevices(string[] Types, string[] Names, string[] UserTypes, string[] UserPaths, bool[] Hotplugged)
    : IProtocolMessage;

/// <summary>Query: guest memory at this moment, read without side effects. Answer: <see cref="GuestMemoryRead"/>.</summary>
/// <param name="Cpu">The CPU whose translation tables are used; -1 for physical addresses.</param>
/// <param name="Length">The number of bytes, up to <see cref="Longest"/>.</param>
public sealed record ReadGuestMemory(int Cpu, ulong Address, int Length) : IProtocolMessage
{
    public const int Longest = 1 << 20;
}

/// <param name="Bytes">The bytes; fewer than asked for if memory ends, or a page that is not mapped begins.</param>
public sealed record GuestMemoryRead(byte[] Bytes) : IProtocolMessage;

/// <summary>Query: a part of the machine as text for people. Answer: <see cref="MachineReport"/>.</summary>
/// <param name="Subject">The part.</param>
/// <param name="Cpu">The CPU, for a subject of one CPU.</param>
public sealed record GetMachineReport(ReportSubject Subject, int Cpu) : IProtocolMessage;

/// <param name="Text">Lines of text; empty for a CPU that is not enabled.</param>
public sealed record MachineReport(string Text) : IProtocolMessage;

/// <summary>The parts that <see cref="GetMachineReport"/> can describe.</summary>
public enum ReportSubject
{
    /// <summary>The regions of guest physical memory.</summary>
    MemoryTree,

    /// <summary>The regions of guest physical memory as a flat view.</summary>
    FlatView,

    /// <summary>Interrupts that are enabled, pending or active.</summary>
    Interrupts,

    /// <summary>The GIC's CPU interfaces.</summary>
    CpuInterfaces,

    /// <summary>The files that were loaded into RAM at power-on.</summary>
    Roms,

    /// <summary>The address translations that a CPU has cached.</summary>
    Tlb,

    /// <summary>The virtio devices and what was done in their queues.</summary>
    Virtio,

    /// <summary>The VM generation ID; empty for a machine without.</summary>
    GenerationId,

    /// <summary>The devices as a tree of buses.</summary>
    DeviceTree,
}

/// <summary>The cause of a reset or a shutdown, a subset of QEMU's ShutdownCause.</summary>
public enum ShutdownCause
{
    /// <summary>The monitor's command <c>quit</c>.</summary>
    HostQuit,

    /// <summary>The monitor's command <c>system_reset</c>.</summary>
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

/// <summary>Event: something that whoever started the VM is to know, although nothing went wrong.</summary>
/// <param name="Text">A sentence without a full stop.</param>
public sealed record VmNotice(string Text) : IProtocolMessage;

/// <summary>Published: the machine was reset.</summary>
/// <param name="Guest">Whether the guest asked for it.</param>
public sealed record VmReset(bool Guest, ShutdownCause Cause) : IProtocolMessage;

/// <summary>Published: the machine was shut down.</summary>
/// <param name="Guest">Whether the guest asked for it.</param>
public sealed record VmShutdown(bool Guest, ShutdownCause Cause) : IProtocolMessage;

/// <summary>Published: the guest was told to shut down (<see cref="PressPowerButton"/>).</summary>
public sealed record PowerButtonPressed : IProtocolMessage;

public sealed record GetVmStatus : IProtocolMessage;

/// <summary>The supervisor's answer to commands; it also publishes it at each change.</summary>
/// <param name="Detail">The crash report of an internal error; otherwise empty.</param>
public sealed record VmStatus(VmRunState RunState, string Detail) : IProtocolMessage;

/// <summary>A part tells the supervisor that it fails and is about to stop.</summary>
/// <param name="Part">The name of the part's actor.</param>
public sealed record PartFailed(string Part, string Report) : IProtocolMessage;

/// <summary>A command or query was rejected.</summary>
/// <param name="Code">The reason for programs.</param>
/// <param name="Reason">The reason for people: one line, in QEMU's words where QEMU has some.</param>
public sealed record VmCommandRejected(RejectionCode Code, string Reason) : IProtocolMessage;

public sealed record AttachCpuInterface(int Cpu) : IProtocolMessage;

public sealed record CpuInterfaceAttached(int Cpu) : IProtocolMessage;

public sealed record DetachCpuInterface(int Cpu) : IProtocolMessage;

public sealed record CpuInterfaceDetached(int Cpu) : IProtocolMessage;
