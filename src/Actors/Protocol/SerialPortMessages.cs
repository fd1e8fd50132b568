namespace Vmm.Actors.Protocol;

/// <summary>Published: a program of the guest has opened or closed a port of a virtio console.</summary>
/// <param name="Device">The <c>id=</c> of the port.</param>
public sealed record SerialPortChanged(string Device, bool IsOpen) : IProtocolMessage;
