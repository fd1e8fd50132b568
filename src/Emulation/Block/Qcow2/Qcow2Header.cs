using System.Buffers.Binary;
using System.Text;
using static Vmm.Emulation.Block.Qcow2.Qcow2Spec;

namespace Vmm.Emulation.Block.Qcow2;

/// <summary>The header of an image and its extensions, read and judged (QEMU, docs/interop/qcow2.txt, "Header").</summary>
internal sealed class Qcow2Header
{
    private static readonly string[] s_incompatible =
        ["dirty bit", "corrupt bit", "external data file", "compression type", "extended L2 entries"];

    /// <summary>2 or 3.</summary>
    public int Version { get; private init; }

    public int ClusterBits { get; private init; }

    public int ClusterSize => 1 << ClusterBits;

    /// <summary>Bytes of the disk.</summary>
    public long DiskSize { get; private init; }

    public int L1Size { get; private init; }

    public long L1Offset { get; private init; }

    public long RefcountTableOffset { get; private init; }

    public int RefcountTableClusters { get; private init; }

    public int RefcountOrder { get; private init; } = 4;

    public int SnapshotCount { get; private init; }

    public long SnapshotsOffset { get; private init; }

    public ulong Incompatible { get; private init; }

    public ulong Compatible { get; private init; }

    public ulong Autoclear { get; private init; }

    /// <summary>Compressed clusters are zstd's, else zlib's.</summary>
    public bool IsZstd { get; private init; }

    /// <summary>As the header has it; null for none.</summary>
    public string? BackingFile { get; private set; }

    /// <summary>The format of the backing file; null when the header does not say.</summary>
    public string? BackingFormat { get; private set; }

    /// <summary>Entries of an L2 table.</summary>
    public int L2Entries => ClusterSize / EntrySize;

    /// <summary>Entries that an L1 table needs for a disk of a size.</summary>
    public long L1EntriesFor(long size) => Divide(Divide(size, ClusterSize), L2Entries);

    public static long Divide(long dividend, long divisor) => (dividend / divisor) + (dividend % divisor == 0 ? 0 : 1);

    /// <summary>Reads the header of an image.</summary>
    /// <exception cref="BlockException">It is none, is damaged, or needs what is not supported.</exception>
    public static Qcow2Header Read(BlockNode file)
    {
        string name = file.FileName ?? "image";
        Span<byte> fixedPart = stackalloc byte[CreatedLength];
        Check(file.Read(0, fixedPart), name);
        uint version = U32(fixedPart, 4);
        if (U32(fixedPart, 0) != Magic || file.Size < Version2Length)
        {
            throw new BlockException($"'{name}' is no qcow2 image; a raw image is opened with format=raw");
        }

        if (version is not (2 or 3))
        {
            throw new BlockException($"'{name}' is of version {version} of the qcow2 format; versions 2 and 3 are supported");
        }

        bool v3 = version == 3;
        uint clusterBits = U32(fixedPart, Qcow2Spec.ClusterBits);
        uint length = v3 ? U32(fixedPart, HeaderLength) : Version2Length;
        Require(clusterBits is >= MinClusterBits and <= MaxClusterBits, name, $"clusters of 2^{clusterBits} bytes; 2^9 to 2^21 are valid");
        int cluster = 1 << (int)clusterBits;
        Require(
            length >= (v3 ? Version3Length : Version2Length) && length <= cluster && length % 8 == 0, name, $"a header of {length} bytes");

        ulong incompatible = v3 ? U64(fixedPart, IncompatibleFeatures) : 0;
        byte compression = v3 && length > CompressionType ? fixedPart[CompressionType] : (byte)0;
        ulong size = U64(fixedPart, Qcow2Spec.DiskSize);
        Require(size <= long.MaxValue / 2, name, $"a disk of {size} bytes");
        var header = new Qcow2Header
        {
            Version = (int)version,
            ClusterBits = (int)clusterBits,
            DiskSize = (long)size,
            L1Size = Bounded(U32(fixedPart, Qcow2Spec.L1Size), MaxL1Bytes / EntrySize, name, "entries of the L1 table"),
            L1Offset = Place(U64(fixedPart, L1TableOffset), cluster, name, "the L1 table"),
            RefcountTableOffset = Place(U64(fixedPart, Qcow2Spec.RefcountTableOffset), cluster, name, "the refcount table"),
            RefcountTableClusters = Bounded(
                U32(fixedPart, Qcow2Spec.RefcountTableClusters), MaxRefcountTableBytes / cluster, name, "clusters of the refcount table"),
            RefcountOrder = v3 ? Bounded(U32(fixedPart, Qcow2Spec.RefcountOrder), MaxRefcountOrder, name, "as refcount order") : 4,
            SnapshotCount = Bounded(U32(fixedPart, Qcow2Spec.SnapshotCount), MaxSnapshots, name, "snapshots"),
            SnapshotsOffset = Place(U64(fixedPart, Qcow2Spec.SnapshotsOffset), cluster, name, "the snapshot table"),
            Incompatible = incompatible,
            Compatible = v3 ? U64(fixedPart, CompatibleFeatures) : 0,
            Autoclear = v3 ? U64(fixedPart, AutoclearFeatures) : 0,
            IsZstd = compression == 1,
        };

        header.ReadExtensions(file, name, (int)length, U64(fixedPart, BackingFileOffset), U32(fixedPart, BackingFileSize));
        uint crypt = U32(fixedPart, CryptMethod);
        if (crypt != 0)
        {
            string method = crypt == 1 ? "AES" : crypt == 2 ? "LUKS" : $"method {crypt}";
            throw new BlockException($"'{name}' is encrypted ({method}); encrypted images are not supported");
        }

        Require(compression <= 1 && (compression != 0) == ((incompatible & CompressionTypeBit) != 0), name,
            $"compression type {compression}; 0 is zlib, and 1 with its feature bit is zstd");
        Require(header.L1EntriesFor(header.DiskSize) <= header.L1Size, name,
            $"an L1 table of {header.L1Size} entries for a disk of {header.DiskSize} bytes, which needs more");
        Require(header.RefcountTableClusters > 0 && header.RefcountTableOffset > 0, name, "no refcount table");
        long end = Divide(file.Size, cluster) * cluster;
        Require(header.L1Offset + ((long)header.L1Size * EntrySize) <= end, name, "an L1 table beyond the end of the file");
        Require(header.RefcountTableOffset + ((long)header.RefcountTableClusters * cluster) <= end, name,
            "a refcount table beyond the end of the file");
        return header;
    }

    private void ReadExtensions(BlockNode file, string name, int length, ulong backingOffset, uint backingLength)
    {
        Require(backingOffset <= (ulong)(ClusterSize - Math.Min(backingLength, ClusterSize)) || backingOffset == 0, name,
            "the name of its backing file outside its first cluster");
        byte[] cluster = new byte[Math.Min(ClusterSize, Math.Max(file.Size, length))];
        Check(file.Read(0, cluster), name);
        int end = backingOffset == 0 ? cluster.Length : (int)Math.Min(backingOffset, (ulong)cluster.Length);
        var names = new Dictionary<(byte Type, byte Bit), string>();
        for (int at = length; at + 8 <= end;)
        {
            uint type = U32(cluster, at);
            uint size = U32(cluster, at + 4);
            if (type == EndOfExtensions)
            {
                break;
            }

            Require(size <= (uint)(end - at - 8), name, $"a header extension of {size} bytes, which is more than there is room for");
            ReadOnlySpan<byte> data = cluster.AsSpan(at + 8, (int)size);
            if (type == Qcow2Spec.BackingFormat)
            {
                BackingFormat = Text(data);
            }
            else if (type == FeatureNames)
            {
                for (; data.Length >= FeatureNameLength; data = data[FeatureNameLength..])
                {
                    names[(data[0], data[1])] = Text(data[2..FeatureNameLength]);
                }
            }

            at += 8 + (int)((size + 7) & ~7u);
        }

        if (backingOffset != 0)
        {
            Require(backingLength is > 0 and <= MaxBackingName, name, $"a name of its backing file of {backingLength} bytes");
            Require((long)backingOffset + backingLength <= cluster.Length, name, "the name of its backing file beyond its end");
            BackingFile = Encoding.UTF8.GetString(cluster, (int)backingOffset, (int)backingLength);
        }

        const ulong Supported = Dirty | Corrupt | CompressionTypeBit;
        string[] refused = [.. Enumerable.Range(0, 64).Where(bit => ((Incompatible & ~Supported) >> bit & 1) != 0).Select(bit =>
            names.TryGetValue((0, (byte)bit), out string? word) && word.Length > 0 ? word
            : bit < s_incompatible.Length ? s_incompatible[bit] : $"incompatible feature {bit}")];
        if (refused.Length > 0)
        {
            throw new BlockException($"'{name}' needs what is not supported: {string.Join(", ", refused)}");
        }
    }

    private static string Text(ReadOnlySpan<byte> bytes)
    {
        int end = bytes.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? bytes : bytes[..end]);
    }

    private static int Bounded(uint value, long most, string name, string what)
    {
        Require(value <= most, name, $"{value} {what}; at most {most} are valid");
        return (int)value;
    }

    private static long Place(ulong offset, int cluster, string name, string what)
    {
        Require(offset % (ulong)cluster == 0 && offset < (ulong)MaxHostOffset, name, $"{what} at 0x{offset:x}, which is no cluster");
        return (long)offset;
    }

    private static void Check(Errno error, string name)
    {
        if (error != Errno.None)
        {
            throw new BlockException($"'{name}' cannot be read: {HostFile.Message(error)}");
        }
    }

    private static void Require(bool condition, string name, string what)
    {
        if (!condition)
        {
            throw new BlockException($"'{name}' is damaged: it has {what}");
        }
    }

    private static uint U32(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32BigEndian(bytes[at..]);

    private static ulong U64(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt64BigEndian(bytes[at..]);
}
