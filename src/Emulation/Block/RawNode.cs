namespace Vmm.Emulation.Block;

/// <summary>
/// A disk whose bytes are those of a file (QEMU's driver <c>raw</c>). It has whole sectors: what the last one has beyond the file's end
/// reads zero. Requests run in parallel.
/// </summary>
/// <param name="file">Owned.</param>
public sealed class RawNode(BlockNode file) : BlockNode
{
    private const long SectorMask = 511;

    private long _size = (file.Size + SectorMask) & ~SectorMask;

    public override string Driver => "raw";

    public override BlockNode Child => file;

    public override string? FileName => file.FileName;

    public override long Size => Interlocked.Read(ref _size);

    public override bool IsReadOnly => file.IsReadOnly;

    public override Errno Read(long offset, Span<byte> buffer) =>
        Contains(offset, buffer.Length) ? file.Read(offset, buffer) : Errno.EINVAL;

    public override Errno Write(long offset, ReadOnlySpan<byte> data) =>
        ContainsWrite(offset, data.Length) ? file.Write(offset, data) : Errno.EINVAL;

    public override Errno Read(long offset, ReadOnlySpan<HostBuffer> buffers) =>
        Contains(offset, LengthOf(buffers)) ? file.Read(offset, buffers) : Errno.EINVAL;

    public override Errno Write(long offset, ReadOnlySpan<HostBuffer> buffers) =>
        ContainsWrite(offset, LengthOf(buffers)) ? file.Write(offset, buffers) : Errno.EINVAL;

    public override Errno WriteZeroes(long offset, long length, bool mayUnmap) =>
        ContainsWrite(offset, length) ? file.WriteZeroes(offset, length, mayUnmap) : Errno.EINVAL;

    public override Errno Discard(long offset, long length) => Contains(offset, length) ? file.Discard(offset, length) : Errno.EINVAL;

    public override Errno Flush() => file.Flush();

    public override Errno Resize(long size)
    {
        if (size < 0 || (size & SectorMask) != 0)
        {
            return Errno.EINVAL;
        }

        Errno error = file.Resize(size);
        if (error == Errno.None)
        {
            Interlocked.Exchange(ref _size, size);
        }

        return error;
    }

    public override Errno Status(long offset, long length, out BlockStatus status)
    {
        status = default;
        return Contains(offset, length) ? file.Status(offset, length, out status) : Errno.EINVAL;
    }

    protected override void Close() => file.Dispose();

    private bool ContainsWrite(long offset, long length)
    {
        if (!Contains(offset, length))
        {
            return false;
        }

        NoteWrite(offset, length);
        return true;
    }
}
