namespace Vmm.Actors.Protocol;

/// <summary>Run states as QEMU's <c>query-status</c> names them: prelaunch, running, paused, shutdown, internal-error.</summary>
public static class VmRunState
{
    public const string Prelaunch = "prelaunch";
    public const string Running = "running";
    public const string Paused = "paused";
    public const string Shutdown = "shutdown";
    public const string InternalError = "internal-error";
}

/// <summary>Power on: reset the machine and start the boot CPU.</summary>
public sealed record StartVm : IProtocolMessage;

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
public sealed record MachineDescription(string CpuModel, int EnabledCpus, int Sockets, int Clusters, int Cores, int Threads) : IProtocolMessage;

public sealed record GetVmStatus : IProtocolMessage;

/// <summary>The answer to every command and query of the supervisor, and what it publishes on each change.</summary>
/// <param name="RunState">One of <see cref="VmRunState"/>.</param>
/// <param name="Detail">Why: the crash report, or empty.</param>
public sealed record VmStatus(string RunState, string Detail) : IProtocolMessage;

/// <summary>A part of the VM fails and is about to stop by itself; told to the supervisor.</summary>
/// <param name="Part">The name of the part's actor.</param>
public sealed record PartFailed(string Part, string Report) : IProtocolMessage;

/// <summary>A command that the run state does not allow.</summary>
public sealed record VmCommandRejected(string Reason) : IProtocolMessage;

public sealed record AttachCpuInterface(int Cpu) : IProtocolMessage;

public sealed record CpuInterfaceAttached(int Cpu) : IProtocolMessage;

public sealed record DetachCpuInterface(int Cpu) : IProtocolMessage;

public sealed record CpuInterfaceDetached(int Cpu) : IProtocolMessage;
