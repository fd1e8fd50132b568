namespace Vmm.Host.Options;

/// <summary>An option that cannot be; the message is one line for the user.</summary>
public sealed class OptionException(string message) : Exception(message);
