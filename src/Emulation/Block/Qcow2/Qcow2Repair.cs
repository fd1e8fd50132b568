namespace Vmm.Emulation.Block.Qcow2;

/// <summary>
/// Counts anew how often each cluster of an image is referred to, and sets the refcounts so. It is done when an image with lazy refcounts
/// was not closed, which its dirty bit tells.
/// </summary>
internal sealed class Qcow2Repair
{
    private const int ChunkBits = 9;
    private const long MostBytes = 1L << 30;

    private readonly Qcow2Layout _layout;
    private readonly long _clusters;

    // Counts by cluster, in parts that are made when something refers to them.
    private readonly Dictionary<long, ulong[]> _chunks = [];

    private Qcow2Repair(Qcow2Layout layout)
    {
        _layout = layout;
        _clusters = layout.Clusters(layout.File.Size);
    }

    /// <summary>Sets the counts; on return they are on stable storage.</summary>
    /// <exception cref="BlockException">Tables refer to what cannot be, or the file cannot be read or written.</exception>
    public static void Run(
        Qcow2Layout layout, ulong[] l1, IEnumerable<(long First, long Count)> tables, IReadOnlyList<Qcow2Snapshot> snapshots,
        Qcow2Refcounts refcounts)
    {
        var repair = new Qcow2Repair(layout);
        foreach ((long first, long count) in tables)
        {
            repair.Add(first, count);
        }

        repair.AddTable(l1);
        foreach (Qcow2Snapshot snapshot in snapshots)
        {
            ulong[] table = new ulong[snapshot.L1Size];
            Qcow2Metadata.ReadTable(layout, snapshot.L1Offset, table);
            repair.AddTable(table);
        }

        Errno error = repair.Set(refcounts);
        error = error == Errno.None ? refcounts.WriteCounts() : error;
        error = error == Errno.None ? layout.File.Flush() : error;
        error = error == Errno.None ? refcounts.WriteTable() : error;
        error = error == Errno.None ? layout.File.Flush() : error;
        if (error != Errno.None)
        {
            throw new BlockException($"'{layout.Name}' was not closed and cannot be repaired: {HostFile.Message(error)}");
        }
    }

    private Errno Set(Qcow2Refcounts refcounts)
    {
        // Blocks that are missing come behind the file's end, and count themselves.
        long end = Math.Max(_clusters, refcounts.Counted);
        Errno error = refcounts.EnsureCounted(_clusters);
        for (long cluster = 0; cluster < _clusters && error == Errno.None; cluster++)
        {
            ulong counted = _chunks.TryGetValue(cluster >> ChunkBits, out ulong[]? chunk) ? chunk[cluster & ((1 << ChunkBits) - 1)] : 0;
            error = refcounts.Get(cluster, out ulong count);
            error = error == Errno.None && count != counted ? refcounts.Set(cluster, counted) : error;
        }

        // What blocks count behind the end of the file is not in use, but for those that were added just now.
        for (long cluster = _clusters; cluster < end && error == Errno.None; cluster++)
        {
            error = refcounts.Get(cluster, out ulong count);
            error = error == Errno.None && count != 0 && !IsTable(refcounts, cluster) ? refcounts.Set(cluster, 0) : error;
        }

        return error;
    }

    private bool IsTable(Qcow2Refcounts refcounts, long cluster) =>
        refcounts.Blocks.Contains(cluster << _layout.ClusterBits)
        || (cluster >= refcounts.Table.First && cluster < refcounts.Table.First + refcounts.Table.Count);

    private void AddTable(ulong[] l1)
    {
        ulong[] l2 = new ulong[_layout.ClusterSize / Qcow2Spec.EntrySize];
        foreach (ulong l1Entry in l1)
        {
            long table = (long)(l1Entry & Qcow2Spec.OffsetMask);
            if (table == 0)
            {
                continue;
            }

            Require(table % _layout.ClusterSize == 0, $"an L2 table at 0x{table:x}");
            Add(table >> _layout.ClusterBits, 1);
            Qcow2Metadata.ReadTable(_layout, table, l2);
            foreach (ulong entry in l2)
            {
                (long first, int count) = _layout.Clusters(entry);
                Require(count == 0 || (entry & Qcow2Spec.Compressed) != 0
                    || (entry & Qcow2Spec.OffsetMask & (ulong)(_layout.ClusterSize - 1)) == 0, $"a cluster at 0x{entry:x}");
                Add(first, count);
            }
        }
    }

    private void Add(long first, long count)
    {
        for (long cluster = first; cluster < first + count; cluster++)
        {
            Require(cluster < _clusters, $"a reference to 0x{cluster << _layout.ClusterBits:x}, beyond the end of the file");
            if (!_chunks.TryGetValue(cluster >> ChunkBits, out ulong[]? chunk))
            {
                Require(((long)_chunks.Count * sizeof(ulong)) << ChunkBits < MostBytes, "more clusters than are counted here");
                chunk = new ulong[1 << ChunkBits];
                _chunks.Add(cluster >> ChunkBits, chunk);
            }

            ref ulong counted = ref chunk[cluster & ((1 << ChunkBits) - 1)];
            counted++;
            Require(counted <= _layout.MostReferences, "more references to a cluster than its refcounts can count");
        }
    }

    private void Require(bool condition, string what)
    {
        if (!condition)
        {
            throw new BlockException(
                $"'{_layout.Name}' was not closed and cannot be repaired: it has {what}; `qemu-img check -r all` may repair it");
        }
    }
}
