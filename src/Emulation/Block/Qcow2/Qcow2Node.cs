using System.Buffers;

namespace Vmm.Emulation.Block.Qcow2;

/// <summary>
/// A disk in a qcow2 image, version 2 or 3 (QEMU, docs/interop/qcow2.txt).
/// <para>
/// One lock is over the tables (<see cref="Qcow2Metadata"/>); it is held while tables are looked up, changed, read and written, not while
/// the guest's data are. A request on clusters that have a place in the file shares them with others; one that gives them a place, or takes
/// it from them, has them for itself (<see cref="RequestTracker"/>). So no data are on their way to or from a cluster of the file that
/// is freed, and two writers of a new cluster do not both make one. A request has a run of clusters at a time.
/// </para>
/// </summary>
public sealed partial class Qcow2Node : BlockNode
{
    // The cluster that a flush has, as it were, among the requests under way.
    private const long FlushPlace = -1;

    // Lock of the metadata, the requests and the size.
    private readonly object _lock = new();
    private readonly RequestTracker _requests;
    private readonly Qcow2Layout _layout;
    private readonly ImageOptions _options;
    private readonly Qcow2Decompressor _decompressor;
    private readonly BlockNode _file;
    private readonly BlockNode? _backing;

    // Replaced when the snapshots change, under the lock and while no request is under way.
    private volatile Qcow2Metadata _metadata;
    private volatile IReadOnlyList<Qcow2Snapshot> _snapshots;
    private long _size;

    internal Qcow2Node(
        Qcow2Layout layout, Qcow2Header header, Qcow2Contents contents, BlockNode? backing, ImageOptions options, bool writable)
    {
        _layout = layout;
        _file = layout.File;
        (_metadata, _snapshots, _size) = (contents.Metadata, contents.Snapshots, contents.Size);
        _backing = backing;
        _options = options;
        _requests = new RequestTracker(_lock);
        _decompressor = new Qcow2Decompressor(layout, header.IsZstd);
        BackingFile = header.BackingFile;
        BackingFormat = header.BackingFormat;
        IsZstd = header.IsZstd;
        HasLazyRefcounts = (header.Compatible & Qcow2Spec.LazyRefcounts) != 0;
        IsReadOnly = !writable;
    }

    public override string Driver => "qcow2";

    public override BlockNode Child => _file;

    public override string? FileName => _file.FileName;

    public override long Size => Interlocked.Read(ref _size);

    public override bool IsReadOnly { get; }

    public override BlockNode? Backing => _backing;

    /// <summary>The internal snapshots, in the image's order.</summary>
    public IReadOnlyList<Qcow2Snapshot> Snapshots => _snapshots;

    /// <summary>The name of the backing file as the header has it; null for none.</summary>
    public string? BackingFile { get; }

    /// <summary>The format of the backing file as the header has it.</summary>
    public string? BackingFormat { get; }

    /// <summary>Bytes of a cluster.</summary>
    public int ClusterSize => _layout.ClusterSize;

    /// <summary>2 or 3.</summary>
    public int Version => _layout.Version;

    /// <summary>Bits of a refcount.</summary>
    public int RefcountBits => 1 << _layout.RefcountOrder;

    /// <summary>Compressed clusters are zstd's, else zlib's.</summary>
    public bool IsZstd { get; }

    /// <summary>Refcounts are written late, and counted anew after a loss of power.</summary>
    public bool HasLazyRefcounts { get; }

    /// <summary>The image says of itself that its refcounts may be wrong.</summary>
    public bool IsDirty => _metadata.IsDirty;

    /// <summary>What was found damaged, as one line; null for nothing. Requests that change something fail from then on.</summary>
    public string? Damage => _metadata.Damage;

    // A run of guest clusters of one kind, in one slice of an L2 table; of clusters with a place, one after another in the file.
    private struct Run
    {
        public long First;
        public long Last;
        public ulong FirstEntry;
        public ulong LastEntry;

        // Bytes of the request in the run.
        public int Length;
    }

    /// <inheritdoc/>
    public override Errno Read(long offset, Span<byte> buffer)
    {
        if (!Contains(offset, buffer.Length))
        {
            return Errno.EINVAL;
        }

        while (!buffer.IsEmpty)
        {
            Run run;
            lock (_lock)
            {
                Errno found;
                do
                {
                    found = FindRun(offset, buffer.Length, out run);
                }
                while (found == Errno.None && !_requests.IsFree(run.First, run.Last, exclusive: false));

                if (found != Errno.None)
                {
                    return found;
                }

                _requests.Begin(run.First, run.Last, exclusive: false);
            }

            Errno error = ReadEntry(run.FirstEntry, offset, buffer[..run.Length]);
            End(run, exclusive: false);
            if (error != Errno.None)
            {
                return error;
            }

            offset += run.Length;
            buffer = buffer[run.Length..];
        }

        return Errno.None;
    }

    /// <inheritdoc/>
    public override Errno Flush() => IsReadOnly ? Errno.None : Flush(waits: true);

    // A flush that frees clusters is a request under way until it has, so that no change of the snapshots begins meanwhile.
    private Errno Flush(bool waits)
    {
        List<(long, int)>? freed = null;
        Errno error;
        lock (_lock)
        {
            while (waits && !_requests.IsFree(FlushPlace, FlushPlace, exclusive: false))
            {
            }

            error = _metadata.Damage == null ? _metadata.WriteBack() : Errno.EIO;
            if (error == Errno.None && _metadata.HasFreed)
            {
                freed = _metadata.TakeFreed();
                _requests.Begin(FlushPlace, FlushPlace, exclusive: false);
            }
        }

        error = error == Errno.None ? _file.Flush() : error;
        if (freed != null)
        {
            lock (_lock)
            {
                error = error == Errno.None ? _metadata.ApplyFreed(freed) : error;
                _requests.End(FlushPlace, FlushPlace, exclusive: false);
            }
        }

        return error;
    }

    /// <inheritdoc/>
    public override Errno Status(long offset, long length, out BlockStatus status)
    {
        status = default;
        if (!Contains(offset, length) || length == 0)
        {
            return Errno.EINVAL;
        }

        lock (_lock)
        {
            Errno error = FindRun(offset, length, out Run run);
            status = new BlockStatus(Kind(run.FirstEntry), run.Length);
            return error;
        }
    }

    /// <inheritdoc/>
    protected override void Close()
    {
        if (!IsReadOnly && Flush() == Errno.None)
        {
            lock (_lock)
            {
                _ = _metadata.Finish();
            }
        }

        _file.Dispose();
        _backing?.Dispose();
    }

    private static BlockStatusKind Kind(ulong entry) =>
        (entry & Qcow2Spec.Compressed) != 0 ? BlockStatusKind.Data
        : (entry & Qcow2Spec.ZeroFlag) != 0 ? BlockStatusKind.Zero
        : (entry & Qcow2Spec.OffsetMask) != 0 ? BlockStatusKind.Data
        : BlockStatusKind.Backing;

    private bool IsInPlace(ulong entry) => Kind(entry) == BlockStatusKind.Data && (entry & Qcow2Spec.Copied) != 0;

    // The run of a read or of a status that begins at an offset. Under the lock.
    private Errno FindRun(long offset, long length, out Run run)
    {
        Errno error = BeginRun(offset, length, false, out run, out byte[] slice, out int index);
        if (error != Errno.None)
        {
            return error;
        }

        ulong entry = Qcow2Metadata.Entry(slice, index);
        run.FirstEntry = entry;
        error = Check(entry, run.First);
        BlockStatusKind kind = Kind(entry);
        bool compressed = (entry & Qcow2Spec.Compressed) != 0;
        long count = 1;
        for (ulong expected = entry; run.First + count <= run.Last && !compressed; count++)
        {
            ulong next = Qcow2Metadata.Entry(slice, index + (int)count);
            expected += kind == BlockStatusKind.Data ? (ulong)_layout.ClusterSize : 0;
            if (kind == BlockStatusKind.Data ? next != expected : Kind(next) != kind)
            {
                break;
            }
        }

        EndRun(offset, length, count, ref run);
        return error;
    }

    // The clusters of a request up to the end of the slice that has the first one's entry, and the slice.
    private Errno BeginRun(long offset, long length, bool change, out Run run, out byte[] slice, out int index)
    {
        run = new Run { First = offset >> _layout.ClusterBits, Last = (offset + length - 1) >> _layout.ClusterBits };
        Errno error = _metadata.Find(run.First, change, out slice, out index);
        long inSlice = (_layout.SliceSize / Qcow2Spec.EntrySize) - index;
        run.Last = Math.Min(run.Last, run.First + inSlice - 1);
        return error;
    }

    private void EndRun(long offset, long length, long count, ref Run run)
    {
        const int MostAtOnce = 1 << 30;
        count = Math.Min(count, Math.Max(1, MostAtOnce >> _layout.ClusterBits));
        run.Last = run.First + count - 1;
        run.Length = (int)Math.Min(length, ((run.Last + 1) << _layout.ClusterBits) - offset);
    }

    private Errno Check(ulong entry, long cluster)
    {
        if ((entry & Qcow2Spec.Compressed) != 0)
        {
            return Errno.None;
        }

        if ((entry & Qcow2Spec.OffsetMask & (ulong)(_layout.ClusterSize - 1)) != 0)
        {
            return _metadata.Damaged($"its guest cluster {cluster} has a place inside another cluster, 0x{entry & Qcow2Spec.OffsetMask:x}");
        }

        return (entry & Qcow2Spec.ZeroFlag) != 0 && _layout.Version == 2
            ? _metadata.Damaged($"its guest cluster {cluster} is a zero cluster, which version 2 does not have") : Errno.None;
    }

    private void End(in Run run, bool exclusive)
    {
        lock (_lock)
        {
            _requests.End(run.First, run.Last, exclusive);
        }
    }

    // Reads guest bytes whose first cluster has an entry, without the lock.
    private Errno ReadEntry(ulong entry, long offset, Span<byte> buffer)
    {
        if (buffer.IsEmpty)
        {
            return Errno.None;
        }

        int inCluster = (int)(offset & (_layout.ClusterSize - 1));
        if ((entry & Qcow2Spec.Compressed) != 0)
        {
            return _decompressor.Read(entry, inCluster, buffer);
        }

        if (ReadsZero(entry, offset))
        {
            buffer.Clear();
            return Errno.None;
        }

        if (Kind(entry) == BlockStatusKind.Data)
        {
            return _file.Read((long)(entry & Qcow2Spec.OffsetMask) + inCluster, buffer);
        }

        int stored = (int)Math.Min(buffer.Length, _backing!.Size - offset);
        buffer[stored..].Clear();
        return _backing.Read(offset, buffer[..stored]);
    }

    private bool ReadsZero(ulong entry, long offset) => Kind(entry) switch
    {
        BlockStatusKind.Zero => true,
        BlockStatusKind.Backing => _backing == null || offset >= _backing.Size,
        _ => false,
    };
}
