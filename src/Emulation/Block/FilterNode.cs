namespace Vmm.Emulation.Block;

/// <summary>A node that hands every request to another one, and does something of its own with some of them.</summary>
/// <param name="child">Owned.</param>
public abstract class FilterNode(BlockNode child) : BlockNode
{
    /// <summary>The node below.</summary>
    public sealed override BlockNode Child => child;

    public override string? FileName => child.FileName;

    public override long Size => child.Size;

    public override bool IsReadOnly => child.IsReadOnly;

    public override Errno Read(long offset, Span<byte> buffer) => child.Read(offset, buffer);

    public override Errno Write(long offset, ReadOnlySpan<byte> data) => child.Write(offset, data);

    public override Errno Read(long offset, ReadOnlySpan<HostBuffer> buffers) => child.Read(offset, buffers);

    public override Errno Write(long offset, ReadOnlySpan<HostBuffer> buffers) => child.Write(offset, buffers);

    public override Errno WriteZeroes(long offset, long length, bool mayUnmap) => child.WriteZeroes(offset, length, mayUnmap);

    public override Errno Discard(long offset, long length) => child.Discard(offset, length);

    public override Errno Flush() => child.Flush();

    public override Errno Resize(long size) => child.Resize(size);

    public override Errno Status(long offset, long length, out BlockStatus status) => child.Status(offset, length, out status);

    protected override void Close() => child.Dispose();
}

/// <summary>
/// A flush after each change: the disk has no write cache that could be lost (<c>cache=writethrough</c>, <c>directsync</c>).
/// </summary>
public sealed class WriteThroughNode(BlockNode child) : FilterNode(child)
{
    public override string Driver => "write-through";

    public override Errno Write(long offset, ReadOnlySpan<byte> data) => Flushed(base.Write(offset, data));

    public override Errno Write(long offset, ReadOnlySpan<HostBuffer> buffers) => Flushed(base.Write(offset, buffers));

    public override Errno WriteZeroes(long offset, long length, bool mayUnmap) => Flushed(base.WriteZeroes(offset, length, mayUnmap));

    public override Errno Discard(long offset, long length) => Flushed(base.Discard(offset, length));

    private Errno Flushed(Errno error) => error == Errno.None ? Flush() : error;
}
