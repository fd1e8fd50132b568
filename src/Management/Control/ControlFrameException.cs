namespace Vmm.Management.Control;

/// <summary>What came is no frame of the control protocol; the message is one line that says why.</summary>
public sealed class ControlFrameException(string message) : Exception(message);
