using System.Buffers.Binary;
using System.Globalization;
using static Vmm.Emulation.Block.Qcow2.Qcow2Spec;

namespace Vmm.Emulation.Block.Qcow2;

/// <summary>
/// A change of an image's snapshots: one is made or deleted, or the disk becomes what one has. All tables that the change needs are
/// written to clusters that were free, and flushed; <see cref="Commit"/> then has the header name them, by one write inside a sector. So
/// the image is whole and clean at every moment, before that write as it was, and after it as it is to be. A change that is cut off
/// leaves bytes in clusters that are still free, and nothing else.
/// <para>
/// From its beginning to <see cref="Dispose"/> requests for the disk wait. The old tables are used again after that only, so
/// <see cref="Undo"/> can take back a commit: several disks change together, or none does.
/// </para>
/// </summary>
public sealed class Qcow2Change : IDisposable
{
    // The fields of the header that change: from the size of the disk to the place of the table of snapshots.
    private const int FieldsStart = DiskSize;
    private const int FieldsEnd = SnapshotsOffset + sizeof(long);

    private readonly Qcow2Node _node;
    private readonly Qcow2Layout _layout;
    private readonly Qcow2ShadowCounts _counts;
    private readonly byte[] _was = new byte[FieldsEnd - FieldsStart];
    private readonly byte[] _fields;
    private readonly long _diskSize;
    private readonly Qcow2Snapshot[] _snapshots;
    private readonly ulong[] _l1;
    private Qcow2Contents? _contents;

    /// <param name="node">Has no request under way, and nothing of its tables to write.</param>
    /// <param name="contents">What it has.</param>
    internal Qcow2Change(Qcow2Node node, Qcow2Layout layout, Qcow2Contents contents)
    {
        (_node, _layout) = (node, layout);
        (_snapshots, _diskSize, _l1) = ([.. contents.Snapshots], contents.Size, contents.Metadata.L1.ToArray());
        _counts = new Qcow2ShadowCounts(layout, contents.Metadata.Refcounts, contents.Metadata.Tables);
        Check(layout, layout.File.Read(FieldsStart, _was), "read");
        _fields = [.. _was];
    }

    /// <summary>Adds a snapshot of the disk. Its L1 table is the one that the disk had.</summary>
    internal Qcow2Change Create(string name, DateTimeOffset time, TimeSpan vmClock)
    {
        if (_snapshots.Length == MaxSnapshots)
        {
            throw new BlockException($"'{_layout.Name}' has {MaxSnapshots} snapshots; no more are possible");
        }

        Count(_l1, up: true);
        long last = _snapshots.Select(s => long.TryParse(s.Id, CultureInfo.InvariantCulture, out long id) ? id : 0)
            .DefaultIfEmpty().Max();
        byte[] entry = Qcow2Snapshot.MakeEntry(
            BinaryPrimitives.ReadInt64BigEndian(Field(L1TableOffset)), BinaryPrimitives.ReadInt32BigEndian(Field(L1Size)),
            (last + 1).ToString(CultureInfo.InvariantCulture), name, time, vmClock, _diskSize);
        SetL1(_l1);
        SetSnapshots([.. _snapshots.Select(s => s.Entry), entry]);
        return Write();
    }

    /// <summary>Makes the disk what a snapshot has, also in its size.</summary>
    internal Qcow2Change Apply(Qcow2Snapshot snapshot)
    {
        // What the snapshot has behind the end of the disk is the state of a machine, which QEMU saved with it.
        ulong[] l1 = ReadL1(snapshot);
        int needed = (int)Qcow2Header.Divide(_layout.Clusters(snapshot.DiskSize), 1L << _layout.L2Bits);
        l1.AsSpan(needed).Clear();
        Count(l1, up: true);
        Count(_l1, up: false);
        _counts.Add(
            BinaryPrimitives.ReadInt64BigEndian(Field(L1TableOffset)) >> _layout.ClusterBits, L1Clusters(_l1.Length), up: false);
        SetL1(l1);
        BinaryPrimitives.WriteInt64BigEndian(Field(DiskSize), snapshot.DiskSize);
        return Write();
    }

    /// <summary>Deletes snapshots. The disk has for itself again what it shared with them alone.</summary>
    internal Qcow2Change Delete(IReadOnlyCollection<Qcow2Snapshot> deleted)
    {
        // What the image has is read anew at each change: one that was found before would be counted down, and stay in the table.
        if (deleted.FirstOrDefault(d => !_snapshots.Contains(d)) is { } unknown)
        {
            throw new InvalidOperationException($"'{unknown.Name}' is none of the snapshots that the image has now");
        }

        foreach (Qcow2Snapshot snapshot in deleted)
        {
            Count(ReadL1(snapshot), up: false);
            _counts.Add(snapshot.L1Offset >> _layout.ClusterBits, L1Clusters(snapshot.L1Size), up: false);
        }

        _counts.Add(
            BinaryPrimitives.ReadInt64BigEndian(Field(L1TableOffset)) >> _layout.ClusterBits, L1Clusters(_l1.Length), up: false);
        SetL1(_l1);
        SetSnapshots([.. _snapshots.Where(s => !deleted.Contains(s)).Select(s => s.Entry)]);
        return Write();
    }

    /// <summary>Makes the change; it outlives a loss of power on return.</summary>
    /// <exception cref="BlockException">It cannot be made, and the image is as it was.</exception>
    public void Commit()
    {
        try
        {
            WriteFields(_fields);
            _contents = _node.ReadContents();
        }
        catch
        {
            Undo();
            throw;
        }
    }

    /// <summary>Takes a commit back. An image that cannot be written is written no more.</summary>
    public void Undo()
    {
        _contents = null;
        try
        {
            WriteFields(_was);
        }
        catch (BlockException e)
        {
            _node.Stop(e.Message);
        }
    }

    /// <summary>Ends the change: requests for the disk go on, on what was committed or what was before.</summary>
    public void Dispose()
    {
        if (_contents != null)
        {
            foreach ((long first, long count) in _counts.Freed())
            {
                _ = _layout.File.Discard(first << _layout.ClusterBits, count << _layout.ClusterBits);
            }
        }

        _node.EndChange(_contents);
    }

    internal static void Check(Qcow2Layout layout, Errno error, string what = "written")
    {
        if (error != Errno.None)
        {
            throw new BlockException($"'{layout.Name}' cannot be {what}: {HostFile.Message(error)}");
        }
    }

    private Qcow2Change Write()
    {
        _counts.Write();
        BinaryPrimitives.WriteInt64BigEndian(Field(RefcountTableOffset), _counts.Table.First << _layout.ClusterBits);
        BinaryPrimitives.WriteInt32BigEndian(Field(RefcountTableClusters), _counts.Table.Count);
        Check(_layout, _layout.File.Flush());
        return this;
    }

    // Counts all that an L1 table refers to up or down.
    private void Count(ulong[] l1, bool up)
    {
        ulong[] l2 = new ulong[_layout.ClusterSize / EntrySize];
        foreach (ulong l1Entry in l1)
        {
            long table = TableOf(l1Entry);
            if (table == 0)
            {
                continue;
            }

            _counts.Add(table >> _layout.ClusterBits, up);
            Qcow2Metadata.ReadTable(_layout, table, l2);
            foreach (ulong entry in l2)
            {
                (long first, int count) = _layout.Clusters(entry);
                _counts.Add(first, count, up);
            }
        }
    }

    // The L1 table of the disk, at a new place, with flags that say which clusters are the disk's alone. An L2 table whose flags
    // change is written anew, too, for others may have the old one.
    private void SetL1(ulong[] l1)
    {
        ulong[] l2 = new ulong[_layout.ClusterSize / EntrySize];
        ulong[] fresh = new ulong[L1Clusters(l1.Length) * (_layout.ClusterSize / EntrySize)];
        for (int i = 0; i < l1.Length; i++)
        {
            long table = TableOf(l1[i]);
            if (table == 0)
            {
                continue;
            }

            Qcow2Metadata.ReadTable(_layout, table, l2);
            if (Flag(l2))
            {
                long place = _counts.Allocate(1);
                Check(_layout, Qcow2Metadata.WriteTable(_layout, place << _layout.ClusterBits, l2, 0, l2.Length));
                _counts.Add(table >> _layout.ClusterBits, up: false);
                table = place << _layout.ClusterBits;
            }

            fresh[i] = (ulong)table | (IsOwn(table) ? Copied : 0);
        }

        long at = fresh.Length == 0 ? 0 : _counts.Allocate((int)L1Clusters(l1.Length)) << _layout.ClusterBits;
        Check(_layout, Qcow2Metadata.WriteTable(_layout, at, fresh, 0, fresh.Length));
        BinaryPrimitives.WriteInt64BigEndian(Field(L1TableOffset), at);
        BinaryPrimitives.WriteInt32BigEndian(Field(L1Size), l1.Length);
    }

    private bool Flag(ulong[] l2)
    {
        bool changes = false;
        foreach (ref ulong entry in l2.AsSpan())
        {
            if ((entry & Compressed) == 0 && (entry & OffsetMask) != 0)
            {
                ulong flagged = IsOwn((long)(entry & OffsetMask)) ? entry | Copied : entry & ~Copied;
                changes |= flagged != entry;
                entry = flagged;
            }
        }

        return changes;
    }

    private bool IsOwn(long offset) => _counts.Get(offset >> _layout.ClusterBits) == 1;

    // The table of snapshots, at a new place.
    private void SetSnapshots(byte[][] entries)
    {
        long old = BinaryPrimitives.ReadInt64BigEndian(Field(SnapshotsOffset));
        _counts.Add(old >> _layout.ClusterBits, _layout.Clusters(_snapshots.Sum(s => (long)s.Entry.Length)), up: false);
        byte[] table = [.. entries.SelectMany(e => e)];
        long at = 0;
        if (table.Length > 0)
        {
            int clusters = (int)_layout.Clusters(table.Length);
            at = _counts.Allocate(clusters) << _layout.ClusterBits;
            Array.Resize(ref table, clusters << _layout.ClusterBits);
            Check(_layout, _layout.File.Write(at, table));
        }

        BinaryPrimitives.WriteInt32BigEndian(Field(SnapshotCount), entries.Length);
        BinaryPrimitives.WriteInt64BigEndian(Field(SnapshotsOffset), at);
    }

    private ulong[] ReadL1(Qcow2Snapshot snapshot)
    {
        ulong[] l1 = new ulong[snapshot.L1Size];
        Qcow2Metadata.ReadTable(_layout, snapshot.L1Offset, l1);
        return l1;
    }

    private long TableOf(ulong l1Entry)
    {
        long table = (long)(l1Entry & OffsetMask);
        return table % _layout.ClusterSize == 0 ? table
            : throw new BlockException($"'{_layout.Name}' is damaged: its L2 table at 0x{table:x} begins inside a cluster");
    }

    private long L1Clusters(int entries) => _layout.Clusters((long)entries * EntrySize);

    private Span<byte> Field(int at) => _fields.AsSpan(at - FieldsStart);

    private void WriteFields(byte[] fields)
    {
        Check(_layout, _layout.File.Write(FieldsStart, fields));
        Check(_layout, _layout.File.Flush());
    }
}
