namespace Vmm.Management.CharacterDevices;

/// <summary>A character device cannot be opened; the message is one line that says why.</summary>
public sealed class CharacterDeviceException(string message) : Exception(message);
