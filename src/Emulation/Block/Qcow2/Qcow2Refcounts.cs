using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Vmm.Emulation.Block.Qcow2;

/// <summary>
/// How often each cluster of the file is referred to, and which are free (QEMU, docs/interop/qcow2.txt, "Host cluster management"). All
/// members under the image's lock.
/// <para>
/// A count may be written at any time, because a cluster is counted before anything refers to it and is counted down when what referred
/// to it is gone from stable storage: <see cref="Qcow2Metadata"/> sees to both.
/// </para>
/// </summary>
internal sealed class Qcow2Refcounts
{
    // The fields of the header that say where the table is.
    private const int FieldsLength = 12;
    private const long MostBlocks = Qcow2Spec.MaxRefcountTableBytes / Qcow2Spec.EntrySize;

    private readonly Qcow2Layout _layout;
    private readonly TableCache _cache;
    private readonly HashSet<long> _metadata;
    private ulong[] _table;
    private long _tableOffset;

    // Entries of the table that were changed: from the first one up to before the end.
    private int _changedFirst = int.MaxValue;
    private int _changedEnd;

    // No cluster before this one is free.
    private long _firstFree;

    private Qcow2Refcounts(Qcow2Layout layout, TableCache cache, HashSet<long> metadata, ulong[] table, long tableOffset)
    {
        _layout = layout;
        _cache = cache;
        _metadata = metadata;
        _table = table;
        _tableOffset = tableOffset;
    }

    /// <summary>Clusters of the file, for what is to be freed after the next flush.</summary>
    public (long First, int Count)? Replaced { get; private set; }

    /// <summary>Nobody knows which table the header names; see <see cref="Qcow2Metadata.SwitchFields"/>.</summary>
    public bool HasLostHeader { get; private set; }

    public bool TableChanged => _changedFirst < _changedEnd;

    /// <param name="metadata">Clusters that hold tables, to which new ones are added.</param>
    public static Qcow2Refcounts Read(Qcow2Layout layout, Qcow2Header header, HashSet<long> metadata, long cacheBytes)
    {
        ulong[] table = new ulong[(long)header.RefcountTableClusters * layout.ClusterSize / Qcow2Spec.EntrySize];
        Qcow2Metadata.ReadTable(layout, header.RefcountTableOffset, table);
        var cache = new TableCache(layout.File, layout.SliceSize, cacheBytes);
        return new Qcow2Refcounts(layout, cache, metadata, table, header.RefcountTableOffset);
    }

    /// <summary>Where the blocks are, for whoever looks for overlaps.</summary>
    public IEnumerable<long> Blocks => _table.Where(entry => entry != 0).Select(entry => (long)(entry & Qcow2Spec.RefcountOffsetMask));

    /// <summary>The entries of the table.</summary>
    public ReadOnlySpan<ulong> Entries => _table;

    /// <summary>The clusters of the table itself.</summary>
    public (long First, int Count) Table =>
        (_tableOffset >> _layout.ClusterBits, (int)_layout.Clusters((long)_table.Length * Qcow2Spec.EntrySize));

    /// <summary>One past the last cluster that a block counts.</summary>
    public long Counted => ((long)Array.FindLastIndex(_table, entry => entry != 0) + 1) << _layout.RefcountBlockBits;

    public Errno Get(long cluster, out ulong count)
    {
        count = 0;
        if (!HasBlock(cluster))
        {
            return Errno.None;
        }

        Errno error = Access(cluster, false, out byte[] slice, out int index);
        count = error == Errno.None ? ReadCount(_layout, slice, index) : 0;
        return error;
    }

    /// <summary>Sets the count of a cluster that a block counts; see <see cref="Counted"/>.</summary>
    public Errno Set(long cluster, ulong count)
    {
        Errno error = Access(cluster, true, out byte[] slice, out int index);
        if (error == Errno.None)
        {
            WriteCount(_layout, slice, index, count);
            _firstFree = count == 0 ? Math.Min(_firstFree, cluster) : _firstFree;
        }

        return error;
    }

    /// <summary>Takes free clusters that lie one after another: the first free ones, and no more than there are together.</summary>
    public Errno Allocate(int wanted, out long first, out int count)
    {
        first = 0;
        count = 0;
        Errno error = Errno.None;
        for (long cluster = _firstFree; count < wanted && error == Errno.None; cluster++)
        {
            if (cluster >= Qcow2Spec.MaxHostOffset >> _layout.ClusterBits)
            {
                return Errno.EFBIG;
            }

            if (!HasBlock(cluster))
            {
                if (count > 0)
                {
                    break;
                }

                error = AddRegion(cluster, 0);
            }
            else if ((error = Get(cluster, out ulong references)) == Errno.None)
            {
                bool free = references == 0 && !_metadata.Contains(cluster);
                if (!free && count > 0)
                {
                    break;
                }

                first = count == 0 ? cluster : first;
                count += free ? 1 : 0;
            }
        }

        for (int i = 0; i < count && error == Errno.None; i++)
        {
            error = Set(first + i, 1);
        }

        if (error == Errno.None)
        {
            _firstFree = first + count;
        }

        return error;
    }

    /// <summary>Takes as many clusters as are wanted, one after another, behind all that are in use.</summary>
    public Errno AllocateTogether(int wanted, out long first)
    {
        first = Counted;
        Errno error = Errno.None;
        for (ulong count = 0; first > 0 && error == Errno.None; first--)
        {
            error = Get(first - 1, out count);
            if (count != 0)
            {
                break;
            }
        }

        return error == Errno.None ? AddRegion(first, wanted) : error;
    }

    /// <summary>Sees to blocks for all clusters before one; from that one on all are free.</summary>
    public Errno EnsureCounted(long end) => AddRegion(end, 0, 0);

    /// <summary>Counts a cluster down by one.</summary>
    /// <param name="free">Nothing refers to it any more.</param>
    public Errno Release(long cluster, out bool free)
    {
        free = false;
        Errno error = Get(cluster, out ulong count);
        if (error == Errno.None && count == 0)
        {
            return Errno.EIO;
        }

        error = error == Errno.None ? Set(cluster, count - 1) : error;
        free = error == Errno.None && count == 1;
        return error;
    }

    /// <summary>Writes counts that were changed, and blocks that the table does not name yet.</summary>
    public Errno WriteCounts() => _cache.WriteDirty();

    public bool HasChangedCounts => _cache.HasDirty;

    /// <summary>Writes what was changed of the table. What it names is on stable storage.</summary>
    public Errno WriteTable()
    {
        Errno error = Qcow2Metadata.WriteTable(_layout, _tableOffset, _table, _changedFirst, _changedEnd);
        if (error == Errno.None)
        {
            (_changedFirst, _changedEnd) = (int.MaxValue, 0);
        }

        return error;
    }

    /// <summary>The old table has been handed to whoever frees it.</summary>
    public void ForgetReplaced() => Replaced = null;

    private bool HasBlock(long cluster)
    {
        long block = cluster >> _layout.RefcountBlockBits;
        return block < _table.Length && _table[block] != 0;
    }

    private Errno Access(long cluster, bool change, out byte[] slice, out int index)
    {
        int inBlock = (int)(cluster & ((1L << _layout.RefcountBlockBits) - 1));
        int sliceBits = _layout.RefcountBlockBits - (_layout.ClusterBits - int.Log2(_layout.SliceSize));
        index = inBlock & ((1 << sliceBits) - 1);
        slice = [];
        long block = (long)(_table[cluster >> _layout.RefcountBlockBits] & Qcow2Spec.RefcountOffsetMask);
        if (block % _layout.ClusterSize != 0 || (ulong)block >= Qcow2Spec.MaxHostOffset)
        {
            return Errno.EIO;
        }

        Errno error = _cache.IsFullOfDirty ? _cache.WriteOldest() : Errno.None;
        return error == Errno.None ? _cache.Get(block + ((long)(inBlock >> sliceBits) * _layout.SliceSize), change, out slice) : error;
    }

    // Takes clusters from one on, from which on all are free, and behind them those for blocks that count them, and for a larger table
    // where the blocks need one. The blocks also count what lies before "start" from "from" on.
    private Errno AddRegion(long start, int wanted, long? from = null)
    {
        long firstBlock = (from ?? start) >> _layout.RefcountBlockBits;
        long total = wanted;
        long end;
        int blocks;
        int tableClusters;
        while (true)
        {
            end = ((start + Math.Max(total, 1) - 1) >> _layout.RefcountBlockBits) + 1;
            if (end > MostBlocks)
            {
                return Errno.EFBIG;
            }

            blocks = 0;
            for (long block = firstBlock; block < end; block++)
            {
                blocks += block >= _table.Length || _table[block] == 0 ? 1 : 0;
            }

            tableClusters = end <= _table.Length ? 0 : (int)_layout.Clusters(Math.Min(end + (end / 2), MostBlocks) * Qcow2Spec.EntrySize);
            if (wanted + blocks + tableClusters == total)
            {
                break;
            }

            total = wanted + blocks + tableClusters;
        }

        if ((start + total) << _layout.ClusterBits > Qcow2Spec.MaxHostOffset)
        {
            return Errno.EFBIG;
        }

        for (long cluster = start; cluster < start + total; cluster++)
        {
            if (_metadata.Contains(cluster))
            {
                return Errno.EIO;
            }
        }

        return Install(start, wanted, total, (firstBlock, end), tableClusters);
    }

    private Errno Install(long start, int wanted, long total, (long First, long End) range, int tableClusters)
    {
        ulong[] was = _table;
        if (tableClusters > 0)
        {
            _table = new ulong[tableClusters * (_layout.ClusterSize / Qcow2Spec.EntrySize)];
            was.CopyTo(_table, 0);
        }

        long next = start + wanted;
        Errno error = Errno.None;
        var added = new List<long>();
        for (long block = range.First; block < range.End && error == Errno.None; block++)
        {
            if (_table[block] != 0)
            {
                continue;
            }

            error = _layout.File.WriteZeroes(next << _layout.ClusterBits, _layout.ClusterSize, mayUnmap: false);
            _table[block] = (ulong)next << _layout.ClusterBits;
            added.Add(block);
            next++;
        }

        for (long cluster = start; cluster < start + total && error == Errno.None; cluster++)
        {
            error = Set(cluster, 1);
        }

        if (error == Errno.None && tableClusters > 0)
        {
            error = SwitchTable(next << _layout.ClusterBits, was);
        }

        if (error != Errno.None)
        {
            // What was taken is not named anywhere: the blocks are forgotten.
            foreach (long block in added)
            {
                _cache.Drop((long)_table[block], _layout.ClusterSize);
                _table[block] = 0;
            }

            _table = was;
            return error;
        }

        foreach (long block in added)
        {
            _metadata.Add((long)(_table[block] >> _layout.ClusterBits));
            if (tableClusters == 0)
            {
                _changedFirst = (int)Math.Min(_changedFirst, block);
                _changedEnd = (int)Math.Max(_changedEnd, block + 1);
            }
        }

        return Errno.None;
    }

    // Writes the table at a new place and has the header name it.
    private Errno SwitchTable(long offset, ulong[] was)
    {
        BlockNode file = _layout.File;
        Errno error = WriteCounts();
        error = error == Errno.None ? Qcow2Metadata.WriteTable(_layout, offset, _table, 0, _table.Length) : error;
        error = error == Errno.None ? file.Flush() : error;
        if (error != Errno.None)
        {
            return error;
        }

        long oldClusters = _layout.Clusters((long)was.Length * Qcow2Spec.EntrySize);
        long newClusters = _layout.Clusters((long)_table.Length * Qcow2Spec.EntrySize);
        Span<byte> fields = stackalloc byte[2 * FieldsLength];
        WriteFields(fields, offset, newClusters);
        WriteFields(fields[FieldsLength..], _tableOffset, oldClusters);
        error = Qcow2Metadata.SwitchFields(
            _layout, Qcow2Spec.RefcountTableOffset, fields[..FieldsLength], fields[FieldsLength..], out bool isLost);
        HasLostHeader |= isLost;
        if (error != Errno.None)
        {
            return error;
        }

        long old = _tableOffset >> _layout.ClusterBits;
        _tableOffset = offset;
        (_changedFirst, _changedEnd) = (int.MaxValue, 0);
        Replaced = (old, (int)oldClusters);
        _metadata.UnionWith(Range(offset >> _layout.ClusterBits, newClusters));
        _metadata.ExceptWith(Range(old, oldClusters));
        return Errno.None;
    }

    private static void WriteFields(Span<byte> fields, long offset, long clusters)
    {
        BinaryPrimitives.WriteInt64BigEndian(fields, offset);
        BinaryPrimitives.WriteInt32BigEndian(fields[sizeof(long)..], (int)clusters);
    }

    private static IEnumerable<long> Range(long first, long count)
    {
        for (long i = 0; i < count; i++)
        {
            yield return first + i;
        }
    }

    /// <summary>A count in a part of a block.</summary>
    public static ulong ReadCount(Qcow2Layout layout, byte[] slice, int index)
    {
        Span<byte> bytes = slice;
        return layout.RefcountOrder switch
        {
            3 => slice[index],
            4 => BinaryPrimitives.ReadUInt16BigEndian(bytes[(index * 2)..]),
            5 => BinaryPrimitives.ReadUInt32BigEndian(bytes[(index * 4)..]),
            6 => BinaryPrimitives.ReadUInt64BigEndian(bytes[(index * 8)..]),
            var order => (ulong)(slice[index >> (3 - order)] >> ((index << order) & 7)) & layout.MostReferences,
        };
    }

    public static void WriteCount(Qcow2Layout layout, byte[] slice, int index, ulong count)
    {
        Span<byte> bytes = slice;
        switch (layout.RefcountOrder)
        {
            case 3:
                slice[index] = (byte)count;
                break;
            case 4:
                BinaryPrimitives.WriteUInt16BigEndian(bytes[(index * 2)..], (ushort)count);
                break;
            case 5:
                BinaryPrimitives.WriteUInt32BigEndian(bytes[(index * 4)..], (uint)count);
                break;
            case 6:
                BinaryPrimitives.WriteUInt64BigEndian(bytes[(index * 8)..], count);
                break;
            case var order:
                ref byte at = ref slice[index >> (3 - order)];
                int shift = (index << order) & 7;
                at = (byte)((at & ~((int)layout.MostReferences << shift)) | ((int)count << shift));
                break;
        }
    }
}
