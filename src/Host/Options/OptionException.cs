namespace Vmm.Host.Options;

/// <summary>An option is wrong. The message is one line for the user.</summary>
public sealed class OptionException(string message) : Exception(message);
