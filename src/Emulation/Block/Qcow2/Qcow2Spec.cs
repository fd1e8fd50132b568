namespace Vmm.Emulation.Block.Qcow2;

/// <summary>Numbers of the qcow2 format (QEMU, docs/interop/qcow2.txt) and the limits that QEMU sets to its images.</summary>
internal static class Qcow2Spec
{
    /// <summary>"QFI" and 0xFB, big endian as all numbers of the format.</summary>
    public const uint Magic = 0x514649FB;

    // Offsets of the header's fields.
    public const int BackingFileOffset = 8;
    public const int BackingFileSize = 16;
    public const int ClusterBits = 20;
    public const int DiskSize = 24;
    public const int CryptMethod = 32;
    public const int L1Size = 36;
    public const int L1TableOffset = 40;
    public const int RefcountTableOffset = 48;
    public const int RefcountTableClusters = 56;
    public const int SnapshotCount = 60;
    public const int SnapshotsOffset = 64;
    public const int IncompatibleFeatures = 72;
    public const int CompatibleFeatures = 80;
    public const int AutoclearFeatures = 88;
    public const int RefcountOrder = 96;
    public const int HeaderLength = 100;
    public const int CompressionType = 104;

    public const int Version2Length = 72;
    public const int Version3Length = 104;
    public const int CreatedLength = 112;

    // Incompatible features.
    public const ulong Dirty = 1 << 0;
    public const ulong Corrupt = 1 << 1;
    public const ulong ExternalDataFile = 1 << 2;
    public const ulong CompressionTypeBit = 1 << 3;
    public const ulong ExtendedL2 = 1 << 4;

    // Compatible features.
    public const ulong LazyRefcounts = 1 << 0;

    // Types of header extensions.
    public const uint EndOfExtensions = 0;
    public const uint BackingFormat = 0xE2792ACA;
    public const uint FeatureNames = 0x6803F857;
    public const int FeatureNameLength = 48;

    // Entries of the L1 and L2 tables.
    public const ulong OffsetMask = 0x00FF_FFFF_FFFF_FE00;
    public const ulong Copied = 1ul << 63;
    public const ulong Compressed = 1ul << 62;
    public const ulong ZeroFlag = 1;
    public const ulong RefcountOffsetMask = ~0x1FFul;

    public const int EntrySize = sizeof(ulong);
    public const int SectorSize = 512;

    public const int MinClusterBits = 9;
    public const int MaxClusterBits = 21;
    public const int MaxRefcountOrder = 6;
    public const long MaxL1Bytes = 32 << 20;
    public const long MaxRefcountTableBytes = 8 << 20;
    public const int MaxSnapshots = 65536;
    public const int MaxSnapshotExtra = 1024;
    public const int MaxBackingName = 1023;
    public const long MaxHostOffset = 1L << 56;
}
