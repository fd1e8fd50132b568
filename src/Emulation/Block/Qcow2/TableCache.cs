namespace Vmm.Emulation.Block.Qcow2;

/// <summary>
/// Slices of tables (L2 tables or refcount blocks) that were read or changed last, by their offset in the file. Least recently used ones
/// make room. All members under the owner's lock; bytes that <see cref="Get"/> hands out are valid until the next call of it.
/// </summary>
internal sealed class TableCache
{
    private const int None = -1;

    private readonly BlockNode _file;
    private readonly int _most;
    private readonly Dictionary<long, int> _byOffset = [];
    private Entry[] _entries = new Entry[4];
    private int _count;
    private int _dirty;

    // The ends of a list that is linked by use.
    private int _newest = None;
    private int _oldest = None;

    /// <param name="sliceSize">Bytes of a slice; slices begin at multiples of it.</param>
    /// <param name="bytes">At most so many are kept, but at least two slices.</param>
    public TableCache(BlockNode file, int sliceSize, long bytes)
    {
        _file = file;
        SliceSize = sliceSize;
        _most = (int)Math.Clamp(bytes / sliceSize, 2, int.MaxValue / 2);
    }

    private struct Entry
    {
        public long Offset;
        public byte[] Bytes;
        public bool Dirty;
        public int Newer;
        public int Older;
    }

    public int SliceSize { get; }

    public bool HasDirty => _dirty > 0;

    /// <summary>All slices are changed ones, and a further one has no room.</summary>
    public bool IsFullOfDirty => _dirty == _most;

    /// <summary>
    /// The slice at an offset, which is read where it is not here. There is room for it: see <see cref="IsFullOfDirty"/>.
    /// </summary>
    /// <param name="change">The caller changes it.</param>
    public Errno Get(long offset, bool change, out byte[] bytes)
    {
        if (!_byOffset.TryGetValue(offset, out int index))
        {
            index = Room();
            ref Entry fresh = ref _entries[index];
            Errno error = _file.Read(offset, fresh.Bytes);
            if (error != Errno.None)
            {
                // The entry is empty, and is used again when there is no room for more.
                bytes = fresh.Bytes;
                return error;
            }

            fresh.Offset = offset;
            _byOffset.Add(offset, index);
        }

        ref Entry entry = ref _entries[index];
        if (_newest != index)
        {
            Unlink(index);
            Link(index);
        }

        if (change && !entry.Dirty)
        {
            entry.Dirty = true;
            _dirty++;
        }

        bytes = entry.Bytes;
        return Errno.None;
    }

    /// <summary>Writes all that was changed; what cannot be written stays changed.</summary>
    public Errno WriteDirty()
    {
        for (int i = 0; i < _count && _dirty > 0; i++)
        {
            if (_entries[i].Dirty && Write(ref _entries[i]) is var error && error != Errno.None)
            {
                return error;
            }
        }

        return Errno.None;
    }

    /// <summary>Writes the changed slice that was used longest ago, so that it can make room.</summary>
    public Errno WriteOldest() => _oldest != None && _entries[_oldest].Dirty ? Write(ref _entries[_oldest]) : Errno.None;

    /// <summary>Forgets what it has of a range of the file, changed or not: it is no table any more.</summary>
    public void Drop(long offset, long length)
    {
        for (long at = offset; at < offset + length; at += SliceSize)
        {
            if (_byOffset.Remove(at, out int index))
            {
                ref Entry entry = ref _entries[index];
                entry.Offset = None;
                _dirty -= entry.Dirty ? 1 : 0;
                entry.Dirty = false;
            }
        }
    }

    private Errno Write(ref Entry entry)
    {
        Errno error = _file.Write(entry.Offset, entry.Bytes);
        if (error == Errno.None)
        {
            entry.Dirty = false;
            _dirty--;
        }

        return error;
    }

    // An entry without contents: a new one, or the oldest that is not changed.
    private int Room()
    {
        if (_count < _most)
        {
            if (_count == _entries.Length)
            {
                Array.Resize(ref _entries, (int)Math.Min(2L * _count, _most));
            }

            _entries[_count] = new Entry { Offset = None, Bytes = new byte[SliceSize], Newer = None, Older = None };
            Link(_count);
            return _count++;
        }

        int index = _oldest;
        while (_entries[index].Dirty)
        {
            index = _entries[index].Newer;
        }

        _byOffset.Remove(_entries[index].Offset);
        _entries[index].Offset = None;
        return index;
    }

    private void Link(int index)
    {
        _entries[index].Older = _newest;
        _entries[index].Newer = None;
        if (_newest != None)
        {
            _entries[_newest].Newer = index;
        }

        _newest = index;
        _oldest = _oldest == None ? index : _oldest;
    }

    private void Unlink(int index)
    {
        ref Entry entry = ref _entries[index];
        if (entry.Older != None)
        {
            _entries[entry.Older].Newer = entry.Newer;
        }
        else
        {
            _oldest = entry.Newer;
        }

        if (entry.Newer != None)
        {
            _entries[entry.Newer].Older = entry.Older;
        }
        else
        {
            _newest = entry.Older;
        }
    }
}
