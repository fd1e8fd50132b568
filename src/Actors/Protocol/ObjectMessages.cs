namespace Vmm.Actors.Protocol;

/// <summary>A command for the objects of the host that devices and migrations refer to by id (<c>-object</c>).</summary>
public interface IObjectCommand : IProtocolMessage;

/// <summary>
/// Make an object while the VM runs. Answer: <see cref="ObjectCommandDone"/> or <see cref="VmCommandRejected"/>.
/// </summary>
/// <param name="Options">As the command line has it, or a JSON object.</param>
public sealed record AddObject(string Options) : IObjectCommand;

/// <summary>Forget an object that nothing has. Answers as for <see cref="AddObject"/>.</summary>
public sealed record RemoveObject(string Id) : IObjectCommand;

public sealed record ObjectCommandDone : IProtocolMessage;
