namespace Vmm.Emulation.Devices.Virtio.Block;

/// <summary>Numbers of the block device (Virtual I/O Device 1.2, section 5.2). All words are little endian.</summary>
internal static class VirtioBlkSpec
{
    /// <summary>Bytes of a sector, the unit of the protocol.</summary>
    public const int SectorSize = 512;

    // Feature bits.
    public const ulong SegmentsMax = 1ul << 2;
    public const ulong Geometry = 1ul << 4;
    public const ulong ReadOnly = 1ul << 5;
    public const ulong BlockSize = 1ul << 6;
    public const ulong Flush = 1ul << 9;
    public const ulong Topology = 1ul << 10;
    public const ulong ConfigurableWriteCache = 1ul << 11;
    public const ulong ManyQueues = 1ul << 12;
    public const ulong Discard = 1ul << 13;
    public const ulong WriteZeroes = 1ul << 14;

    // The configuration space (5.2.4), without secure erase and zones.
    public const int ConfigurationSize = 60;
    public const int Capacity = 0;
    public const int SegmentsMaxAt = 12;
    public const int Cylinders = 16;
    public const int Heads = 18;
    public const int Sectors = 19;
    public const int BlockSizeAt = 20;
    public const int PhysicalBlockExponent = 24;
    public const int MinimumIoSize = 26;
    public const int OptimalIoSize = 28;
    public const int WriteBack = 32;
    public const int Queues = 34;
    public const int DiscardSectorsMax = 36;
    public const int DiscardSegmentsMax = 40;
    public const int DiscardAlignment = 44;
    public const int WriteZeroesSectorsMax = 48;
    public const int WriteZeroesSegmentsMax = 52;
    public const int WriteZeroesMayUnmap = 56;

    // The header of a request: type, reserved, sector (5.2.6).
    public const int HeaderSize = 16;
    public const int HeaderSector = 8;

    // Types of requests.
    public const uint In = 0;
    public const uint Out = 1;
    public const uint FlushRequest = 4;
    public const uint GetId = 8;
    public const uint DiscardRequest = 11;
    public const uint WriteZeroesRequest = 13;

    /// <summary>Bytes of what GET_ID returns.</summary>
    public const int IdSize = 20;

    // A range of DISCARD and WRITE_ZEROES: sector, number of sectors, flags.
    public const int RangeSize = 16;
    public const int RangeSectors = 8;
    public const int RangeFlags = 12;
    public const uint Unmap = 1;

    // The last byte that the device writes.
    public const byte Ok = 0;
    public const byte IoError = 1;
    public const byte Unsupported = 2;
}
