namespace Vmm.Management.Hmp;

/// <summary>A command line that cannot be; the message is QEMU's, without a final line end.</summary>
public sealed class HmpException(string message) : Exception(message);
