namespace Vmm.Actors.Protocol;

/// <summary>A message of the control plane: a sealed record of primitives, with a manifest in the serializer.</summary>
public interface IProtocolMessage;

/// <summary>Make the actor of a CPU that is to be enabled. Answer: <see cref="VcpuReady"/>.</summary>
public sealed record CreateVcpu(int Cpu) : IProtocolMessage;

/// <summary>The CPU can be powered on (PSCI CPU_ON); it is off. The thread of its actor may still be about to start.</summary>
public sealed record VcpuReady(int Cpu) : IProtocolMessage;

/// <summary>Stop the actor and its thread. Answer: <see cref="VcpuRemoved"/>.</summary>
public sealed record RemoveVcpu(int Cpu) : IProtocolMessage;

public sealed record VcpuRemoved(int Cpu) : IProtocolMessage;

/// <summary>The guest called PSCI CPU_ON.</summary>
public sealed record PowerOnVcpu(int Cpu, ulong EntryPoint, ulong Context) : IProtocolMessage;

/// <summary>Run from the state that the machine's reset or a snapshot has left.</summary>
public sealed record StartBootVcpu : IProtocolMessage;

/// <summary>Forget what was running: the machine was reset while it was paused.</summary>
public sealed record ResetVcpus : IProtocolMessage;

/// <summary>Stop all vCPUs. Answer: <see cref="VcpusPaused"/>, when no vCPU thread touches the machine.</summary>
public sealed record PauseVcpus : IProtocolMessage;

public sealed record VcpusPaused : IProtocolMessage;

public sealed record ResumeVcpus : IProtocolMessage;

public sealed record PauseVcpu : IProtocolMessage;

public sealed record VcpuPaused(int Cpu) : IProtocolMessage;

public sealed record ResumeVcpu : IProtocolMessage;

public sealed record ResetVcpu : IProtocolMessage;

/// <summary>The vCPU's run loop threw an exception, which is a defect of Vmm.</summary>
/// <param name="Report">The exception and the registers.</param>
public sealed record VcpuFailed(int Cpu, string Report) : IProtocolMessage;

/// <summary>The guest called PSCI SYSTEM_OFF.</summary>
public sealed record GuestPoweredOff(int Cpu) : IProtocolMessage;

/// <summary>The guest called PSCI SYSTEM_RESET.</summary>
public sealed record GuestReset(int Cpu) : IProtocolMessage;

/// <summary>The state of the actor of a possible CPU.</summary>
public enum VcpuState
{
    /// <summary>The CPU is not enabled, and has no actor.</summary>
    None,

    /// <summary>The CPU is off in the sense of PSCI.</summary>
    PoweredOff,
    Running,

    /// <summary>The CPU waits in WFI, and its thread sleeps.</summary>
    Parked,

    /// <summary>The VM is paused.</summary>
    Paused,
}

/// <summary>Query: the present states of all vCPUs. Answer: <see cref="VcpuStates"/>.</summary>
public sealed record GetVcpuStates : IProtocolMessage;

/// <param name="States">The states by CPU number.</param>
public sealed record VcpuStates(VcpuState[] States) : IProtocolMessage;

/// <summary>
/// Query: the state of one possible CPU in each protocol. Answer: <see cref="VcpuStatus"/>.
/// </summary>
/// <param name="Cpu">The number: 0 to one less than the number of possible CPUs.</param>
public sealed record GetVcpuStatus(int Cpu) : IProtocolMessage;

/// <param name="Admin">The administrative state, as in <see cref="CpusPowerState"/>.</param>
/// <param name="AcpiEnabled">Whether _STA tells the guest that the CPU is enabled; present it always is.</param>
/// <param name="GicAccessible">Whether the CPU interface of the GIC can be used.</param>
/// <param name="Actor">The state of the CPU's actor.</param>
public sealed record VcpuStatus(
    int Cpu, CpuAdminState Admin, bool AcpiEnabled, bool GicAccessible, PsciPowerState Psci, VcpuState Actor) : IProtocolMessage;

/// <summary>
/// <see cref="GetVcpuStatus"/> with the administrative state. The receiver adds the rest and answers with <see cref="VcpuStatus"/>.
/// </summary>
public sealed record DescribeVcpuStatus(int Cpu, CpuAdminState Admin) : IProtocolMessage;

/// <summary>The answers of PSCI AFFINITY_INFO (Arm DEN 0022, section 5.7).</summary>
public enum PsciPowerState
{
    On,
    Off,
    OnPending,
}

/// <summary>A vCPU actor tells its manager, which keeps the table, of its new state.</summary>
public sealed record VcpuStateChanged(int Cpu, VcpuState State) : IProtocolMessage;

/// <summary>A vCPU actor tells its manager of its thread.</summary>
/// <param name="Thread">The host's thread id (gettid(2)).</param>
public sealed record VcpuThreadStarted(int Cpu, int Thread) : IProtocolMessage;

/// <summary>Query: how long the vCPUs have run. Answer: <see cref="VcpuTimes"/>.</summary>
public sealed record GetVcpuTimes : IProtocolMessage;

/// <summary>
/// Times of a VM and of its possible CPUs, by their number, in nanoseconds of the host's clock. Those of one meter never go back: time
/// does not pass for them while the VM is paused, and a reset, a loaded snapshot and a CPU that leaves change nothing. A process that
/// starts has a new meter at 0, also when it starts from a snapshot. With a live migration the meter goes on at the receiver, and stands
/// still at the sender; one by way of a file begins a new one.
/// </summary>
/// <param name="Meter">Which meter: a UUID.</param>
/// <param name="RunNs">How long the VM has run, with at least its boot CPU.</param>
/// <param name="BusyNs">
/// How long the CPU has executed instructions. What the CPU waits in WFI is not part of it, nor what a migration slows it down; time in
/// which the host had no core for its thread is.
/// </param>
/// <param name="EnabledNs">How long the CPU was enabled while the VM ran.</param>
/// <param name="States">What the CPU does now.</param>
public sealed record VcpuTimes(string Meter, long RunNs, long[] BusyNs, long[] EnabledNs, VcpuState[] States) : IProtocolMessage;

/// <summary>Query: the host threads of the vCPUs. Answer: <see cref="VcpuThreads"/>.</summary>
public sealed record GetVcpuThreads : IProtocolMessage;

/// <param name="Threads">Host thread ids by CPU number; 0 where there is no actor.</param>
public sealed record VcpuThreads(int[] Threads) : IProtocolMessage;
