using System.Buffers;
using System.Buffers.Binary;

namespace Vmm.Emulation.Block.Qcow2;

/// <summary>Requests that change the disk.</summary>
public sealed partial class Qcow2Node
{
    /// <inheritdoc/>
    public override Errno Write(long offset, ReadOnlySpan<byte> data)
    {
        Errno error = IsReadOnly ? Errno.EROFS : Contains(offset, data.Length) ? Errno.None : Errno.EINVAL;
        if (error == Errno.None)
        {
            NoteWrite(offset, data.Length);
        }

        while (!data.IsEmpty && error == Errno.None)
        {
            error = WriteRun(offset, data, out int done);
            offset += done;
            data = data[done..];
        }

        return error;
    }

    /// <inheritdoc/>
    public override Errno WriteZeroes(long offset, long length, bool mayUnmap)
    {
        if (IsReadOnly || !Contains(offset, length))
        {
            return IsReadOnly ? Errno.EROFS : Errno.EINVAL;
        }

        NoteWrite(offset, length);
        (long first, long end) = WholeClusters(offset, length);
        bool byEntries = _layout.Version >= 3 || (_backing == null && mayUnmap);
        if (first >= end || !byEntries)
        {
            return WriteZeroBytes(offset, length);
        }

        long from = first << _layout.ClusterBits;
        long to = Math.Min(end << _layout.ClusterBits, offset + length);
        Errno error = WriteZeroBytes(offset, from - offset);
        error = error == Errno.None ? Unmap(first, end, mayUnmap ? Unmapping.Zero : Unmapping.ZeroInPlace) : error;
        return error == Errno.None ? WriteZeroBytes(to, offset + length - to) : error;
    }

    /// <inheritdoc/>
    public override Errno Discard(long offset, long length)
    {
        if (IsReadOnly || !Contains(offset, length))
        {
            return IsReadOnly ? Errno.EROFS : Errno.EINVAL;
        }

        // Without zero clusters the backing file's bytes would come to light again.
        (long first, long end) = WholeClusters(offset, length);
        return _layout.Version == 2 && _backing != null ? Errno.None : Unmap(first, end, Unmapping.Discard);
    }

    /// <summary>Makes the disk larger; a smaller one is refused with ENOTSUP.</summary>
    public override Errno Resize(long size)
    {
        long was = Size;
        if (IsReadOnly || size < was || size % Qcow2Spec.SectorSize != 0)
        {
            return IsReadOnly ? Errno.EROFS : size >= 0 && size < was ? Errno.EOPNOTSUPP : Errno.EINVAL;
        }

        // A version 2 snapshot does not say how large the disk was.
        if (_layout.Version == 2 && Snapshots.Count > 0)
        {
            return Errno.EOPNOTSUPP;
        }

        long entries = Qcow2Header.Divide(_layout.Clusters(size), 1L << _layout.L2Bits);
        if (entries * Qcow2Spec.EntrySize > Qcow2Spec.MaxL1Bytes)
        {
            return Errno.EFBIG;
        }

        Errno error;
        lock (_lock)
        {
            error = _metadata.Damage == null ? _metadata.GrowL1(entries) : Errno.EIO;
        }

        // What was behind the end, in the last cluster and in the backing file, is none of the new bytes.
        error = error == Errno.None ? ZeroBehind(was, size) : error;
        error = error == Errno.None ? Flush() : error;
        Span<byte> field = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64BigEndian(field, size);
        error = error == Errno.None ? _file.Write(Qcow2Spec.DiskSize, field) : error;
        error = error == Errno.None ? _file.Flush() : error;
        if (error == Errno.None)
        {
            Interlocked.Exchange(ref _size, size);
        }

        return error;
    }

    private Errno ZeroBehind(long was, long size)
    {
        long clusterEnd = Math.Min(_layout.Clusters(was) << _layout.ClusterBits, size);
        Errno error = WriteZeroBytes(was, clusterEnd - was);
        long end = Math.Min(size, _backing?.Size ?? 0);
        if (error != Errno.None || end <= clusterEnd)
        {
            return error;
        }

        return _layout.Version >= 3 ? Unmap(clusterEnd >> _layout.ClusterBits, _layout.Clusters(end), Unmapping.Zero)
            : WriteZeroBytes(clusterEnd, end - clusterEnd);
    }

    // The guest clusters that are wholly in a range; the last one of the disk may be smaller.
    private (long First, long End) WholeClusters(long offset, long length) =>
        (_layout.Clusters(offset), offset + length == Size ? _layout.Clusters(Size) : (offset + length) >> _layout.ClusterBits);

    // Zeros as data; bytes that read zero already are left alone.
    private Errno WriteZeroBytes(long offset, long length)
    {
        const int Most = 64 << 10;
        byte[]? zeros = null;
        Errno error = Errno.None;
        while (length > 0 && error == Errno.None)
        {
            Run run;
            lock (_lock)
            {
                error = FindRun(offset, length, out run);
            }

            if (error == Errno.None && !ReadsZero(run.FirstEntry, offset))
            {
                if (zeros == null)
                {
                    zeros = ArrayPool<byte>.Shared.Rent(Most);
                    zeros.AsSpan(0, Most).Clear();
                }

                run.Length = Math.Min(run.Length, Most);
                error = WriteRun(offset, zeros.AsSpan(0, run.Length), out run.Length);
            }

            offset += run.Length;
            length -= run.Length;
        }

        if (zeros != null)
        {
            ArrayPool<byte>.Shared.Return(zeros);
        }

        return error;
    }

    private enum Unmapping
    {
        // What has no place stays as it is.
        Discard,

        // All reads zero.
        Zero,

        // All reads zero, and what has a place keeps it.
        ZeroInPlace,
    }

    // Takes guest clusters out of use: those that change read zero.
    private Errno Unmap(long first, long end, Unmapping how)
    {
        Errno error = Errno.None;
        while (first < end && error == Errno.None)
        {
            bool many;
            lock (_lock)
            {
                error = UnmapSlice(ref first, end, how);
                many = _metadata.HasManyFreed;
            }

            error = error == Errno.None && many ? Flush() : error;
        }

        return error;
    }

    // The clusters of one slice, or none when one of them is in use; the caller tries again.
    private Errno UnmapSlice(ref long first, long end, Unmapping how)
    {
        Errno error = _metadata.Damage == null ? Errno.None : Errno.EIO;
        long sliceEntries = _layout.SliceSize / Qcow2Spec.EntrySize;
        long last = Math.Min(end, ((first / sliceEntries) + 1) * sliceEntries) - 1;
        if (error != Errno.None || !_requests.IsFree(first, last, exclusive: true))
        {
            return error;
        }

        error = _metadata.Find(first, false, out byte[] slice, out int index);
        bool changes = false;
        for (int i = 0; i <= last - first && error == Errno.None; i++)
        {
            ulong entry = Qcow2Metadata.Entry(slice, index + i);
            error = Check(entry, first + i);
            changes |= Unmapped(entry, how) != entry;
        }

        if (error == Errno.None && changes)
        {
            error = _metadata.EnsureTable(first);
            error = error == Errno.None ? _metadata.Find(first, true, out slice, out index) : error;
            for (int i = 0; i <= last - first && error == Errno.None; i++)
            {
                ulong entry = Qcow2Metadata.Entry(slice, index + i);
                ulong unmapped = Unmapped(entry, how);
                if ((unmapped & Qcow2Spec.OffsetMask) == 0)
                {
                    (long at, int count) = _layout.Clusters(entry);
                    _metadata.Free(at, count);
                }

                Qcow2Metadata.SetEntry(slice, index + i, unmapped);
            }
        }

        first = last + 1;
        return error;
    }

    private ulong Unmapped(ulong entry, Unmapping how)
    {
        BlockStatusKind kind = Kind(entry);
        if (kind == BlockStatusKind.Backing)
        {
            return how != Unmapping.Discard && _backing != null ? Qcow2Spec.ZeroFlag : entry;
        }

        if (how == Unmapping.ZeroInPlace && (entry & Qcow2Spec.Compressed) == 0)
        {
            return entry | Qcow2Spec.ZeroFlag;
        }

        return _backing != null || entry == Qcow2Spec.ZeroFlag ? Qcow2Spec.ZeroFlag : 0;
    }

    // Writes the first bytes of some data: those whose clusters are all in place, one after another, or all get a new place.
    private Errno WriteRun(long offset, ReadOnlySpan<byte> data, out int done)
    {
        Run run;
        bool inPlace;
        long host;
        done = 0;
        lock (_lock)
        {
            Errno found;
            do
            {
                found = _metadata.Damage == null ? FindWritable(offset, data.Length, out run, out inPlace) : Damaged(out run, out inPlace);
            }
            while (found == Errno.None && !_requests.IsFree(run.First, run.Last, exclusive: !inPlace));

            host = (long)(run.FirstEntry & Qcow2Spec.OffsetMask);
            if (found == Errno.None && !inPlace)
            {
                found = Place(offset, data.Length, ref run, out host);
            }

            if (found != Errno.None)
            {
                return found;
            }

            _requests.Begin(run.First, run.Last, exclusive: !inPlace);
        }

        done = run.Length;
        long skip = offset - (run.First << _layout.ClusterBits);
        Errno error;
        if (inPlace)
        {
            error = _file.Write(host + skip, data[..run.Length]);
            End(run, exclusive: false);
            return error;
        }

        error = WriteAround(offset, run, host);
        error = error == Errno.None ? _file.Write(host + skip, data[..run.Length]) : error;
        lock (_lock)
        {
            error = error == Errno.None ? LinkRun(run, host) : error;
            if (error != Errno.None)
            {
                _metadata.Return(host >> _layout.ClusterBits, (int)(run.Last - run.First) + 1);
            }

            _requests.End(run.First, run.Last, exclusive: true);
        }

        return error;
    }

    private static Errno Damaged(out Run run, out bool inPlace)
    {
        run = default;
        inPlace = false;
        return Errno.EIO;
    }

    // The run of a write that begins at an offset. Under the lock.
    private Errno FindWritable(long offset, long length, out Run run, out bool inPlace)
    {
        inPlace = false;
        Errno error = BeginRun(offset, length, false, out run, out byte[] slice, out int index);
        if (error != Errno.None)
        {
            return error;
        }

        run.FirstEntry = Qcow2Metadata.Entry(slice, index);
        inPlace = IsInPlace(run.FirstEntry);
        long count = 0;
        for (ulong entry = run.FirstEntry; error == Errno.None; entry = Qcow2Metadata.Entry(slice, index + (int)count))
        {
            if (inPlace ? entry != run.FirstEntry + ((ulong)count << _layout.ClusterBits) : IsInPlace(entry))
            {
                break;
            }

            error = Check(entry, run.First + count);
            long host = (long)(entry & Qcow2Spec.OffsetMask);
            if (error == Errno.None && inPlace && !_metadata.MayHoldData(host >> _layout.ClusterBits))
            {
                error = _metadata.Damaged($"its guest cluster {run.First + count} lies on a table, at 0x{host:x}");
            }

            run.LastEntry = entry;
            if (run.First + ++count > run.Last)
            {
                break;
            }
        }

        EndRun(offset, length, count, ref run);
        return error;
    }

    // Takes clusters of the file for a run, which becomes shorter if they do not lie together. Under the lock.
    private Errno Place(long offset, long length, ref Run run, out long host)
    {
        host = 0;
        Errno error = _metadata.EnsureTable(run.First);
        long first = 0;
        int count = 0;
        error = error == Errno.None ? _metadata.Allocate((int)(run.Last - run.First) + 1, out first, out count) : error;
        if (error != Errno.None)
        {
            return error;
        }

        host = first << _layout.ClusterBits;
        EndRun(offset, length, count, ref run);
        error = _metadata.Find(run.Last, false, out byte[] slice, out int index);
        run.LastEntry = Qcow2Metadata.Entry(slice, index);
        if (error != Errno.None)
        {
            _metadata.Return(first, count);
        }

        return error;
    }

    // Writes what the first and the last cluster of a new place have around the guest's data.
    private Errno WriteAround(long offset, in Run run, long host)
    {
        long start = run.First << _layout.ClusterBits;
        long end = offset + run.Length;
        Errno error = Copy(run.FirstEntry, start, (int)(offset - start), host);
        int tail = (int)(((run.Last + 1) << _layout.ClusterBits) - end);
        return error == Errno.None ? Copy(run.LastEntry, end, tail, host + (end - start)) : error;
    }

    // Copies guest bytes of a cluster to their new place in the file.
    private Errno Copy(ulong entry, long offset, int length, long to)
    {
        if (length == 0)
        {
            return Errno.None;
        }

        if (ReadsZero(entry, offset))
        {
            // What the file has not yet reads zero.
            return to >= _file.Size ? Errno.None : _file.WriteZeroes(to, length, mayUnmap: false);
        }

        byte[] buffer = ArrayPool<byte>.Shared.Rent(length);
        Span<byte> bytes = buffer.AsSpan(0, length);
        int inside = (int)Math.Clamp(Size - offset, 0, length);
        Errno error = ReadEntry(entry, offset, bytes[..inside]);
        bytes[inside..].Clear();
        error = error == Errno.None ? _file.Write(to, bytes) : error;
        ArrayPool<byte>.Shared.Return(buffer);
        return error;
    }

    // The clusters of a run have their new places, and the data are there.
    private Errno LinkRun(in Run run, long host)
    {
        Errno error = _metadata.Find(run.First, true, out byte[] slice, out int index);
        for (int i = 0; i <= run.Last - run.First && error == Errno.None; i++)
        {
            (long at, int count) = _layout.Clusters(Qcow2Metadata.Entry(slice, index + i));
            _metadata.Free(at, count);
            Qcow2Metadata.SetEntry(slice, index + i, (ulong)(host + ((long)i << _layout.ClusterBits)) | Qcow2Spec.Copied);
        }

        return error;
    }
}
