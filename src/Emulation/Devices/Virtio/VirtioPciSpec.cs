namespace Vmm.Emulation.Devices.Virtio;

/// <summary>The PCI transport (Virtual I/O Device 1.2, section 4.1); the windows are where QEMU has them.</summary>
internal static class VirtioPciSpec
{
    /// <summary>PCI device IDs are this and the virtio device ID (4.1.2.1).</summary>
    public const ushort FirstDeviceId = 0x1040;

    /// <summary>A device that is no transitional one has at least this revision (4.1.2.1).</summary>
    public const byte Revision = 1;

    // The base address registers, and the structures in the second of them, 4 KiB each.
    public const int MsixBar = 1;
    public const int StructuresBar = 4;
    public const ulong StructuresSize = 0x4000;
    public const int StructureSize = 0x1000;
    public const uint Common = 0x0000;
    public const uint InterruptStatus = 0x1000;
    public const uint Device = 0x2000;
    public const uint Notify = 0x3000;

    // Capabilities (4.1.4): type, bar, offset and length; the one of notifications has a multiplier behind it, the one of access data.
    public const byte CommonType = 1;
    public const byte NotifyType = 2;
    public const byte InterruptStatusType = 3;
    public const byte DeviceType = 4;
    public const byte AccessType = 5;
    public const int CapabilitySize = 16;
    public const int LongCapabilitySize = 20;
    public const int LengthField = 2;
    public const int TypeField = 3;
    public const int BarField = 4;
    public const int OffsetField = 8;
    public const int SizeField = 12;
    public const int ExtraField = 16;
    public const uint NotifyMultiplier = 4;

    // The common configuration (4.1.4.3).
    public const int DeviceFeatureSelect = 0x00;
    public const int DeviceFeature = 0x04;
    public const int DriverFeatureSelect = 0x08;
    public const int DriverFeature = 0x0C;
    public const int ConfigMsixVector = 0x10;
    public const int NumQueues = 0x12;
    public const int DeviceStatus = 0x14;
    public const int ConfigGeneration = 0x15;
    public const int QueueSelect = 0x16;
    public const int QueueSize = 0x18;
    public const int QueueMsixVector = 0x1A;
    public const int QueueEnable = 0x1C;
    public const int QueueNotifyOffset = 0x1E;
    public const int QueueDescriptors = 0x20;
    public const int QueueDriver = 0x28;
    public const int QueueDevice = 0x30;

    /// <summary>VIRTIO_MSI_NO_VECTOR.</summary>
    public const ushort NoVector = 0xFFFF;

    // The interrupt status (4.1.4.5).
    public const byte UsedBuffer = 1;
    public const byte ConfigurationChange = 2;
}
