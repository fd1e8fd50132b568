namespace Vmm.Fleet.Messages;

/// <summary>What a node is, and whether it takes VMs. Nodes tell it to the placement.</summary>
/// <param name="MemoryBytes">What its VMs together may have.</param>
/// <param name="Cores">Cores of the machine.</param>
/// <param name="Labels">Each is a key, <c>=</c> and a value.</param>
/// <param name="TakesVms">False: it is drained.</param>
/// <param name="Vms">VMs that have a process there.</param>
public sealed record NodeStatus(string Node, long MemoryBytes, int Cores, string[] Labels, bool TakesVms, int Vms) : IFleetMessage;

/// <summary>Query to a node. Answer: <see cref="NodeStatus"/>.</summary>
public sealed record GetNodeStatus : IFleetMessage;

/// <summary>Let a node take VMs or not: those that it has are to leave then. It is kept. Answer: <see cref="NodeStatus"/>.</summary>
public sealed record SetNodeTakesVms(bool TakesVms) : IFleetMessage;

/// <summary>A record tells the placement where its VM is.</summary>
/// <param name="Cpus">CPUs that are enabled, or will be.</param>
/// <param name="Node">Empty when there is no such VM any more.</param>
/// <param name="IsWanted">Whether it is to run. One that is not keeps its room, and is not moved.</param>
public sealed record VmLocated(
    string Vm, string Node, long MemoryBytes, int Cpus, bool IsWanted, PlacementSpec? Placement) : IFleetMessage;

/// <summary>Query to the placement: where a VM is to be. Answer: <see cref="VmPlaced"/>.</summary>
public sealed record PlaceVm(string Vm, long MemoryBytes, int Cpus, PlacementSpec? Placement) : IFleetMessage;

/// <param name="Node">Empty for none.</param>
/// <param name="Refusal">Why there is none: one line; else empty.</param>
public sealed record VmPlaced(string Vm, string Node, string Refusal) : IFleetMessage;
