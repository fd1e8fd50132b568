using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Vmm.Emulation.Block.Qcow2;

/// <summary>What a new qcow2 image is like; the defaults and the names are those of <c>qemu-img create -o</c>.</summary>
public sealed record Qcow2Options
{
    /// <summary>Bytes of the disk; null for as many as the backing file has.</summary>
    public long? Size { get; init; }

    /// <summary><c>cluster_size</c>: bytes; a power of two from 512 to 2 MiB.</summary>
    public int ClusterSize { get; init; } = 64 << 10;

    /// <summary><c>refcount_bits</c>: a power of two from 1 to 64; 16 in version 2.</summary>
    public int RefcountBits { get; init; } = 16;

    /// <summary><c>compat</c>: 2 ("0.10") or 3 ("1.1").</summary>
    public int Version { get; init; } = 3;

    /// <summary><c>lazy_refcounts</c>: version 3 only.</summary>
    public bool LazyRefcounts { get; init; }

    /// <summary><c>backing_file</c>: as the header is to have it; a relative name is one beside the image.</summary>
    public string? BackingFile { get; init; }

    /// <summary><c>backing_fmt</c>: given with a backing file.</summary>
    public string? BackingFormat { get; init; }
}

/// <summary>Opens and makes qcow2 images.</summary>
public static class Qcow2Image
{
    private const long MostL2Cache = 32 << 20;
    private const long LeastRefcountCache = 256 << 10;
    private const int RefcountCacheClusters = 4;

    /// <summary>Opens the image in a file.</summary>
    /// <param name="file">Owned by the node that is returned; disposed where none is.</param>
    /// <param name="writable">The file is, too.</param>
    /// <param name="backing">Opens the backing file by the name and the format in the header.</param>
    /// <exception cref="BlockException">It is damaged, or needs what is not supported.</exception>
    public static Qcow2Node Open(BlockNode file, bool writable, ImageOptions options, Func<string, string, BlockNode> backing)
    {
        BlockNode? below = null;
        try
        {
            Qcow2Header header = Qcow2Header.Read(file);
            below = OpenBacking(header, file, backing);
            return Open(file, header, writable, options, below);
        }
        catch
        {
            below?.Dispose();
            file.Dispose();
            throw;
        }
    }

    /// <summary>Opens the image in a file over a node that its header does not name.</summary>
    internal static Qcow2Node OpenOver(BlockNode file, BlockNode backing, ImageOptions options) =>
        Open(file, Qcow2Header.Read(file), true, options, backing);

    /// <summary>Makes an image in an empty file.</summary>
    /// <exception cref="BlockException">It cannot be as the options want it, or the file cannot be written.</exception>
    public static void Create(BlockNode file, long size, Qcow2Options options)
    {
        string name = file.FileName ?? "image";
        int clusterBits = int.Log2(Math.Max(options.ClusterSize, 1));
        int order = int.Log2(Math.Max(options.RefcountBits, 1));
        byte[] backing = Encoding.UTF8.GetBytes(options.BackingFile ?? "");
        byte[] format = Encoding.UTF8.GetBytes(options.BackingFormat ?? "");
        Require(clusterBits is >= Qcow2Spec.MinClusterBits and <= Qcow2Spec.MaxClusterBits && 1 << clusterBits == options.ClusterSize, name,
            $"clusters of {options.ClusterSize} bytes; a power of two from 512 to 2097152 is valid");
        Require(order <= Qcow2Spec.MaxRefcountOrder && 1 << order == options.RefcountBits, name,
            $"refcounts of {options.RefcountBits} bits; a power of two from 1 to 64 is valid");
        Require(options.Version is 2 or 3, name, $"version {options.Version}; 2 and 3 are valid");
        Require(options.Version == 3 || (order == 4 && !options.LazyRefcounts), name,
            "version 2 with lazy refcounts or with refcounts of another width than 16 bits; version 3 has them");
        Require(size >= 0 && size % Qcow2Spec.SectorSize == 0, name, $"a disk of {size} bytes; whole sectors of 512 bytes are valid");
        Require(options.BackingFile == null || options.BackingFormat != null, name, "a backing file without its format (backing_fmt)");
        int start = options.Version == 3 ? Qcow2Spec.CreatedLength : Qcow2Spec.Version2Length;
        int names = start + 8 + (format.Length > 0 ? 8 + ((format.Length + 7) & ~7) : 0);
        Require(backing.Length <= Qcow2Spec.MaxBackingName && names + backing.Length <= options.ClusterSize, name,
            $"a name of its backing file of {backing.Length} bytes, which is too long");

        var layout = new Qcow2Layout(file, options.Version, clusterBits, order);
        long l1Entries = Math.Max(1, Qcow2Header.Divide(layout.Clusters(size), 1L << layout.L2Bits));
        Require(l1Entries * Qcow2Spec.EntrySize <= Qcow2Spec.MaxL1Bytes, name,
            $"a disk of {size} bytes with clusters of {options.ClusterSize}; larger clusters are needed");

        // Header, refcount table, refcount blocks, L1 table.
        long l1Clusters = layout.Clusters(l1Entries * Qcow2Spec.EntrySize);
        long blocks = 1;
        long tableClusters = 1;
        while (layout.Clusters(blocks * Qcow2Spec.EntrySize) > tableClusters
            || (1 + tableClusters + blocks + l1Clusters) > blocks << layout.RefcountBlockBits)
        {
            tableClusters = layout.Clusters(blocks * Qcow2Spec.EntrySize);
            blocks = Qcow2Header.Divide(1 + tableClusters + blocks + l1Clusters, 1L << layout.RefcountBlockBits);
        }

        long used = 1 + tableClusters + blocks + l1Clusters;
        long l1Offset = (1 + tableClusters + blocks) << clusterBits;
        Check(file.WriteZeroes(0, used << clusterBits, mayUnmap: false), name);
        ulong[] table = new ulong[tableClusters * (options.ClusterSize / Qcow2Spec.EntrySize)];
        for (int i = 0; i < blocks; i++)
        {
            table[i] = (ulong)(1 + tableClusters + i) << clusterBits;
        }

        Check(Qcow2Metadata.WriteTable(layout, options.ClusterSize, table, 0, table.Length), name);

        byte[] cluster = new byte[options.ClusterSize];
        WriteHeader(cluster, options, size, clusterBits, order, (int)l1Entries, l1Offset, (int)tableClusters);
        int at = start;
        if (format.Length > 0)
        {
            BinaryPrimitives.WriteUInt32BigEndian(cluster.AsSpan(at), Qcow2Spec.BackingFormat);
            BinaryPrimitives.WriteInt32BigEndian(cluster.AsSpan(at + 4), format.Length);
            format.CopyTo(cluster, at + 8);
        }

        if (backing.Length > 0)
        {
            BinaryPrimitives.WriteInt64BigEndian(cluster.AsSpan(Qcow2Spec.BackingFileOffset), names);
            BinaryPrimitives.WriteInt32BigEndian(cluster.AsSpan(Qcow2Spec.BackingFileSize), backing.Length);
            backing.CopyTo(cluster, names);
        }

        Check(file.Write(0, cluster), name);
        Qcow2Header header = Qcow2Header.Read(file);
        Qcow2Refcounts refcounts = Qcow2Refcounts.Read(layout, header, [], LeastRefcountCache);
        for (long i = 0; i < used; i++)
        {
            Check(refcounts.Set(i, 1), name);
        }

        Check(refcounts.WriteCounts(), name);
        Check(file.Flush(), name);
    }

    private static void WriteHeader(
        Span<byte> header, Qcow2Options options, long size, int clusterBits, int order, int l1Entries, long l1Offset, int tableClusters)
    {
        BinaryPrimitives.WriteUInt32BigEndian(header, Qcow2Spec.Magic);
        BinaryPrimitives.WriteInt32BigEndian(header[4..], options.Version);
        BinaryPrimitives.WriteInt32BigEndian(header[Qcow2Spec.ClusterBits..], clusterBits);
        BinaryPrimitives.WriteInt64BigEndian(header[Qcow2Spec.DiskSize..], size);
        BinaryPrimitives.WriteInt32BigEndian(header[Qcow2Spec.L1Size..], l1Entries);
        BinaryPrimitives.WriteInt64BigEndian(header[Qcow2Spec.L1TableOffset..], l1Offset);
        BinaryPrimitives.WriteInt64BigEndian(header[Qcow2Spec.RefcountTableOffset..], options.ClusterSize);
        BinaryPrimitives.WriteInt32BigEndian(header[Qcow2Spec.RefcountTableClusters..], tableClusters);
        if (options.Version == 3)
        {
            BinaryPrimitives.WriteUInt64BigEndian(
                header[Qcow2Spec.CompatibleFeatures..], options.LazyRefcounts ? Qcow2Spec.LazyRefcounts : 0);
            BinaryPrimitives.WriteInt32BigEndian(header[Qcow2Spec.RefcountOrder..], order);
            BinaryPrimitives.WriteInt32BigEndian(header[Qcow2Spec.HeaderLength..], Qcow2Spec.CreatedLength);
        }
    }

    private static Qcow2Node Open(BlockNode file, Qcow2Header header, bool writable, ImageOptions options, BlockNode? backing)
    {
        var layout = new Qcow2Layout(file, header.Version, header.ClusterBits, header.RefcountOrder);
        if (writable && (header.Incompatible & Qcow2Spec.Corrupt) != 0)
        {
            throw new BlockException(
                $"'{layout.Name}' is marked as damaged and is not written; `qemu-img check -r all` may repair it, or open it read-only");
        }

        return new Qcow2Node(layout, header, Read(layout, header, writable, options), backing, options, writable);
    }

    /// <summary>Reads what of an image changes while it is open.</summary>
    /// <exception cref="BlockException">It is damaged.</exception>
    internal static Qcow2Contents Read(Qcow2Layout layout, Qcow2Header header, bool writable, ImageOptions options)
    {
        IReadOnlyList<Qcow2Snapshot> snapshots = Qcow2Snapshot.ReadAll(layout, header, out long snapshotBytes);
        long l1Offset = header.L1Offset;
        int l1Size = header.L1Size;
        long size = header.DiskSize;
        if (options.Snapshot is { } wanted)
        {
            Qcow2Snapshot snapshot = snapshots.FirstOrDefault(s => s.Id == wanted) ?? snapshots.FirstOrDefault(s => s.Name == wanted)
                ?? throw new BlockException($"'{layout.Name}' has no snapshot '{wanted}'"
                    + (snapshots.Count == 0 ? "" : $"; it has {string.Join(", ", snapshots.Select(s => $"'{s.Name}'"))}"));
            if (writable)
            {
                throw new BlockException($"'{layout.Name}': the snapshot '{wanted}' can only be read; open it read-only");
            }

            (l1Offset, l1Size, size) = (snapshot.L1Offset, snapshot.L1Size, snapshot.DiskSize);
        }

        ulong[] l1 = new ulong[l1Size];
        Qcow2Metadata.ReadTable(layout, l1Offset, l1);
        HashSet<long> tables = [];
        Qcow2Refcounts refcounts = Qcow2Refcounts.Read(
            layout, header, tables,
            options.RefcountCacheSize ?? Math.Max(RefcountCacheClusters * (long)layout.ClusterSize, LeastRefcountCache));
        if (writable)
        {
            (long First, long Count)[] regions = [.. Regions(layout, header, refcounts, snapshots, snapshotBytes)];
            Collect(layout, regions, l1, tables);
            if ((header.Incompatible & Qcow2Spec.Dirty) != 0)
            {
                Qcow2Repair.Run(layout, l1, regions, snapshots, refcounts);
            }

            ClearAutoclear(layout, header);
        }

        long needed = layout.Clusters(size) * Qcow2Spec.EntrySize;
        var l2 = new TableCache(layout.File, layout.SliceSize, options.L2CacheSize ?? Math.Min(needed + layout.SliceSize, MostL2Cache));
        return new Qcow2Contents(new Qcow2Metadata(layout, header, refcounts, tables, l1, l2), snapshots, size);
    }

    private static BlockNode? OpenBacking(Qcow2Header header, BlockNode file, Func<string, string, BlockNode> backing) =>
        header.BackingFile == null ? null
        : header.BackingFormat == null ? throw new BlockException(
            $"'{file.FileName}' does not say which format its backing file '{header.BackingFile}' has; write it down with"
            + $" `qemu-img rebase -u -b FILE -F FORMAT {file.FileName}`")
        : backing(header.BackingFile, header.BackingFormat);

    // What of the file is neither the guest's data nor an L2 table.
    private static IEnumerable<(long First, long Count)> Regions(
        Qcow2Layout layout, Qcow2Header header, Qcow2Refcounts refcounts, IReadOnlyList<Qcow2Snapshot> snapshots, long snapshotBytes)
    {
        yield return (0, 1);
        yield return (header.L1Offset >> layout.ClusterBits, layout.Clusters((long)header.L1Size * Qcow2Spec.EntrySize));
        yield return refcounts.Table;
        yield return (header.SnapshotsOffset >> layout.ClusterBits, layout.Clusters(snapshotBytes));
        foreach (Qcow2Snapshot snapshot in snapshots)
        {
            yield return (snapshot.L1Offset >> layout.ClusterBits, layout.Clusters((long)snapshot.L1Size * Qcow2Spec.EntrySize));
        }

        foreach (long block in refcounts.Blocks)
        {
            yield return (block >> layout.ClusterBits, 1);
        }
    }

    // The clusters of all tables; no two may lie on each other, or a change of one would destroy the other.
    private static void Collect(Qcow2Layout layout, IEnumerable<(long First, long Count)> regions, ulong[] l1, HashSet<long> tables)
    {
        IEnumerable<(long, long)> l2 = l1.Select(entry => entry & Qcow2Spec.OffsetMask).Where(offset => offset != 0)
            .Select(offset => ((long)(offset >> layout.ClusterBits), 1L));
        foreach ((long first, long count) in regions.Concat(l2))
        {
            for (long cluster = first; cluster < first + count; cluster++)
            {
                if (!tables.Add(cluster))
                {
                    throw new BlockException(
                        $"'{layout.Name}' is damaged: two of its tables lie at 0x{cluster << layout.ClusterBits:x}; it can be read only");
                }
            }
        }
    }

    // Features that whoever writes and does not know them has to clear.
    private static void ClearAutoclear(Qcow2Layout layout, Qcow2Header header)
    {
        if (header.Autoclear != 0)
        {
            Span<byte> none = stackalloc byte[sizeof(ulong)];
            none.Clear();
            Check(layout.File.Write(Qcow2Spec.AutoclearFeatures, none), layout.Name);
            Check(layout.File.Flush(), layout.Name);
        }
    }

    private static void Check(Errno error, string name)
    {
        if (error != Errno.None)
        {
            throw new BlockException($"'{name}' cannot be written: {HostFile.Message(error)}");
        }
    }

    private static void Require(bool condition, string name, string what)
    {
        if (!condition)
        {
            throw new BlockException($"'{name}' cannot have {what}");
        }
    }
}

/// <summary>What of an image changes while it is open.</summary>
/// <param name="Size">Bytes of the disk.</param>
internal sealed record Qcow2Contents(Qcow2Metadata Metadata, IReadOnlyList<Qcow2Snapshot> Snapshots, long Size);
