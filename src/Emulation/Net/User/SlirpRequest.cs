using System.Text;

namespace Vmm.Emulation.Net.User;

/// <summary>
/// What a VM asks of the process that has its network: a packet with one of these and text or bytes behind it. The answer is a packet that
/// begins with <see cref="Done"/> or <see cref="Failed"/>. The process says <see cref="Done"/> once of its own accord, when it is ready.
/// </summary>
internal enum SlirpRequest : byte
{
    /// <summary>A rule (<see cref="HostForward"/>): listen.</summary>
    AddForward,

    /// <summary>The same: listen no more.</summary>
    RemoveForward,

    /// <summary>The text of <c>info usernet</c>.</summary>
    DescribeConnections,

    /// <summary>The library's state of the guest, behind 32 bits of its version.</summary>
    SaveState,

    /// <summary>The same, to be taken.</summary>
    LoadState,
}

/// <summary>Packets between a VM and the process that has its network.</summary>
internal static class SlirpPacket
{
    public const byte Done = (byte)'+';
    public const byte Failed = (byte)'-';

    /// <summary>Descriptors of the process: frames, and requests.</summary>
    public const int FrameDescriptor = 3;
    public const int RequestDescriptor = 4;

    /// <summary>No packet of requests or answers is larger.</summary>
    public const int MostBytes = 128 << 10;

    public static byte[] Of(byte first, string text) => [first, .. Encoding.UTF8.GetBytes(text)];
}
