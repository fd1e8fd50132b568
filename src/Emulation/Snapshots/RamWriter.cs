using System.Numerics;
using Vmm.Emulation.Memory;
using ZstdSharp;

namespace Vmm.Emulation.Snapshots;

/// <summary>
/// Writes RAM in the form of <see cref="RamImage"/>: all blocks, and then any of them again, as often as needed. Vcpus may run meanwhile:
/// each block is copied before its checksum is taken, so file and map agree whatever is written to RAM. A block that is written again takes
/// the place of what the file had of it. A block that is as in the parent is not written. One thread at a time.
/// </summary>
internal sealed class RamWriter : IDisposable
{
    private const int FastestLevel = 1;

    private const int PagesPerBlock = RamImage.BlockSize / GuestMemory.PageSize;

    // Entries of the map that are written at once.
    private const int EntriesAtOnce = 4096;

    private readonly GuestMemory _ram;
    private readonly FilePart _file;
    private readonly FilePart _map;
    private readonly Compressor? _compressor;
    private readonly RamReader? _parent;
    private readonly RamBlock[] _blocks;

    // Of each uncompressed block, a bit for each page that is no hole of the file.
    private readonly ushort[] _pages;
    private readonly byte[] _copy = new byte[RamImage.BlockSize];
    private readonly byte[] _zeros = new byte[RamImage.BlockSize];
    private readonly byte[] _frame;

    // Compressed: where the next frame is to be.
    private long _end;

    /// <param name="file">Empty, as all of the file behind it is.</param>
    /// <param name="map">Empty, in another file or behind RAM.</param>
    /// <param name="parent">Of the same compression; disposed with this. Null for a snapshot of its own.</param>
    public RamWriter(GuestMemory ram, RamCompression compression, FilePart file, FilePart map, RamReader? parent)
    {
        (_ram, _file, _map, _parent) = (ram, file, map, parent);
        _compressor = compression == RamCompression.Zstd ? new Compressor(FastestLevel) : null;
        _blocks = new RamBlock[RamImage.Blocks(ram.Size)];
        _pages = new ushort[_compressor == null ? _blocks.Length : 0];
        _frame = _compressor == null ? [] : new byte[Compressor.GetCompressBound(RamImage.BlockSize)];
    }

    public long Blocks => _blocks.LongLength;

    /// <summary>
    /// Writes all blocks that the host has memory for: the others are zero. What is written to RAM meanwhile is to be written again.
    /// </summary>
    /// <returns>How many take room in the file.</returns>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public long WriteAll()
    {
        bool[] present = _ram.PresentPages();
        long stored = 0;
        for (int block = 0; block < _blocks.Length; block++)
        {
            int first = block * PagesPerBlock;
            bool isPresent = present.AsSpan(first, Math.Min(PagesPerBlock, present.Length - first)).Contains(true);
            stored += isPresent && Write(block) > 0 ? 1 : 0;
        }

        return stored;
    }

    /// <summary>Writes a block as it is now.</summary>
    /// <returns>How many pages of it take room in the file.</returns>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public int Write(long block)
    {
        ulong start = (ulong)block * RamImage.BlockSize;
        int length = RamImage.BlockLength(_ram.Size, block);
        ReadOnlySpan<byte> live = _ram.Span(_ram.Start + start, length);
        if (_blocks[block] == default && !live.ContainsAnyExcept((byte)0))
        {
            return 0;
        }

        Span<byte> bytes = _copy.AsSpan(0, length);
        live.CopyTo(bytes);
        RamBlock? entry = !bytes.ContainsAnyExcept((byte)0) ? default(RamBlock)
            : _parent != null && bytes.SequenceEqual(_parent.Read(block)) ? _parent.Entry(block) with { Offset = RamBlock.InParent }
            : null;
        if (_compressor == null)
        {
            WritePages(block, entry == null ? bytes : [], length);
            _blocks[block] = entry ?? new RamBlock((long)start, length, Crc32C.Of(bytes));
            return BitOperations.PopCount(_pages[block]);
        }

        Forget(_blocks[block]);
        _blocks[block] = entry ?? WriteFrame(_compressor, bytes);
        return entry == null ? length / GuestMemory.PageSize : 0;
    }
    // Pages of zeros stay holes, unless they have been something else. Without bytes all of the block is to be zeros.
    private void WritePages(long block, ReadOnlySpan<byte> bytes, int length)
    {
        uint wanted = _pages[block];
        if (bytes.IsEmpty && wanted == 0)
        {
            return;
        }

        if (bytes.IsEmpty)
        {
            bytes = _zeros.AsSpan(0, length);
        }

        int pages = length / GuestMemory.PageSize;
        for (int page = 0; page < pages; page++)
        {
            if (bytes.Slice(page * GuestMemory.PageSize, GuestMemory.PageSize).ContainsAnyExcept((byte)0))
            {
                wanted |= 1u << page;
            }
        }

        _pages[block] = (ushort)wanted;
        for (int first = 0; first < pages;)
        {
            int end = first;
            while (end < pages && (wanted >> end & 1) != 0)
            {
                end++;
            }

            if (end > first)
            {
                int at = first * GuestMemory.PageSize;
                _file.Write(bytes[at..(end * GuestMemory.PageSize)], (block * RamImage.BlockSize) + at);
            }

            first = end + 1;
        }
    }

    private RamBlock WriteFrame(Compressor compressor, ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<byte> frame = _frame.AsSpan(0, compressor.Wrap(bytes, _frame));
        _file.Write(frame, _end);
        var written = new RamBlock(_end, frame.Length, Crc32C.Of(frame));
        _end += frame.Length;
        return written;
    }

    // The place of a frame becomes zeros, which take no room where the host's file system can do that.
    private void Forget(RamBlock frame)
    {
        if (!frame.IsZero && !frame.IsParents && !HostFiles.TryPunchHole(_file.File, _file.Start + frame.Offset, frame.Length))
        {
            _frame.AsSpan(0, frame.Length).Clear();
            _file.Write(_frame.AsSpan(0, frame.Length), frame.Offset);
        }
    }

    /// <summary>Writes the map. No block is written after it.</summary>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public SavedRam Finish()
    {
        bool plain = _compressor == null;
        long length = plain ? (long)_ram.Size : _end;
        RandomAccess.SetLength(_file.File, _file.Start + length);
        byte[] entries = new byte[EntriesAtOnce * RamImage.EntrySize];
        long written = 0;
        uint checksum = 0;
        for (int first = 0; first < _blocks.Length; first += EntriesAtOnce)
        {
            int count = Math.Min(EntriesAtOnce, _blocks.Length - first);
            for (int i = 0; i < count; i++)
            {
                _blocks[first + i].Write(entries.AsSpan(i * RamImage.EntrySize, RamImage.EntrySize));
            }

            ReadOnlySpan<byte> full = entries.AsSpan(0, count * RamImage.EntrySize);
            checksum = Crc32C.Append(checksum, full);
            _map.Write(full, written);
            written += full.Length;
        }

        long stored = 0;
        for (int i = 0; i < _blocks.Length; i++)
        {
            stored += plain ? BitOperations.PopCount(_pages[i]) * GuestMemory.PageSize : _blocks[i].IsParents ? 0 : _blocks[i].Length;
        }

        return new SavedRam(
            length, stored, plain ? RamCompression.None : RamCompression.Zstd, new SavedFile(written, SnapshotFormat.Text(checksum)));
    }

    public void Dispose()
    {
        _compressor?.Dispose();
        _parent?.Dispose();
    }
}
