namespace Vmm.Emulation.Block.Qcow2;

/// <summary>
/// The refcounts of an image as a change of its snapshots leaves them (<see cref="Qcow2Change"/>). The file's own counts stay as they are:
/// blocks that change, and the table, are written to clusters that were free before, and mean nothing until the header names the table.
/// One thread; it has the image for itself.
/// </summary>
internal sealed class Qcow2ShadowCounts
{
    private readonly Qcow2Layout _layout;
    private readonly IReadOnlySet<long> _tables;
    private readonly (long First, int Count) _oldTable;
    private readonly Dictionary<long, Block> _blocks = [];
    private ulong[] _table;

    // All clusters before this one are taken.
    private long _next;

    private sealed class Block(byte[] was)
    {
        /// <summary>As the file has it; zeros for one that the file has not.</summary>
        public byte[] Was => was;

        /// <summary>As it is to be; null for no other.</summary>
        public byte[]? Now { get; set; }

        /// <summary>Its new cluster; 0 for none yet.</summary>
        public long Place { get; set; }
    }

    /// <param name="refcounts">Those of the file, without changes that are not written.</param>
    /// <param name="tables">Clusters that hold tables and are not taken, whatever their counts say.</param>
    public Qcow2ShadowCounts(Qcow2Layout layout, Qcow2Refcounts refcounts, IReadOnlySet<long> tables)
    {
        _layout = layout;
        _tables = tables;
        _table = refcounts.Entries.ToArray();
        _oldTable = refcounts.Table;
    }

    /// <summary>Where the new table is, in clusters.</summary>
    public (long First, int Count) Table { get; private set; }

    /// <exception cref="BlockException">The file cannot be read.</exception>
    public ulong Get(long cluster) => Get(cluster, now: true);

    /// <summary>Counts a cluster that is in use up or down by one.</summary>
    /// <exception cref="BlockException">It is not in use, or its count can go no higher.</exception>
    public void Add(long cluster, bool up)
    {
        ulong count = Get(cluster);
        if (count == 0)
        {
            throw new BlockException(
                $"'{_layout.Name}' is damaged: its cluster 0x{cluster << _layout.ClusterBits:x} is in use, and its refcounts have it as"
                + " free; `qemu-img check -r all` may repair it");
        }

        if (up && count == _layout.MostReferences)
        {
            throw new BlockException($"'{_layout.Name}' can have no such snapshot: its refcounts of {1 << _layout.RefcountOrder} bits"
                + $" count no more than {count} references to a cluster");
        }

        Set(cluster, up ? count + 1 : count - 1);
    }

    public void Add(long first, long count, bool up)
    {
        for (long cluster = first; cluster < first + count; cluster++)
        {
            Add(cluster, up);
        }
    }

    /// <summary>Takes clusters that lie one after another and that are free in the file, too.</summary>
    /// <returns>The first.</returns>
    /// <exception cref="BlockException">There are none.</exception>
    public long Allocate(int count)
    {
        long free = 0;
        for (long cluster = _next;; cluster++)
        {
            if (cluster >= Qcow2Spec.MaxHostOffset >> _layout.ClusterBits)
            {
                throw new BlockException($"'{_layout.Name}' cannot become larger");
            }

            free = Get(cluster, now: false) == 0 && Get(cluster) == 0 && !_tables.Contains(cluster) ? free + 1 : 0;
            if (free == count)
            {
                long first = cluster - count + 1;
                for (long taken = first; taken <= cluster; taken++)
                {
                    Set(taken, 1);
                }

                _next = count == 1 ? first + 1 : _next;
                return first;
            }
        }
    }

    /// <summary>Writes the blocks that have changed, and the table, whose old places are free afterwards. The last step.</summary>
    /// <exception cref="BlockException">They cannot be written.</exception>
    public void Write()
    {
        Add(_oldTable.First, _oldTable.Count, up: false);
        Place();
        foreach ((long index, Block block) in _blocks)
        {
            if (block.Now != null)
            {
                Qcow2Change.Check(_layout, _layout.File.Write(block.Place << _layout.ClusterBits, block.Now));
                _table[index] = (ulong)block.Place << _layout.ClusterBits;
            }
        }

        Qcow2Change.Check(
            _layout, Qcow2Metadata.WriteTable(_layout, Table.First << _layout.ClusterBits, _table, 0, _table.Length));
    }

    /// <summary>The clusters of the file that are free now and were not, in runs.</summary>
    public IEnumerable<(long First, long Count)> Freed()
    {
        foreach ((long index, Block block) in _blocks.Where(b => b.Value.Now != null))
        {
            long start = index << _layout.RefcountBlockBits;
            long free = 0;
            for (int i = 0; i <= 1 << _layout.RefcountBlockBits; i++)
            {
                bool freed = i < 1 << _layout.RefcountBlockBits && Qcow2Refcounts.ReadCount(_layout, block.Now!, i) == 0
                    && Qcow2Refcounts.ReadCount(_layout, block.Was, i) != 0;
                if (!freed && free > 0)
                {
                    yield return (start + i - free, free);
                }

                free = freed ? free + 1 : 0;
            }
        }
    }

    // A place may change a block that had not changed, which then needs one, too; the table grows with the last block.
    private void Place()
    {
        bool placed;
        do
        {
            placed = true;
            foreach (Block block in _blocks.Values.Where(b => b.Now != null && b.Place == 0).ToArray())
            {
                block.Place = Allocate(1);
                placed = false;
            }

            foreach (long index in _blocks.Where(b => b.Value.Place != 0 && Has(b.Key)).Select(b => b.Key).ToArray())
            {
                Add((long)(_table[index] & Qcow2Spec.RefcountOffsetMask) >> _layout.ClusterBits, up: false);
                _table[index] = 0;
                placed = false;
            }

            int clusters = Math.Max(_oldTable.Count, (int)_layout.Clusters((_blocks.Keys.Max() + 1) * Qcow2Spec.EntrySize));
            if (clusters > Table.Count)
            {
                if ((long)clusters << _layout.ClusterBits > Qcow2Spec.MaxRefcountTableBytes)
                {
                    throw new BlockException($"'{_layout.Name}' cannot become larger");
                }

                for (long cluster = Table.First; cluster < Table.First + Table.Count; cluster++)
                {
                    Set(cluster, 0);
                }

                Table = (Allocate(clusters), clusters);
                Array.Resize(ref _table, clusters * (_layout.ClusterSize / Qcow2Spec.EntrySize));
                placed = false;
            }
        }
        while (!placed);
    }

    private bool Has(long index) => index < _table.Length && _table[index] != 0;

    private ulong Get(long cluster, bool now)
    {
        long index = cluster >> _layout.RefcountBlockBits;
        if (!_blocks.TryGetValue(index, out Block? block))
        {
            if (!Has(index))
            {
                return 0;
            }

            block = Read(index);
        }

        return Qcow2Refcounts.ReadCount(_layout, (now ? block.Now : null) ?? block.Was, IndexIn(cluster));
    }

    private void Set(long cluster, ulong count)
    {
        long index = cluster >> _layout.RefcountBlockBits;
        if (!_blocks.TryGetValue(index, out Block? block))
        {
            block = Read(index);
        }

        block.Now ??= [.. block.Was];
        Qcow2Refcounts.WriteCount(_layout, block.Now, IndexIn(cluster), count);
    }

    private int IndexIn(long cluster) => (int)(cluster & ((1L << _layout.RefcountBlockBits) - 1));

    private Block Read(long index)
    {
        var block = new Block(new byte[_layout.ClusterSize]);
        if (Has(index))
        {
            ulong place = _table[index] & Qcow2Spec.RefcountOffsetMask;
            if (place % (ulong)_layout.ClusterSize != 0 || place >= Qcow2Spec.MaxHostOffset)
            {
                throw new BlockException($"'{_layout.Name}' is damaged: it has a block of refcounts at 0x{place:x}");
            }

            Qcow2Change.Check(_layout, _layout.File.Read((long)place, block.Was), "read");
        }

        _blocks.Add(index, block);
        return block;
    }
}
