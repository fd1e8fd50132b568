namespace Vmm.Emulation.Devices.Virtio;

/// <summary>Device status bits (Virtual I/O Device 1.2, section 2.1).</summary>
[Flags]
public enum VirtioStatus : byte
{
    None = 0,
    Acknowledge = 1,
    Driver = 2,
    DriverOk = 4,
    FeaturesOk = 8,
    NeedsReset = 0x40,
    Failed = 0x80,
}

/// <summary>Feature bits that are no device type's own (Virtual I/O Device 1.2, section 6).</summary>
[Flags]
public enum VirtioFeatures : ulong
{
    None = 0,

    /// <summary>VIRTIO_F_INDIRECT_DESC: a descriptor may name a table of descriptors.</summary>
    IndirectDescriptors = 1ul << 28,

    /// <summary>VIRTIO_F_EVENT_IDX: either side says at which buffer it wants to be notified.</summary>
    EventIndex = 1ul << 29,

    /// <summary>VIRTIO_F_VERSION_1: no legacy device; a driver that does not take it is refused.</summary>
    Version1 = 1ul << 32,

    /// <summary>VIRTIO_F_RING_PACKED: the queues are packed rings.</summary>
    PackedRings = 1ul << 34,
}

/// <summary>Device IDs (Virtual I/O Device 1.2, section 5).</summary>
public enum VirtioDeviceId : ushort
{
    /// <summary>No device: a slot that is empty.</summary>
    None = 0,
    Network = 1,
    Block = 2,
    Console = 3,
    Entropy = 4,
    Balloon = 5,
    FileSystem9P = 9,
    Socket = 19,
}
