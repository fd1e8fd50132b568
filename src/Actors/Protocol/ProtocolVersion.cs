namespace Vmm.Actors.Protocol;

/// <summary>
/// The version of the messages. A message may get members with default values at any time; one that changes otherwise gets another manifest
/// (<see cref="Serialization.ProtocolSerializer"/>), and then the version counts up.
/// <list type="bullet">
/// <item>1: states, causes and subjects are text.</item>
/// <item>2: they are enumerations, and rejections have a <see cref="RejectionCode"/>.</item>
/// <item>3: the outcome of a request names its <see cref="HotplugOperation"/>, and a VM tells its devices.</item>
/// </list>
/// </summary>
public static class ProtocolVersion
{
    public const int Current = 3;
}
