namespace Vmm.Management.Hmp;

/// <summary>A command line is wrong. The message is QEMU's, without a final line end.</summary>
public sealed class HmpException(string message) : Exception(message);
