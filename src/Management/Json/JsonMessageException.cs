namespace Vmm.Management.Json;

/// <summary>What was sent is no JSON as QEMU reads it; the message is what QEMU answers.</summary>
public sealed class JsonMessageException(string message) : Exception(message);
