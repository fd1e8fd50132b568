using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Vmm.Emulation.Block;

/// <summary>
/// A file or block device of the host (QEMU's drivers <c>file</c> and <c>host_device</c>). It grows by writes past its end, and reads zero
/// there. Requests run in parallel; the only shared state is the size, the error of a flush, and what the host turned out not to support.
/// </summary>
public sealed unsafe class FileNode : BlockNode
{
    private const int MostAtOnce = 1 << 20;
    private const nuint BufferAlignment = 4096;

    private readonly SafeFileHandle _file;
    private readonly string _path;
    private readonly CacheMode _cache;
    private readonly bool _unmap;
    private readonly int _memoryAlignment = 1;
    private readonly int _offsetAlignment = 1;

    // Direct requests by blocks of the host: one that is smaller than a block reads and writes it whole, and has it for itself.
    private readonly object _lock = new();
    private readonly RequestTracker _requests;

    // Grows by interlocked exchange.
    private long _size;

    // The error of the first flush that failed. The kernel reports it once and then takes the lost pages for clean, so that no later
    // flush can tell the truth (fsync(2), "Errors").
    private volatile int _lost;
    private volatile bool _cannotPunch;
    private volatile bool _cannotZero;

    // Figures, by interlocked additions.
    private long _discards;
    private long _failedDiscards;
    private long _discardedBytes;

    private FileNode(SafeFileHandle file, string path, bool writable, CacheMode cache, bool unmap)
    {
        _file = file;
        _path = path;
        _cache = cache;
        _unmap = unmap;
        _requests = new RequestTracker(_lock);
        IsReadOnly = !writable;
        if (cache.Direct)
        {
            (_memoryAlignment, _offsetAlignment) = HostFile.DirectAlignment(file);
        }
    }

    /// <summary>Opens a file that exists.</summary>
    /// <exception cref="BlockException">There is none, or it is in use.</exception>
    public static FileNode Open(string path, bool writable, ImageOptions options) =>
        Open(path, writable ? HostFile.ReadWrite : HostFile.ReadOnly, writable, options);

    /// <summary>Makes an empty file, where no file is yet.</summary>
    /// <exception cref="BlockException">There is one, or the host cannot make it.</exception>
    public static FileNode Create(string path, ImageOptions options) =>
        Open(path, HostFile.ReadWrite | HostFile.Create | HostFile.Exclusive, true, options);

    private static FileNode Open(string path, int flags, bool writable, ImageOptions options)
    {
        bool direct = options.Cache.Direct;
        Errno error = HostFile.Open(path, flags | (direct ? HostFile.Direct : 0), out SafeFileHandle file);
        if (error != Errno.None)
        {
            throw new BlockException(error == Errno.EINVAL && direct
                ? $"'{path}' cannot be opened past the host's page cache: its file system has no direct I/O; use cache=writeback"
                : $"'{path}' cannot be {((flags & HostFile.Create) != 0 ? "made" : "opened")}: {HostFile.Message(error)}");
        }

        try
        {
            var node = new FileNode(file, path, writable, options.Cache, options.Unmap);
            if (Directory.Exists(path) || HostFile.Length(file, out node._size) != Errno.None)
            {
                throw new BlockException($"'{path}' is neither a file nor a block device");
            }

            if (options.Locking)
            {
                ImageLock.Take(file, path, writable);
            }

            return node;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public override string Driver => "file";

    public override string? FileName => _path;

    public override long Size => Interlocked.Read(ref _size);

    public override bool IsReadOnly { get; }

    public override long Allocated
    {
        get
        {
            try
            {
                return HostFile.Allocated(_file);
            }
            catch (ObjectDisposedException)
            {
                return 0;
            }
        }
    }

    /// <summary>Discards that the host did and could not do, and the bytes of the former, since the file was opened. Any thread.</summary>
    public (long Done, long Failed, long Bytes) Discards =>
        (Interlocked.Read(ref _discards), Interlocked.Read(ref _failedDiscards), Interlocked.Read(ref _discardedBytes));

    /// <summary>What is the same for two names of a file.</summary>
    internal (uint Major, uint Minor, ulong Inode)? Identity => HostFile.Identity(_file, out var id, out _) == Errno.None ? id : null;

    /// <inheritdoc/>
    public override Errno Read(long offset, Span<byte> buffer)
    {
        if (offset < 0)
        {
            return Errno.EINVAL;
        }

        fixed (byte* to = buffer)
        {
            if (!NeedsBounce(offset, buffer.Length, to))
            {
                Errno error = HostFile.Read(_file, offset, to, buffer.Length, out long read);
                buffer[(int)read..].Clear();
                return error;
            }

            return Bounce(offset, buffer.Length, to, null);
        }
    }

    /// <inheritdoc/>
    public override Errno Write(long offset, ReadOnlySpan<byte> data)
    {
        NoteWrite(offset, data.Length);
        if (IsReadOnly || offset < 0)
        {
            return IsReadOnly ? Errno.EROFS : Errno.EINVAL;
        }

        fixed (byte* from = data)
        {
            return NeedsBounce(offset, data.Length, from) ? Bounce(offset, data.Length, null, from) : Aligned(offset, data.Length, from);
        }
    }

    /// <inheritdoc/>
    public override Errno Read(long offset, ReadOnlySpan<HostBuffer> buffers)
    {
        if (offset < 0 || !CanVector(offset, buffers))
        {
            return base.Read(offset, buffers);
        }

        Errno error = HostFile.Read(_file, offset, buffers, out long read);
        foreach (HostBuffer buffer in buffers)
        {
            // What is behind the file's end reads zero.
            buffer.Span[(int)Math.Clamp(read, 0, buffer.Length)..].Clear();
            read -= buffer.Length;
        }

        return error;
    }

    /// <inheritdoc/>
    public override Errno Write(long offset, ReadOnlySpan<HostBuffer> buffers)
    {
        NoteWrite(offset, LengthOf(buffers));
        if (IsReadOnly || offset < 0 || _offsetAlignment > 1 || !CanVector(offset, buffers))
        {
            return base.Write(offset, buffers);
        }

        Errno error = HostFile.Write(_file, offset, buffers);
        if (error == Errno.None)
        {
            Grow(offset + LengthOf(buffers));
        }

        return error;
    }

    /// <inheritdoc/>
    public override Errno WriteZeroes(long offset, long length, bool mayUnmap)
    {
        NoteWrite(offset, length);
        if (IsReadOnly || offset < 0 || length < 0)
        {
            return IsReadOnly ? Errno.EROFS : Errno.EINVAL;
        }

        if (length == 0)
        {
            return Errno.None;
        }

        Errno error = Errno.EOPNOTSUPP;
        if (mayUnmap && _unmap && !_cannotPunch && offset + length <= Size)
        {
            error = HostFile.Allocate(_file, HostFile.PunchHole, offset, length);
            _cannotPunch |= IsUnsupported(error);
        }

        if (IsUnsupported(error) && !_cannotZero)
        {
            error = HostFile.Allocate(_file, HostFile.ZeroRange, offset, length);
            _cannotZero |= error is Errno.EOPNOTSUPP or Errno.ENOSYS;
        }

        if (!IsUnsupported(error))
        {
            if (error == Errno.None)
            {
                Grow(offset + length);
            }

            return error;
        }

        // SAFETY: the pages are the process's own and read zero until they are freed below; nothing writes them.
        byte* zeros = (byte*)NativeMemory.AlignedAlloc(MostAtOnce, BufferAlignment);
        try
        {
            new Span<byte>(zeros, MostAtOnce).Clear();
            error = Errno.None;
            for (long done = 0; done < length && error == Errno.None;)
            {
                int part = (int)Math.Min(length - done, MostAtOnce);
                error = Write(offset + done, new ReadOnlySpan<byte>(zeros, part));
                done += part;
            }

            return error;
        }
        finally
        {
            NativeMemory.AlignedFree(zeros);
        }
    }

    /// <inheritdoc/>
    public override Errno Discard(long offset, long length)
    {
        if (IsReadOnly || offset < 0 || length < 0)
        {
            return IsReadOnly ? Errno.EROFS : Errno.EINVAL;
        }

        length = Math.Min(length, Size - offset);
        if (!_unmap || _cannotPunch || length <= 0)
        {
            return Errno.None;
        }

        Errno error = HostFile.Allocate(_file, HostFile.PunchHole, offset, length);
        if (error == Errno.None)
        {
            Interlocked.Increment(ref _discards);
            Interlocked.Add(ref _discardedBytes, length);
        }
        else
        {
            Interlocked.Increment(ref _failedDiscards);
        }

        _cannotPunch |= IsUnsupported(error);
        return IsUnsupported(error) ? Errno.None : error;
    }

    /// <inheritdoc/>
    public override Errno Flush()
    {
        if (IsReadOnly || _cache.NoFlush)
        {
            return Errno.None;
        }

        if (_lost != 0)
        {
            return (Errno)_lost;
        }

        Errno error = HostFile.SyncData(_file);
        if (error != Errno.None)
        {
            _lost = (int)error;
        }

        return error;
    }

    /// <inheritdoc/>
    public override Errno Resize(long size)
    {
        if (IsReadOnly)
        {
            return Errno.EROFS;
        }

        Errno error = size < 0 ? Errno.EINVAL : HostFile.Truncate(_file, size);
        if (error == Errno.None)
        {
            Interlocked.Exchange(ref _size, size);
        }

        return error;
    }

    /// <inheritdoc/>
    public override Errno Status(long offset, long length, out BlockStatus status)
    {
        status = new BlockStatus(BlockStatusKind.Data, length);
        if (offset < 0 || length <= 0)
        {
            return Errno.EINVAL;
        }

        if (offset >= Size)
        {
            status = new BlockStatus(BlockStatusKind.Zero, length);
        }
        else if (HostFile.FindData(_file, offset, out long data, out long hole) == Errno.None)
        {
            status = data > offset ? new BlockStatus(BlockStatusKind.Zero, Math.Min(length, data - offset))
                : new BlockStatus(BlockStatusKind.Data, Math.Min(length, hole - offset));
        }

        return Errno.None;
    }

    protected override void Close()
    {
        _ = Flush();
        HostFile.Unlock(_file);
        _file.Dispose();
    }

    private static bool IsUnsupported(Errno error) => error is Errno.EOPNOTSUPP or Errno.ENOSYS or Errno.EINVAL;

    private void Grow(long end)
    {
        for (long size = Size; end > size;)
        {
            long was = Interlocked.CompareExchange(ref _size, end, size);
            size = was == size ? end : was;
        }
    }

    private bool NeedsBounce(long offset, long length, byte* buffer) =>
        ((offset | length) & (_offsetAlignment - 1)) != 0 || ((nint)buffer & (_memoryAlignment - 1)) != 0;

    private bool CanVector(long offset, ReadOnlySpan<HostBuffer> buffers)
    {
        if (buffers.Length is < 2 or > HostFile.MostBuffers)
        {
            return false;
        }

        foreach (HostBuffer buffer in buffers)
        {
            fixed (byte* start = buffer.Span)
            {
                if (NeedsBounce(offset, buffer.Length, start))
                {
                    return false;
                }
            }
        }

        return true;
    }

    private Errno Aligned(long offset, long length, byte* data)
    {
        bool tracked = _offsetAlignment > 1;
        if (tracked)
        {
            Enter(offset, offset + length, exclusive: false);
        }

        Errno error = HostFile.Write(_file, offset, data, length);
        if (error == Errno.None)
        {
            Grow(offset + length);
        }

        if (tracked)
        {
            Leave(offset, offset + length, exclusive: false);
        }

        return error;
    }

    // Reads or writes by way of whole, aligned blocks.
    private Errno Bounce(long offset, long length, byte* to, byte* from)
    {
        long mask = _offsetAlignment - 1;
        long most = Math.Min(MostAtOnce, (length + (2 * mask)) & ~mask);
        byte* blocks = (byte*)NativeMemory.AlignedAlloc((nuint)most, BufferAlignment);
        try
        {
            for (long done = 0; done < length;)
            {
                long first = (offset + done) & ~mask;
                int skip = (int)(offset + done - first);
                int part = (int)Math.Min(length - done, most - skip);
                long whole = (skip + part + mask) & ~mask;
                Errno error = to != null ? ReadBlocks(first, whole, blocks) : WriteBlocks(first, whole, blocks, skip, from + done, part);
                if (error != Errno.None)
                {
                    return error;
                }

                if (to != null)
                {
                    new ReadOnlySpan<byte>(blocks + skip, part).CopyTo(new Span<byte>(to + done, part));
                }

                done += part;
            }

            return Errno.None;
        }
        finally
        {
            NativeMemory.AlignedFree(blocks);
        }
    }

    private Errno ReadBlocks(long offset, long length, byte* blocks)
    {
        Errno error = HostFile.Read(_file, offset, blocks, length, out long read);
        new Span<byte>(blocks + read, (int)(length - read)).Clear();
        return error;
    }

    private Errno WriteBlocks(long offset, long length, byte* blocks, int skip, byte* from, int part)
    {
        // A block beyond the file's end is cut off below, together with what others would write there meanwhile: they wait.
        long last = offset + length > Size ? long.MaxValue : offset + length;
        Enter(offset, last, exclusive: true);
        Errno error = part == length ? Errno.None : ReadBlocks(offset, length, blocks);
        if (error == Errno.None)
        {
            new ReadOnlySpan<byte>(from, part).CopyTo(new Span<byte>(blocks + skip, part));
            error = HostFile.Write(_file, offset, blocks, length);
            long end = Math.Max(Size, offset + skip + part);
            if (error == Errno.None && offset + length > end)
            {
                // The rest of the last block is no part of the file.
                error = HostFile.Truncate(_file, end);
            }

            if (error == Errno.None)
            {
                Grow(end);
            }
        }

        Leave(offset, last, exclusive: true);
        return error;
    }

    private void Enter(long offset, long end, bool exclusive)
    {
        lock (_lock)
        {
            while (!_requests.IsFree(offset, end - 1, exclusive))
            {
            }

            _requests.Begin(offset, end - 1, exclusive);
        }
    }

    private void Leave(long offset, long end, bool exclusive)
    {
        lock (_lock)
        {
            _requests.End(offset, end - 1, exclusive);
        }
    }
}
