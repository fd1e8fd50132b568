using Vmm.Emulation.Block;

namespace Vmm.Emulation.Tests.Block;

/// <summary>
/// A file in memory that records what is written, and can say what a disk holds after a loss of power: all up to the last flush, and of
/// what came after it any part in any order, sector by sector.
/// </summary>
internal sealed class RecordedFile(byte[] bytes) : BlockNode
{
    private const int Sector = 512;
    private const int Most = 64 << 20;

    private readonly byte[] _start = bytes;
    private readonly List<Change> _changes = [];
    private byte[] _bytes = [.. bytes];

    /// <summary>A write; without bytes a flush.</summary>
    private sealed record Change(long Offset, byte[]? Data);

    public override string Driver => "file";

    public override long Size => _bytes.Length;

    public override bool IsReadOnly => false;

    /// <summary>Changes and flushes so far.</summary>
    public int Count => _changes.Count;

    /// <summary>The error of writes from now on.</summary>
    public Errno Failure { get; set; }

    public override Errno Read(long offset, Span<byte> buffer)
    {
        int there = (int)Math.Clamp(_bytes.Length - Math.Min(offset, _bytes.Length), 0, buffer.Length);
        _bytes.AsSpan((int)Math.Min(offset, _bytes.Length), there).CopyTo(buffer);
        buffer[there..].Clear();
        return Errno.None;
    }

    public override Errno Write(long offset, ReadOnlySpan<byte> data)
    {
        if (offset > Most - data.Length)
        {
            return Errno.EFBIG;
        }

        if (Failure == Errno.None)
        {
            _changes.Add(new Change(offset, data.ToArray()));
            Apply(ref _bytes, offset, data);
        }

        return Failure;
    }

    public override Errno WriteZeroes(long offset, long length, bool mayUnmap) =>
        length > Most ? Errno.EFBIG : Write(offset, new byte[length]);

    /// <summary>Discarded bytes may be anything afterwards.</summary>
    public override Errno Discard(long offset, long length)
    {
        byte[] rubbish = new byte[Math.Clamp(Size - Math.Min(offset, Size), 0, length)];
        Array.Fill(rubbish, (byte)0xA5);
        return Write(offset, rubbish);
    }

    public override Errno Flush()
    {
        _changes.Add(new Change(0, null));
        return Failure;
    }

    public override Errno Resize(long size) => Errno.EOPNOTSUPP;

    public override Errno Status(long offset, long length, out BlockStatus status)
    {
        status = new BlockStatus(BlockStatusKind.Data, length);
        return Errno.None;
    }

    /// <summary>The file after the power failed when so many changes had been made.</summary>
    /// <param name="kept">Whether a sector of a change after the last flush reached the disk.</param>
    /// <param name="random">Where the order is another than that of the writes.</param>
    public byte[] After(int count, Func<bool> kept, Random? random = null)
    {
        int flushed = _changes.FindLastIndex(Math.Max(count - 1, 0), c => c.Data == null);
        byte[] result = [.. _start];
        foreach (Change change in _changes.Take(flushed + 1).Where(c => c.Data != null))
        {
            Apply(ref result, change.Offset, change.Data);
        }

        Change[] late = [.. _changes.Take(count).Skip(flushed + 1)];
        random?.Shuffle(late);
        foreach (Change change in late)
        {
            for (int at = 0; at < change.Data!.Length; at += Sector - (int)((change.Offset + at) % Sector))
            {
                int length = Math.Min(change.Data.Length - at, Sector - (int)((change.Offset + at) % Sector));
                if (kept())
                {
                    Apply(ref result, change.Offset + at, change.Data.AsSpan(at, length));
                }
            }
        }

        return result;
    }

    protected override void Close()
    {
    }

    private static void Apply(ref byte[] bytes, long offset, ReadOnlySpan<byte> data)
    {
        if (offset + data.Length > bytes.Length)
        {
            Array.Resize(ref bytes, (int)offset + data.Length);
        }

        data.CopyTo(bytes.AsSpan((int)offset));
    }
}
