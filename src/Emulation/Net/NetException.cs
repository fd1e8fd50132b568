namespace Vmm.Emulation.Net;

/// <summary>A network backend cannot be had; the message is one line.</summary>
public sealed class NetException : Exception
{
    public NetException(string message)
        : base(message)
    {
    }

    public NetException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    public NetException()
    {
    }

    /// <summary>The host does not let this process have it, and lets more privileged ones.</summary>
    public bool IsPermission { get; init; }
}
