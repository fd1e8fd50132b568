namespace Vmm.Emulation.Devices.Virtio.Net;

/// <summary>Features of the network device (Virtual I/O Device 1.2, section 5.1.3).</summary>
[Flags]
public enum VirtioNetFeatures : ulong
{
    None = 0,

    /// <summary>VIRTIO_NET_F_CSUM: frames come with checksums that are to be completed.</summary>
    Checksum = 1ul << 0,

    /// <summary>VIRTIO_NET_F_GUEST_CSUM: the driver takes such frames.</summary>
    GuestChecksum = 1ul << 1,

    /// <summary>VIRTIO_NET_F_CTRL_GUEST_OFFLOADS: the driver turns what it takes off and on.</summary>
    ControlOffloads = 1ul << 2,

    /// <summary>VIRTIO_NET_F_MTU: the configuration space has an MTU.</summary>
    Mtu = 1ul << 3,

    /// <summary>VIRTIO_NET_F_MAC: the configuration space has an address.</summary>
    Mac = 1ul << 5,

    /// <summary>VIRTIO_NET_F_GUEST_TSO4: the driver takes frames of TCP over IPv4 that are to be cut.</summary>
    GuestTso4 = 1ul << 7,

    /// <summary>VIRTIO_NET_F_GUEST_TSO6.</summary>
    GuestTso6 = 1ul << 8,

    /// <summary>VIRTIO_NET_F_GUEST_ECN: such frames may have explicit congestion notification.</summary>
    GuestEcn = 1ul << 9,

    /// <summary>VIRTIO_NET_F_GUEST_UFO: the driver takes frames of UDP that are to be cut.</summary>
    GuestUfo = 1ul << 10,

    /// <summary>VIRTIO_NET_F_HOST_TSO4: the device takes frames of TCP over IPv4 that are to be cut.</summary>
    HostTso4 = 1ul << 11,

    /// <summary>VIRTIO_NET_F_HOST_TSO6.</summary>
    HostTso6 = 1ul << 12,

    /// <summary>VIRTIO_NET_F_HOST_ECN.</summary>
    HostEcn = 1ul << 13,

    /// <summary>VIRTIO_NET_F_HOST_UFO.</summary>
    HostUfo = 1ul << 14,

    /// <summary>VIRTIO_NET_F_MRG_RXBUF: a frame may be in several buffers of the driver.</summary>
    MergeableBuffers = 1ul << 15,

    /// <summary>VIRTIO_NET_F_STATUS: the configuration space says whether there is a link.</summary>
    Status = 1ul << 16,

    /// <summary>VIRTIO_NET_F_CTRL_VQ: there is a control queue.</summary>
    ControlQueue = 1ul << 17,

    /// <summary>VIRTIO_NET_F_CTRL_RX: it has modes of reception.</summary>
    ControlRx = 1ul << 18,

    /// <summary>VIRTIO_NET_F_CTRL_VLAN: it has a filter of VLANs.</summary>
    ControlVlan = 1ul << 19,

    /// <summary>VIRTIO_NET_F_CTRL_RX_EXTRA: it has more modes of reception.</summary>
    ControlRxExtra = 1ul << 20,

    /// <summary>VIRTIO_NET_F_GUEST_ANNOUNCE: the driver tells the network where it is when it is asked to.</summary>
    GuestAnnounce = 1ul << 21,

    /// <summary>VIRTIO_NET_F_MQ: there are several pairs of queues.</summary>
    MultipleQueues = 1ul << 22,

    /// <summary>VIRTIO_NET_F_CTRL_MAC_ADDR: the driver sets its address by the control queue.</summary>
    ControlMac = 1ul << 23,

    /// <summary>VIRTIO_NET_F_SPEED_DUPLEX: the configuration space has the speed of the link.</summary>
    SpeedDuplex = 1ul << 63,

    /// <summary>Those that the driver may turn off and on (5.1.6.5.6).</summary>
    GuestOffloads = GuestChecksum | GuestTso4 | GuestTso6 | GuestEcn | GuestUfo,
}

/// <summary>Numbers of the network device (Virtual I/O Device 1.2, section 5.1). All words are little endian.</summary>
internal static class VirtioNetSpec
{
    // The configuration space (5.1.4).
    public const int Mac = 0;
    public const int MacSize = 6;
    public const int StatusField = 6;
    public const int MaxPairs = 8;
    public const int MtuField = 10;
    public const int Speed = 12;
    public const int Duplex = 16;
    public const int ConfigurationSize = 17;
    public const ushort LinkUp = 1;
    public const ushort Announce = 2;

    // Commands of the control queue (5.1.6.5): a class and a command, their data, and the device's answer.
    public const int CommandHeader = 2;
    public const byte Ok = 0;
    public const byte Error = 1;
    public const byte RxClass = 0;
    public const byte MacClass = 1;
    public const byte MacTableSet = 0;
    public const byte MacAddressSet = 1;
    public const byte VlanClass = 2;
    public const byte VlanAdd = 0;
    public const byte VlanDelete = 1;
    public const byte AnnounceClass = 3;
    public const byte AnnounceAcknowledge = 0;
    public const byte MultiqueueClass = 4;
    public const byte PairsSet = 0;
    public const byte OffloadsClass = 5;
    public const byte OffloadsSet = 0;

    /// <summary>Descriptors of the control queue, as QEMU has it.</summary>
    public const int ControlQueueSize = 64;
}
