using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Vmm.Emulation.Block.Qcow2;

/// <summary>
/// The tables of an image that is open, and the order in which they reach the disk. All members under the image's lock.
/// <para>
/// Changes stay in memory until <see cref="WriteBack"/>, which writes them so that the image is whole whenever the power fails, with a
/// flush of the file between the steps: counts of clusters, and the guest's data; the refcount table; L2 tables; the L1 table. What is
/// referred to is thus always counted and written before the reference. The opposite way, clusters that are referred to no more
/// are counted down when the change of the table has been flushed: until then <see cref="Free"/> collects them. What a loss of
/// power leaves behind is at most clusters that are counted and not used.
/// </para>
/// <para>
/// In an image with lazy refcounts the counts are written at the end only. Its dirty bit is set meanwhile, and whoever opens it with that
/// bit counts anew (<see cref="Qcow2Repair"/>).
/// </para>
/// </summary>
internal sealed class Qcow2Metadata
{
    private const int MostFreed = 1 << 16;

    // The fields of the header that say where the L1 table is.
    private const int L1FieldsLength = 12;

    private readonly Qcow2Layout _layout;
    private readonly BlockNode _file;
    private readonly TableCache _l2;
    private readonly Qcow2Refcounts _refcounts;
    private readonly HashSet<long> _tables;
    private readonly bool _lazy;
    private ulong[] _l1;
    private long _l1Offset;
    private ulong _incompatible;
    private string? _damage;

    // Entries of the L1 table that were changed: from the first one up to before the end.
    private int _changedFirst = int.MaxValue;
    private int _changedEnd;

    // Clusters to be counted down after the next flush.
    private List<(long First, int Count)> _freed = [];

    public Qcow2Metadata(Qcow2Layout layout, Qcow2Header header, Qcow2Refcounts refcounts, HashSet<long> tables, ulong[] l1, TableCache l2)
    {
        _layout = layout;
        _file = layout.File;
        _refcounts = refcounts;
        _tables = tables;
        _l1 = l1;
        _l1Offset = header.L1Offset;
        _l2 = l2;
        _incompatible = header.Incompatible;
        _lazy = header.Version >= 3 && (header.Compatible & Qcow2Spec.LazyRefcounts) != 0;
    }

    /// <summary>What was found damaged, as one line; null for nothing. Nothing is written from then on.</summary>
    public string? Damage
    {
        get => Volatile.Read(ref _damage);
        private set => Volatile.Write(ref _damage, value);
    }

    /// <summary>The dirty bit is set. Any thread.</summary>
    public bool IsDirty => (Volatile.Read(ref _incompatible) & Qcow2Spec.Dirty) != 0;

    public Qcow2Refcounts Refcounts => _refcounts;

    public ReadOnlySpan<ulong> L1 => _l1;

    /// <summary>Clusters that hold tables: the disk's, not those of its snapshots.</summary>
    public IReadOnlySet<long> Tables => _tables;

    /// <summary>So much was freed that a flush should make use of it.</summary>
    public bool HasManyFreed => _freed.Count >= MostFreed;

    public bool HasFreed => _freed.Count > 0;

    /// <summary>Reads a table of 64-bit entries.</summary>
    /// <exception cref="BlockException">The file cannot be read.</exception>
    public static void ReadTable(Qcow2Layout layout, long offset, ulong[] table)
    {
        Errno error = layout.File.Read(offset, MemoryMarshal.AsBytes(table.AsSpan()));
        if (error != Errno.None)
        {
            throw new BlockException($"'{layout.Name}' cannot be read: {HostFile.Message(error)}");
        }

        BinaryPrimitives.ReverseEndianness(table, table);
    }

    /// <summary>Writes the entries from one up to before another, in whole sectors.</summary>
    public static Errno WriteTable(Qcow2Layout layout, long offset, ReadOnlySpan<ulong> table, int first, int end)
    {
        const int PerSector = Qcow2Spec.SectorSize / Qcow2Spec.EntrySize;
        if (first >= end)
        {
            return Errno.None;
        }

        first &= -PerSector;
        end = Math.Min((end + PerSector - 1) & -PerSector, table.Length);
        ulong[] entries = ArrayPool<ulong>.Shared.Rent(end - first);
        Span<ulong> bigEndian = entries.AsSpan(0, end - first);
        BinaryPrimitives.ReverseEndianness(table[first..end], bigEndian);
        Errno error = layout.File.Write(offset + ((long)first * Qcow2Spec.EntrySize), MemoryMarshal.AsBytes(bigEndian));
        ArrayPool<ulong>.Shared.Return(entries);
        return error;
    }

    /// <summary>
    /// Has the header name a table at another place. If that fails, the old one is named again, since any part may have been written.
    /// </summary>
    /// <param name="at">Of the fields.</param>
    /// <param name="isLost">Nobody knows which of the two the header names.</param>
    public static Errno SwitchFields(Qcow2Layout layout, int at, ReadOnlySpan<byte> now, ReadOnlySpan<byte> was, out bool isLost)
    {
        Errno error = layout.File.Write(at, now);
        isLost = error != Errno.None && (layout.File.Write(at, was) != Errno.None || layout.File.Flush() != Errno.None);
        return error;
    }

    /// <summary>The slice of an L2 table that has the entry of a guest cluster; empty where there is no table.</summary>
    /// <param name="change">The caller changes the entry; <see cref="EnsureTable"/> has seen to the table.</param>
    public Errno Find(long cluster, bool change, out byte[] slice, out int index)
    {
        int sliceEntries = _layout.SliceSize / Qcow2Spec.EntrySize;
        int inTable = (int)(cluster & ((1L << _layout.L2Bits) - 1));
        index = inTable & (sliceEntries - 1);
        slice = [];
        ulong entry = _l1[cluster >> _layout.L2Bits];
        long table = (long)(entry & Qcow2Spec.OffsetMask);
        if (table == 0)
        {
            return Errno.None;
        }

        if ((table & (_layout.ClusterSize - 1)) != 0)
        {
            return Damaged($"its L2 table at 0x{table:x} begins inside a cluster");
        }

        // A slice that makes room is written with all that it depends on.
        Errno error = _l2.IsFullOfDirty ? WriteBack() : Errno.None;
        return error == Errno.None
            ? _l2.Get(table + ((long)(inTable & ~(sliceEntries - 1)) * Qcow2Spec.EntrySize), change, out slice) : error;
    }

    public static ulong Entry(byte[] slice, int index) =>
        slice.Length == 0 ? 0 : BinaryPrimitives.ReadUInt64BigEndian(slice.AsSpan(index * Qcow2Spec.EntrySize));

    public static void SetEntry(byte[] slice, int index, ulong entry) =>
        BinaryPrimitives.WriteUInt64BigEndian(slice.AsSpan(index * Qcow2Spec.EntrySize), entry);

    /// <summary>Sees to an L2 table for a guest cluster that is the disk's alone: a new one, or a copy of a snapshot's.</summary>
    public Errno EnsureTable(long cluster)
    {
        int at = (int)(cluster >> _layout.L2Bits);
        ulong was = _l1[at];
        if ((was & Qcow2Spec.Copied) != 0 && (was & Qcow2Spec.OffsetMask) != 0)
        {
            return Errno.None;
        }

        Errno error = Allocate(1, out long first, out _);
        if (error != Errno.None)
        {
            return error;
        }

        long offset = first << _layout.ClusterBits;
        long old = (long)(was & Qcow2Spec.OffsetMask);
        error = old == 0 ? _file.WriteZeroes(offset, _layout.ClusterSize, mayUnmap: false) : CopyCluster(old, offset);
        if (error != Errno.None)
        {
            _ = _refcounts.Release(first, out _);
            return error;
        }

        _l2.Drop(offset, _layout.ClusterSize);
        _l1[at] = (ulong)offset | Qcow2Spec.Copied;
        _changedFirst = Math.Min(_changedFirst, at);
        _changedEnd = Math.Max(_changedEnd, at + 1);
        _tables.Add(first);
        if (old != 0)
        {
            // The snapshot keeps it.
            _tables.Remove(old >> _layout.ClusterBits);
            Free(old >> _layout.ClusterBits, 1);
        }

        return Errno.None;
    }

    /// <summary>Takes free clusters; see <see cref="Qcow2Refcounts.Allocate"/>.</summary>
    public Errno Allocate(int wanted, out long first, out int count)
    {
        first = 0;
        count = 0;
        Errno error = BeginChange();
        error = error == Errno.None ? _refcounts.Allocate(wanted, out first, out count) : error;
        FreeReplacedTable();
        return error;
    }

    /// <summary>Gives back clusters that were taken and that nothing refers to.</summary>
    public void Return(long first, int count)
    {
        for (int i = 0; i < count; i++)
        {
            _ = _refcounts.Release(first + i, out _);
        }
    }

    /// <summary>Something refers to clusters no more; they are counted down when that has been flushed.</summary>
    public void Free(long first, int count)
    {
        if (count > 0 && _freed.Count > 0 && _freed[^1] is var last && last.First + last.Count == first)
        {
            _freed[^1] = (last.First, last.Count + count);
        }
        else if (count > 0)
        {
            _freed.Add((first, count));
        }
    }

    /// <summary>Whether the guest's data may be written to a cluster of the file: it is none of the tables.</summary>
    public bool MayHoldData(long cluster) => !_tables.Contains(cluster);

    /// <summary>Writes all tables that were changed, in their order; the last ones are not flushed.</summary>
    public Errno WriteBack()
    {
        Errno error = Errno.None;
        if (!_lazy)
        {
            error = WriteCounts();
        }

        bool l1 = _changedFirst < _changedEnd;
        if (error == Errno.None && (_l2.HasDirty || l1))
        {
            error = _file.Flush();
            error = error == Errno.None ? _l2.WriteDirty() : error;
            if (error == Errno.None && l1)
            {
                error = _file.Flush();
                error = error == Errno.None ? WriteTable(_layout, _l1Offset, _l1, _changedFirst, _changedEnd) : error;
                if (error == Errno.None)
                {
                    (_changedFirst, _changedEnd) = (int.MaxValue, 0);
                }
            }
        }

        return error;
    }

    /// <summary>What was freed so far, for <see cref="ApplyFreed"/> after a flush of the file.</summary>
    public List<(long First, int Count)> TakeFreed()
    {
        List<(long, int)> freed = _freed;
        _freed = [];
        return freed;
    }

    /// <summary>Counts down what nothing on stable storage refers to any more.</summary>
    public Errno ApplyFreed(List<(long First, int Count)> freed)
    {
        Errno error = Damage == null ? BeginChange() : Errno.EIO;
        foreach ((long first, int count) in freed)
        {
            long run = first;
            for (long cluster = first; cluster < first + count; cluster++)
            {
                bool free = false;
                error = error == Errno.None ? _refcounts.Release(cluster, out free) : error;
                if (!free)
                {
                    GiveBack(run, cluster);
                    run = cluster + 1;
                }
            }

            GiveBack(run, first + count);
        }

        return error == Errno.EIO ? Damaged("a cluster was in use that its refcounts have as free") : error;
    }

    /// <summary>Gives the table of the disk more entries.</summary>
    public Errno GrowL1(long entries)
    {
        if (entries <= _l1.Length)
        {
            return Errno.None;
        }

        if (entries * Qcow2Spec.EntrySize > Qcow2Spec.MaxL1Bytes)
        {
            return Errno.EFBIG;
        }

        int clusters = (int)_layout.Clusters(entries * Qcow2Spec.EntrySize);
        ulong[] grown = new ulong[entries];
        long first = 0;
        Errno error = BeginChange();
        error = error == Errno.None ? _refcounts.AllocateTogether(clusters, out first) : error;
        FreeReplacedTable();
        error = error == Errno.None ? WriteBack() : error;
        if (error != Errno.None)
        {
            return error;
        }

        _l1.CopyTo(grown, 0);
        long offset = first << _layout.ClusterBits;
        error = _file.WriteZeroes(offset, (long)clusters << _layout.ClusterBits, mayUnmap: false);
        error = error == Errno.None ? WriteTable(_layout, offset, grown, 0, grown.Length) : error;
        error = error == Errno.None ? WriteCounts() : error;
        error = error == Errno.None ? _file.Flush() : error;
        if (error == Errno.None)
        {
            Span<byte> fields = stackalloc byte[2 * L1FieldsLength];
            WriteL1Fields(fields, grown.Length, offset);
            WriteL1Fields(fields[L1FieldsLength..], _l1.Length, _l1Offset);
            error = SwitchFields(_layout, Qcow2Spec.L1Size, fields[..L1FieldsLength], fields[L1FieldsLength..], out bool isLost);
            StopIfLost(isLost);
        }

        if (error != Errno.None)
        {
            Return(first, clusters);
            return error;
        }

        long old = _l1Offset >> _layout.ClusterBits;
        int oldClusters = (int)_layout.Clusters((long)_l1.Length * Qcow2Spec.EntrySize);
        for (int i = 0; i < oldClusters; i++)
        {
            _tables.Remove(old + i);
        }

        for (int i = 0; i < clusters; i++)
        {
            _tables.Add(first + i);
        }

        Free(old, oldClusters);
        _l1 = grown;
        _l1Offset = offset;
        return Errno.None;
    }

    /// <summary>The image makes no sense: it is marked so, and nothing is written any more.</summary>
    /// <returns>EIO.</returns>
    public Errno Damaged(string what)
    {
        Damage ??= $"'{_layout.Name}' is damaged: {what}; `qemu-img check -r all` may repair it";
        if (!_file.IsReadOnly && _layout.Version >= 3 && (_incompatible & Qcow2Spec.Corrupt) == 0)
        {
            _ = WriteIncompatible(_incompatible | Qcow2Spec.Corrupt);
        }

        return Errno.EIO;
    }

    /// <summary>The image cannot be relied on: nothing is written any more.</summary>
    public void Stop(string why) => Damage ??= why;

    /// <summary>At closing, when all else has been flushed: counts that were not written yet, and the dirty bit.</summary>
    public Errno Finish()
    {
        Errno error = WriteCounts();
        error = error == Errno.None ? _file.Flush() : error;
        if (error == Errno.None && (_incompatible & Qcow2Spec.Dirty) != 0)
        {
            error = WriteIncompatible(_incompatible & ~Qcow2Spec.Dirty);
            error = error == Errno.None ? _file.Flush() : error;
        }

        return error;
    }

    private Errno WriteCounts()
    {
        Errno error = _refcounts.HasChangedCounts ? _refcounts.WriteCounts() : Errno.None;
        if (error == Errno.None && _refcounts.TableChanged)
        {
            error = _file.Flush();
            error = error == Errno.None ? _refcounts.WriteTable() : error;
        }

        return error;
    }

    // Before counts change that are not written in time: the dirty bit, on stable storage.
    private Errno BeginChange()
    {
        if (!_lazy || (_incompatible & Qcow2Spec.Dirty) != 0)
        {
            return Errno.None;
        }

        Errno error = WriteIncompatible(_incompatible | Qcow2Spec.Dirty);
        return error == Errno.None ? _file.Flush() : error;
    }

    private Errno WriteIncompatible(ulong features)
    {
        Span<byte> field = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64BigEndian(field, features);
        Errno error = _file.Write(Qcow2Spec.IncompatibleFeatures, field);
        _incompatible = error == Errno.None ? features : _incompatible;
        return error;
    }

    private static void WriteL1Fields(Span<byte> fields, int entries, long offset)
    {
        BinaryPrimitives.WriteInt32BigEndian(fields, entries);
        BinaryPrimitives.WriteInt64BigEndian(fields[sizeof(int)..], offset);
    }

    private void StopIfLost(bool isLost)
    {
        if (isLost)
        {
            Stop($"'{_layout.Name}' is written no more: its header could not be");
        }
    }

    private void FreeReplacedTable()
    {
        StopIfLost(_refcounts.HasLostHeader);
        if (_refcounts.Replaced is { } old)
        {
            _refcounts.ForgetReplaced();
            Free(old.First, old.Count);
        }
    }

    private void GiveBack(long first, long end)
    {
        if (first < end)
        {
            _ = _file.Discard(first << _layout.ClusterBits, (end - first) << _layout.ClusterBits);
        }
    }

    private Errno CopyCluster(long from, long to)
    {
        byte[] bytes = ArrayPool<byte>.Shared.Rent(_layout.ClusterSize);
        Span<byte> cluster = bytes.AsSpan(0, _layout.ClusterSize);
        Errno error = _file.Read(from, cluster);
        error = error == Errno.None ? _file.Write(to, cluster) : error;
        ArrayPool<byte>.Shared.Return(bytes);
        return error;
    }
}
