namespace Vmm.Emulation.Devices.FwCfg;

/// <summary>
/// QEMU's firmware configuration device, in its form with memory-mapped registers (QEMU, docs/specs/fw_cfg.rst). Numbers of several bytes
/// are big-endian.
/// </summary>
internal static class FwCfgSpec
{
    public const ulong Data = 0x00;
    public const ulong DataSize = 8;
    public const ulong Selector = 0x08;
    public const ulong DmaAddress = 0x10;
    public const ulong DmaAddressLow = 0x14;
    public const ulong Size = 0x18;

    /// <summary>The value of the DMA address register when it is read, as bytes.</summary>
    public static ReadOnlySpan<byte> DmaSignature => "QEMU CFG"u8;

    /// <summary>The bit of a selector that asks for writing. The rest of the selector names the item.</summary>
    public const ushort WriteChannel = 0x4000;

    // Control word of a DMA descriptor; the selector is in bits 31:16.
    public const uint DmaError = 1;
    public const uint DmaRead = 2;
    public const uint DmaSkip = 4;
    public const uint DmaSelect = 8;
    public const uint DmaWrite = 16;

    /// <summary>Bytes of a descriptor: 32-bit control, 32-bit length, 64-bit address.</summary>
    public const int DescriptorSize = 16;

    /// <summary>Value of <see cref="FwCfgKey.Id"/>: bit 0 the data register, bit 1 DMA.</summary>
    public const uint Features = 3;

    public const int FileNameSize = 56;
    public const int FileEntrySize = 8 + FileNameSize;
}

/// <summary>Items with a fixed selector (QEMU, include/standard-headers/linux/qemu_fw_cfg.h).</summary>
public static class FwCfgKey
{
    public const ushort Signature = 0x00;
    public const ushort Id = 0x01;
    public const ushort Uuid = 0x02;
    public const ushort RamSize = 0x03;
    public const ushort NoGraphic = 0x04;
    public const ushort CpuCount = 0x05;
    public const ushort KernelSize = 0x08;
    public const ushort InitrdSize = 0x0B;
    public const ushort BootMenu = 0x0E;
    public const ushort MaxCpus = 0x0F;
    public const ushort KernelData = 0x11;
    public const ushort InitrdData = 0x12;
    public const ushort CommandLineSize = 0x14;
    public const ushort CommandLineData = 0x15;
    public const ushort FileDirectory = 0x19;

    /// <summary>The selector of the first file. The others follow in the order of the directory.</summary>
    public const ushort FirstFile = 0x20;
}
