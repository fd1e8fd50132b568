using System.Buffers;

namespace Vmm.Emulation.Block;

/// <summary>
/// A node of a block graph (QEMU, docs/devel "block layer": BlockDriverState): an array of bytes that is read and written at byte offsets.
/// A file of the host, an image format over it, a filter over that; the guest's disk is the uppermost.
/// <para>
/// Requests are synchronous and end with an <see cref="Errno"/>, never with an exception: a guest's disk may fail, its VM may not. They
/// block on the host, so they are made by the threads of a backend, never by a vCPU's. Any thread may make any request at any time, and
/// any number at once; requests that overlap happen in some order, as on a real disk. <see cref="Dispose"/> comes after the last
/// request has ended.
/// </para>
/// <para>
/// What was written is on stable storage when a <see cref="Flush"/> that began after the write's end has succeeded. Without one, any part
/// of it may be lost with the host's power, in any order.
/// </para>
/// </summary>
public abstract class BlockNode : IDisposable
{
    private const int FirstName = 100;

    private static int s_names = FirstName;

    private long _highestWritten;

    /// <summary>What monitors call it. Whoever opens it may give it another name, before others know it.</summary>
    public string NodeName { get; set; } = NewName();

    /// <summary>A name that no node has.</summary>
    public static string NewName() => $"#block{Interlocked.Increment(ref s_names)}";

    /// <summary>QEMU's name of the driver: <c>file</c>, <c>raw</c>, <c>qcow2</c>, <c>throttle</c> …</summary>
    public abstract string Driver { get; }

    /// <summary>The file of the host, for people; null where there is none.</summary>
    public virtual string? FileName => null;

    /// <summary>Bytes.</summary>
    public abstract long Size { get; }

    /// <summary>Every request that would change something ends with <see cref="Errno.EROFS"/>.</summary>
    public abstract bool IsReadOnly { get; }

    /// <summary>The node that has this one's bytes; null for a file.</summary>
    public virtual BlockNode? Child => null;

    /// <summary>Bytes that the host's file takes on its file system; 0 where that is not known. Any time, also when it is closed.</summary>
    public virtual long Allocated => Child?.Allocated ?? 0;

    /// <summary>One past the last byte that was ever to be written, since the node was opened. Any thread.</summary>
    public long HighestWritten => Interlocked.Read(ref _highestWritten);

    /// <summary>Where bytes come from that this node has none of; null where there is none.</summary>
    public virtual BlockNode? Backing => null;

    /// <summary>Reads bytes; on an error, what the buffer holds is undefined.</summary>
    public abstract Errno Read(long offset, Span<byte> buffer);

    /// <summary>Writes bytes; on an error, any part of them may have been written.</summary>
    public abstract Errno Write(long offset, ReadOnlySpan<byte> data);

    /// <summary>
    /// Reads bytes into several buffers, one after another. A node that cannot do so in one step reads them into one buffer and copies.
    /// </summary>
    public virtual Errno Read(long offset, ReadOnlySpan<HostBuffer> buffers)
    {
        if (buffers.Length == 1)
        {
            return Read(offset, buffers[0].Span);
        }

        byte[] whole = Gather(buffers, out int length);
        Errno error = Read(offset, whole.AsSpan(0, length));
        if (error == Errno.None)
        {
            int done = 0;
            foreach (HostBuffer buffer in buffers)
            {
                whole.AsSpan(done, buffer.Length).CopyTo(buffer.Span);
                done += buffer.Length;
            }
        }

        ArrayPool<byte>.Shared.Return(whole);
        return error;
    }

    /// <summary>Writes bytes from several buffers, one after another.</summary>
    public virtual Errno Write(long offset, ReadOnlySpan<HostBuffer> buffers)
    {
        if (buffers.Length == 1)
        {
            return Write(offset, buffers[0].Span);
        }

        byte[] whole = Gather(buffers, out int length);
        int done = 0;
        foreach (HostBuffer buffer in buffers)
        {
            buffer.Span.CopyTo(whole.AsSpan(done));
            done += buffer.Length;
        }

        Errno error = Write(offset, whole.AsSpan(0, length));
        ArrayPool<byte>.Shared.Return(whole);
        return error;
    }

    /// <summary>Makes bytes zeros, without writing them where the host can.</summary>
    /// <param name="mayUnmap">They need take no room of the host afterwards.</param>
    public abstract Errno WriteZeroes(long offset, long length, bool mayUnmap);

    /// <summary>
    /// The bytes are needed no more, and may read as anything that the disk's guest has written or zero. Only whole units of the node
    /// are given back; a node that can give nothing back does nothing and succeeds.
    /// </summary>
    public abstract Errno Discard(long offset, long length);

    /// <summary>Returns when all that was written is on stable storage.</summary>
    public abstract Errno Flush();

    /// <summary>Changes the size; new bytes are zero.</summary>
    public abstract Errno Resize(long size);

    /// <summary>What the bytes from an offset on are, and for how long it is the same.</summary>
    /// <param name="length">No more bytes than these are looked at; at least 1, and inside the disk.</param>
    public abstract Errno Status(long offset, long length, out BlockStatus status);

    /// <summary>Flushes and closes this node and the nodes below it.</summary>
    public void Dispose()
    {
        Close();
        GC.SuppressFinalize(this);
    }

    /// <summary>Once, after the last request: flushes, and closes what the node owns.</summary>
    protected abstract void Close();

    /// <summary>The bytes of all buffers; no caller has as many as an array cannot hold.</summary>
    protected static long LengthOf(ReadOnlySpan<HostBuffer> buffers)
    {
        long length = 0;
        foreach (HostBuffer buffer in buffers)
        {
            length += buffer.Length;
        }

        return length;
    }

    private static byte[] Gather(ReadOnlySpan<HostBuffer> buffers, out int length)
    {
        length = checked((int)LengthOf(buffers));
        return ArrayPool<byte>.Shared.Rent(length);
    }

    /// <summary>Notes a write that was asked for, for <see cref="HighestWritten"/>.</summary>
    protected void NoteWrite(long offset, long length)
    {
        long end = offset + length;
        for (long was = HighestWritten; end > was;)
        {
            long found = Interlocked.CompareExchange(ref _highestWritten, end, was);
            was = found == was ? end : found;
        }
    }

    /// <summary>Whether a range is inside <see cref="Size"/>.</summary>
    protected bool Contains(long offset, long length) => offset >= 0 && length >= 0 && offset <= Size - length;
}

/// <summary>What <see cref="BlockNode.Status"/> finds.</summary>
/// <param name="Kind">Of all the bytes.</param>
/// <param name="Length">How many bytes; at least 1.</param>
public readonly record struct BlockStatus(BlockStatusKind Kind, long Length);

/// <summary>What bytes of a block node are.</summary>
public enum BlockStatusKind
{
    /// <summary>Stored in this node.</summary>
    Data,

    /// <summary>Known to read as zeros; this node says so.</summary>
    Zero,

    /// <summary>Not in this node: the backing node has them, or they are zeros where there is none.</summary>
    Backing,
}
