namespace Vmm.Management.Json;

/// <summary>A message is no JSON as QEMU reads it. The text is QEMU's answer.</summary>
public sealed class JsonMessageException(string message) : Exception(message);
