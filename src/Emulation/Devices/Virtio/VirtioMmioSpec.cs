namespace Vmm.Emulation.Devices.Virtio;

/// <summary>Registers of the MMIO transport, version 2 (Virtual I/O Device 1.2, section 4.2.2), 32 bits each.</summary>
internal static class VirtioMmioSpec
{
    public const uint Magic = 0x74726976; // "virt"
    public const uint ModernVersion = 2;
    public const uint Vendor = 0x554D4551; // "QEMU"

    public const ulong MagicValue = 0x000;
    public const ulong Version = 0x004;
    public const ulong DeviceId = 0x008;
    public const ulong VendorId = 0x00C;
    public const ulong DeviceFeatures = 0x010;
    public const ulong DeviceFeaturesSelect = 0x014;
    public const ulong DriverFeatures = 0x020;
    public const ulong DriverFeaturesSelect = 0x024;
    public const ulong QueueSelect = 0x030;
    public const ulong QueueSizeMax = 0x034;
    public const ulong QueueSize = 0x038;
    public const ulong QueueReady = 0x044;
    public const ulong QueueNotify = 0x050;
    public const ulong InterruptStatus = 0x060;
    public const ulong InterruptAcknowledge = 0x064;
    public const ulong Status = 0x070;
    public const ulong QueueDescriptorsLow = 0x080;
    public const ulong QueueDescriptorsHigh = 0x084;
    public const ulong QueueDriverLow = 0x090;
    public const ulong QueueDriverHigh = 0x094;
    public const ulong QueueDeviceLow = 0x0A0;
    public const ulong QueueDeviceHigh = 0x0A4;

    // Shared memory regions: there are none, which a length of all ones tells (2.10).
    public const ulong SharedMemoryLengthLow = 0x0B0;
    public const ulong SharedMemoryBaseHigh = 0x0BC;
    public const ulong ConfigurationGeneration = 0x0FC;
    public const ulong Configuration = 0x100;

    // Bits of InterruptStatus.
    public const uint UsedBuffer = 1;
    public const uint ConfigurationChange = 2;
}
