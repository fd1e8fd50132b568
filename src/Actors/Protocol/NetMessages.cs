namespace Vmm.Actors.Protocol;

/// <summary>A command for a network link.</summary>
public interface INetCommand : IProtocolMessage
{
    /// <summary>The name of the device or of its backend.</summary>
    string Link { get; }
}

/// <summary>
/// Take a device its link away, or give it back. Answer: <see cref="NetCommandDone"/> or <see cref="VmCommandRejected"/>.
/// </summary>
public sealed record SetNetLink(string Link, bool IsUp) : INetCommand;

/// <summary>
/// Forward a port of the host to the guest (<c>[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport</c>). Answer:
/// <see cref="NetCommandDone"/> or <see cref="VmCommandRejected"/>.
/// </summary>
public sealed record AddHostForward(string Link, string Rule) : INetCommand;

/// <summary>
/// Forward a port of the host no more (<c>[tcp|udp]:[hostaddr]:hostport</c>). Answer: <see cref="NetCommandDone"/>, or
/// <see cref="VmCommandRejected"/>, which says <see cref="RejectionCode.DeviceNotFound"/> of a port that is not forwarded.
/// </summary>
public sealed record RemoveHostForward(string Link, string Rule) : INetCommand;

/// <summary>Query: the connections of a user network. Answer: <see cref="NetConnections"/> or <see cref="VmCommandRejected"/>.</summary>
public sealed record GetNetConnections(string Link) : INetCommand;

/// <param name="Text">A table for people.</param>
public sealed record NetConnections(string Text) : IProtocolMessage;

/// <summary>
/// Tell the network where a guest is, some times. Answer: <see cref="NetCommandDone"/>.
/// </summary>
/// <param name="Initial">Milliseconds until the second time.</param>
/// <param name="Most">Milliseconds between two times at most.</param>
/// <param name="Rounds">How often.</param>
/// <param name="Step">By how many milliseconds the time grows.</param>
public sealed record AnnounceNet(string Link, int Initial, int Most, int Rounds, int Step) : INetCommand;

public sealed record NetCommandDone : IProtocolMessage;

/// <summary>A command for the network backends as a whole.</summary>
public interface INetdevCommand : IProtocolMessage;

/// <summary>
/// Make a network backend while the VM runs. Answer: <see cref="NetCommandDone"/> or <see cref="VmCommandRejected"/>.
/// </summary>
/// <param name="Options">As the command line has it, or a JSON object.</param>
public sealed record AddNetdev(string Options) : INetdevCommand;

/// <summary>End a network backend that no device has. Answers as for <see cref="AddNetdev"/>.</summary>
public sealed record RemoveNetdev(string Id) : INetdevCommand;

/// <summary>Query: the network devices and backends. Answer: <see cref="NetLinks"/>.</summary>
public sealed record GetNetLinks : IProtocolMessage;

/// <summary>The network devices, in the order of the board, and the backends, in parallel arrays.</summary>
/// <param name="Names">Of the devices, as the four that follow.</param>
/// <param name="Models">The driver, such as virtio-net-pci.</param>
/// <param name="Macs">The address now, in the form 52:54:00:12:34:56.</param>
/// <param name="Peers">The backend; empty for none.</param>
/// <param name="Filters">
/// Of each device <see cref="FieldsOfFilter"/>: modes of reception as numbers 0 and 1 (promiscuous, unicast overflow, multicast overflow,
/// broadcast), of unicast, multicast and VLANs 0 for none, 1 for normal and 2 for all.
/// </param>
/// <param name="Unicast">The addresses of each device's table, with spaces.</param>
/// <param name="Vlans">The VLANs of each device, with spaces.</param>
/// <param name="Netdevs">Of the backends, as the two that follow.</param>
public sealed record NetLinks(
    string[] Names,
    string[] Models,
    string[] Macs,
    string[] Peers,
    int[] Filters,
    string[] Unicast,
    string[] Multicast,
    string[] Vlans,
    string[] Netdevs,
    string[] Types,
    string[] Details) : IProtocolMessage
{
    public const int FieldsOfFilter = 7;
}
