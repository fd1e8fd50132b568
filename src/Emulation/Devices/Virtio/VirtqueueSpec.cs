namespace Vmm.Emulation.Devices.Virtio;

/// <summary>Numbers of the rings (Virtual I/O Device 1.2, sections 2.7 and 2.8). All words are little endian.</summary>
internal static class VirtqueueSpec
{
    public const int MaxSize = 32768;

    /// <summary>Bytes of a descriptor of either ring.</summary>
    public const int DescriptorSize = 16;

    // Flags of a descriptor.
    public const ushort Next = 1 << 0;
    public const ushort Write = 1 << 1;
    public const ushort Indirect = 1 << 2;
    public const ushort Available = 1 << 7;
    public const ushort Used = 1 << 15;

    // Split rings: "flags" and "idx" come before the elements of the available and the used ring.
    public const int RingHeader = 4;
    public const int RingIndex = 2;
    public const int AvailableElement = 2;
    public const int UsedElement = 8;
    public const ushort NoInterrupt = 1;
    public const ushort NoNotify = 1;

    // Packed rings: an event suppression area is an offset with a wrap counter, and flags.
    public const int EventFlags = 2;
    public const ushort EventEnable = 0;
    public const ushort EventDisable = 1;
    public const ushort EventDescriptor = 2;
    public const ushort EventWrap = 1 << 15;
}
