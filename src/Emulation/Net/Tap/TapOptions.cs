namespace Vmm.Emulation.Net.Tap;

/// <summary>What <c>-netdev tap</c> and <c>-netdev bridge</c> are told (QEMU, qapi/net.json).</summary>
/// <param name="Type">The type that was asked for: tap or bridge.</param>
public sealed record TapOptions(string Type)
{
    /// <summary>The bridge of the host that an interface is put into where none is named.</summary>
    public const string DefaultBridge = "br0";

    /// <summary>The program that makes an interface in a bridge for users who may not.</summary>
    public const string DefaultHelper = "/usr/lib/qemu/qemu-bridge-helper";

    /// <summary>The program that sets an interface up where none is named, and the one that takes it down.</summary>
    public const string DefaultScript = "/etc/qemu-ifup";
    public const string DefaultDownScript = "/etc/qemu-ifdown";

    /// <summary>The name of the interface; empty for one that the host chooses.</summary>
    public string InterfaceName { get; init; } = "";

    /// <summary>A program that sets the interface up, with its name as argument; null for none.</summary>
    public string? Script { get; init; }

    /// <summary>A program that takes the interface down at the end; null for none.</summary>
    public string? DownScript { get; init; }

    /// <summary>An open descriptor of an interface, which this process has inherited; null for none.</summary>
    public int? Descriptor { get; init; }

    /// <summary>The bridge that the interface is put into; null for none.</summary>
    public string? Bridge { get; init; }

    /// <summary>A program that makes the interface and puts it into the bridge; null for none.</summary>
    public string? Helper { get; init; }

    /// <summary>Whether frames have virtio's header, so that large ones and those without checksums pass; null where it can be.</summary>
    public bool? VirtioHeader { get; init; }

    /// <summary>Bytes that may wait to be sent; 0 for no bound.</summary>
    public int SendBuffer { get; init; }
}
