using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Devices.Virtio.Net;

/// <summary>A network device on virtio, with QEMU's properties of <c>virtio-net</c> and its defaults. Its maker has checked it.</summary>
/// <param name="Id"><c>id=</c>.</param>
/// <param name="Mac"><c>mac=</c>, as 48 bits, the first byte the highest.</param>
public sealed record VirtioNetConfig(string Id, ulong Mac) : VirtioConfig(Id)
{
    /// <summary>QEMU's default features, beside those that other properties give.</summary>
    public const VirtioNetFeatures DefaultFeatures = VirtioNetFeatures.Checksum | VirtioNetFeatures.GuestOffloads
        | VirtioNetFeatures.ControlOffloads | VirtioNetFeatures.Mac | VirtioNetFeatures.HostTso4 | VirtioNetFeatures.HostTso6
        | VirtioNetFeatures.HostEcn | VirtioNetFeatures.HostUfo | VirtioNetFeatures.MergeableBuffers | VirtioNetFeatures.Status
        | VirtioNetFeatures.ControlQueue | VirtioNetFeatures.ControlRx | VirtioNetFeatures.ControlVlan
        | VirtioNetFeatures.ControlRxExtra | VirtioNetFeatures.GuestAnnounce | VirtioNetFeatures.ControlMac;

    public override string TypeName => "virtio-net";

    /// <summary>The name in <c>info network</c> where the user gave none, as QEMU makes it: the driver and a number.</summary>
    public string Name { get; init; } = Id;

    /// <summary>The driver's name, such as <c>virtio-net-pci</c>.</summary>
    public string Model { get; init; } = "virtio-net-device";

    /// <summary><c>netdev=</c>; empty for none.</summary>
    public string Netdev { get; init; } = "";

    /// <summary>Pairs of queues (<c>queues=</c> of the backend, with <c>mq=on</c>).</summary>
    public int Pairs { get; init; } = 1;

    /// <summary><c>rx_queue_size=</c>: descriptors, a power of two.</summary>
    public int RxQueueSize { get; init; } = 256;

    /// <summary><c>tx_queue_size=</c>.</summary>
    public int TxQueueSize { get; init; } = 256;

    /// <summary><c>host_mtu=</c>: what the driver takes as its MTU; 0 for nothing said.</summary>
    public int HostMtu { get; init; }

    /// <summary><c>speed=</c>: megabits per second; negative for unknown.</summary>
    public int Speed { get; init; } = -1;

    /// <summary><c>duplex=</c>: 1 for full, 0 for half, 255 for unknown.</summary>
    public byte Duplex { get; init; } = byte.MaxValue;

    /// <summary><c>csum=</c>, <c>guest_tso4=</c> and so on.</summary>
    public VirtioNetFeatures Features { get; init; } = DefaultFeatures;

    /// <summary><c>packed=</c>, <c>event_idx=</c>, <c>indirect_desc=</c>.</summary>
    public VirtioFeatures Rings { get; init; } = VirtioFeatures.EventIndex | VirtioFeatures.IndirectDescriptors;

    public override string BootPath => "/ethernet-phy@0";

    public override VirtioDevice Make(IDmaMemory memory) => new VirtioNet(memory, this);
}
