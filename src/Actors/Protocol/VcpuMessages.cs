namespace Vmm.Actors.Protocol;

/// <summary>Every message of the control plane: a sealed record of primitives, with a manifest in the serializer.</summary>
public interface IProtocolMessage;

/// <summary>Make the actor of a CPU that is to be enabled. Answer: <see cref="VcpuReady"/>, at once if it exists.</summary>
public sealed record CreateVcpu(int Cpu) : IProtocolMessage;

/// <summary>The actor exists, powered off in the sense of PSCI.</summary>
public sealed record VcpuReady(int Cpu) : IProtocolMessage;

/// <summary>Stop the actor and its thread. Answer: <see cref="VcpuRemoved"/>.</summary>
public sealed record RemoveVcpu(int Cpu) : IProtocolMessage;

public sealed record VcpuRemoved(int Cpu) : IProtocolMessage;

/// <summary>PSCI CPU_ON.</summary>
public sealed record PowerOnVcpu(int Cpu, ulong EntryPoint, ulong Context) : IProtocolMessage;

/// <summary>Run the boot CPU from the state that the machine's reset has left.</summary>
public sealed record StartBootVcpu : IProtocolMessage;

/// <summary>The machine was reset while paused: forget what was running.</summary>
public sealed record ResetVcpus : IProtocolMessage;

/// <summary>Stop executing, all of them. Answer: <see cref="VcpusPaused"/> when no vCPU thread touches the machine.</summary>
public sealed record PauseVcpus : IProtocolMessage;

public sealed record VcpusPaused : IProtocolMessage;

public sealed record ResumeVcpus : IProtocolMessage;

public sealed record PauseVcpu : IProtocolMessage;

public sealed record VcpuPaused(int Cpu) : IProtocolMessage;

public sealed record ResumeVcpu : IProtocolMessage;

public sealed record ResetVcpu : IProtocolMessage;

/// <summary>The vCPU's loop threw: a defect of ours, with the state it left.</summary>
public sealed record VcpuFailed(int Cpu, string Report) : IProtocolMessage;

/// <summary>The guest called PSCI SYSTEM_OFF.</summary>
public sealed record GuestPoweredOff(int Cpu) : IProtocolMessage;

/// <summary>The guest called PSCI SYSTEM_RESET.</summary>
public sealed record GuestReset(int Cpu) : IProtocolMessage;

/// <summary>What the actor of a possible CPU does.</summary>
public enum VcpuState
{
    /// <summary>There is no actor: the CPU is not enabled.</summary>
    None,

    /// <summary>Off in the sense of PSCI.</summary>
    PoweredOff,
    Running,

    /// <summary>The CPU waits in WFI, and its thread sleeps.</summary>
    Parked,

    /// <summary>The VM is paused.</summary>
    Paused,
}

/// <summary>Query: the states of all vCPUs as they are now. Answer: <see cref="VcpuStates"/>.</summary>
public sealed record GetVcpuStates : IProtocolMessage;

/// <param name="States">By CPU number.</param>
public sealed record VcpuStates(VcpuState[] States) : IProtocolMessage;

/// <summary>
/// Query: where one possible CPU (0 to one less than the possible CPUs) stands in each of the protocols. Answer: <see cref="VcpuStatus"/>.
/// </summary>
public sealed record GetVcpuStatus(int Cpu) : IProtocolMessage;

/// <param name="Admin">Where the administrator has the CPU, as in <see cref="CpusPowerState"/>.</param>
/// <param name="AcpiEnabled">What _STA tells the guest: present and enabled (true) or present only (false).</param>
/// <param name="GicAccessible">Whether the GIC CPU interface can be used.</param>
/// <param name="Actor">What the CPU's actor does.</param>
public sealed record VcpuStatus(
    int Cpu, CpuAdminState Admin, bool AcpiEnabled, bool GicAccessible, PsciPowerState Psci, VcpuState Actor) : IProtocolMessage;

/// <summary>
/// <see cref="GetVcpuStatus"/> with the administrative state, on its way to who knows the rest and answers with <see cref="VcpuStatus"/>.
/// </summary>
public sealed record DescribeVcpuStatus(int Cpu, CpuAdminState Admin) : IProtocolMessage;

/// <summary>What PSCI AFFINITY_INFO answers (Arm DEN 0022, section 5.7).</summary>
public enum PsciPowerState
{
    On,
    Off,
    OnPending,
}

/// <summary>A vCPU actor changed its state; told to its manager, which keeps the table.</summary>
public sealed record VcpuStateChanged(int Cpu, VcpuState State) : IProtocolMessage;

/// <summary>The thread of a vCPU actor; told to its manager.</summary>
/// <param name="Thread">The host's thread id (gettid(2)).</param>
public sealed record VcpuThreadStarted(int Cpu, int Thread) : IProtocolMessage;

/// <summary>Query: the host threads of the vCPUs. Answer: <see cref="VcpuThreads"/>.</summary>
public sealed record GetVcpuThreads : IProtocolMessage;

/// <param name="Threads">Host thread ids by position; 0 where there is no actor.</param>
public sealed record VcpuThreads(int[] Threads) : IProtocolMessage;
