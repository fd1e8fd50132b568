namespace Vmm.Actors.Protocol;

/// <summary>The first message of a VM on a connection of its control socket.</summary>
/// <param name="Protocol">The <see cref="ProtocolVersion"/> of the VM.</param>
/// <param name="Process">The process id of the VM.</param>
public sealed record ControlGreeting(int Protocol, int Process) : IProtocolMessage;

/// <summary>
/// From here on the connection is sent what the VM publishes. Answer: <see cref="EventsSubscribed"/>. A client that does not read its
/// events loses its connection.
/// </summary>
public sealed record SubscribeEvents : IProtocolMessage;

public sealed record EventsSubscribed : IProtocolMessage;

/// <summary>End the VM's process in good order. Answer: <see cref="VmQuitting"/>, then the connection ends.</summary>
public sealed record QuitVm : IProtocolMessage;

public sealed record VmQuitting : IProtocolMessage;
