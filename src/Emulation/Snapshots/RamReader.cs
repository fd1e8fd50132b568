using Vmm.Emulation.Memory;
using ZstdSharp;

namespace Vmm.Emulation.Snapshots;

/// <summary>
/// Reads RAM in the form of <see cref="RamImage"/>. The map was found right when it was made; each block is checked as it is read. One
/// thread at a time.
/// </summary>
internal sealed class RamReader : IDisposable
{
    // A run of so many blocks that differ from the parent's is mapped; shorter ones are copied, so that there are not too many mappings.
    private const int ShortestMapping = 16;

    // A run of so many blocks of zeros is no part of a mapping, or of more where RAM is so large that there would be too many mappings.
    private const int ShortestHole = 16;
    private const int MostMappings = 1 << 14;

    private const string Stray = "its file is not zero where no block is";

    private readonly ulong _memoryBytes;
    private readonly SavedRam _saved;
    private readonly FilePart _file;
    private readonly RamReader? _parent;
    private readonly RamBlock[] _blocks;
    private readonly Decompressor? _decompressor;
    private readonly byte[] _stored = new byte[Compressor.GetCompressBound(RamImage.BlockSize)];
    private readonly byte[] _plain = new byte[RamImage.BlockSize];

    /// <param name="file">Outlives this.</param>
    /// <param name="map">Is read now.</param>
    /// <param name="parent">Disposed with this; null for a snapshot without.</param>
    /// <exception cref="SnapshotException">The map is damaged.</exception>
    public RamReader(ulong memoryBytes, SavedRam saved, FilePart file, FilePart map, RamReader? parent)
    {
        (_memoryBytes, _saved, _file, _parent) = (memoryBytes, saved, file, parent);
        RamImage.Require(saved.Map.Length == RamImage.MapLength(memoryBytes), "the map of RAM", "its length is wrong");
        RamImage.RequireChecksum(map, saved.Map, "the map of RAM");
        _blocks = new RamBlock[RamImage.Blocks(memoryBytes)];
        byte[] bytes = new byte[RamImage.BlockSize];
        for (long at = 0; at < saved.Map.Length;)
        {
            Span<byte> piece = bytes.AsSpan(0, (int)Math.Min(bytes.Length, saved.Map.Length - at));
            map.ReadExactly(piece, at);
            for (int entry = 0; entry < piece.Length; entry += RamImage.EntrySize)
            {
                _blocks[(at + entry) / RamImage.EntrySize] = RamBlock.Read(piece[entry..]);
            }

            at += piece.Length;
        }

        _decompressor = saved.Compression == RamCompression.Zstd ? new Decompressor() : null;
    }

    public int Blocks => _blocks.Length;

    /// <summary>How many blocks are not zero, and how many of these are the parent's.</summary>
    public (int Stored, int Parents) Count => (_blocks.Count(b => !b.IsZero), _blocks.Count(b => b.IsParents));

    /// <summary>A block's entry, of whichever file has it; zeros are in none.</summary>
    public RamBlock Entry(long block) => _blocks[block].IsParents ? _parent?.Entry(block) ?? default : _blocks[block];

    /// <summary>The bytes of a block, until the next is read; empty for a block of zeros.</summary>
    /// <exception cref="SnapshotException">They are not as they were written.</exception>
    public ReadOnlySpan<byte> Read(long block)
    {
        RamBlock entry = _blocks[block];
        if (entry.IsZero)
        {
            return [];
        }

        int length = RamImage.BlockLength(_memoryBytes, block);
        string where = $"block {block} of RAM";
        if (entry.IsParents)
        {
            RamBlock there = Entry(block);
            RamImage.Require(
                !there.IsZero && (there.Length, there.Checksum) == (entry.Length, entry.Checksum), where, "it is not the parent's");
            return _parent!.Read(block);
        }

        bool right = _decompressor == null ? entry.Offset == block * RamImage.BlockSize && entry.Length == length
            : entry.Length > 0 && entry.Length <= _stored.Length && entry.Offset >= 0 && entry.Offset <= _saved.Length - entry.Length;
        RamImage.Require(right, where, "its place is wrong");
        Span<byte> bytes = _stored.AsSpan(0, entry.Length);
        _file.ReadExactly(bytes, entry.Offset);
        RamImage.Require(Crc32C.Of(bytes) == entry.Checksum, where, "its checksum is wrong");
        return _decompressor == null ? bytes : Decompress(_decompressor, bytes, _plain.AsSpan(0, length), where);
    }

    private static ReadOnlySpan<byte> Decompress(Decompressor decompressor, ReadOnlySpan<byte> frame, Span<byte> block, string where)
    {
        try
        {
            RamImage.Require(decompressor.Unwrap(frame, block) == block.Length, where, "it is of another length");
            return block;
        }
        catch (ZstdException e)
        {
            throw new SnapshotException(SnapshotFault.Damaged, $"{where} is damaged: {SnapshotFormat.Legible(e.Message)}", e);
        }
    }

    /// <summary>
    /// Makes RAM what was saved. What can be mapped is not read before the guest touches it, and so not checked: that is
    /// <see cref="Verify"/>'s and <see cref="MappedRam"/>'s. The rest is checked as it is read.
    /// </summary>
    /// <param name="ram">As large as what was saved.</param>
    /// <exception cref="SnapshotException">A file is damaged.</exception>
    public void Load(GuestMemory ram)
    {
        ram.Clear();
        if (_decompressor == null)
        {
            Map(ram);
            return;
        }

        for (int block = 0; block < Blocks; block++)
        {
            Copy(ram, block);
        }
    }

    // The parent's RAM first, and over it what differs. RAM is zero before.
    private void Map(GuestMemory ram)
    {
        if (_parent == null)
        {
            MapWithoutHoles(ram);
            return;
        }

        _parent.Map(ram);
        for (int first = 0; first < Blocks;)
        {
            int end = first;
            while (end < Blocks && !_blocks[end].IsParents)
            {
                end++;
            }

            if (end - first >= ShortestMapping)
            {
                MapBlocks(ram, first, end);
            }
            else
            {
                for (int block = first; block < end; block++)
                {
                    Copy(ram, block);
                }
            }

            first = end + 1;
        }
    }

    // What is not mapped is known to be zero, so the next save need not look at it.
    private void MapWithoutHoles(GuestMemory ram)
    {
        int shortestHole = Math.Max(ShortestHole, Blocks / MostMappings);
        int first = -1;
        int end = 0;
        for (int block = 0; block < Blocks; block++)
        {
            if (_blocks[block].IsZero)
            {
                continue;
            }

            if (first < 0)
            {
                first = block;
            }
            else if (block - end >= shortestHole)
            {
                MapBlocks(ram, first, end);
                first = block;
            }

            end = block + 1;
        }

        if (first >= 0)
        {
            MapBlocks(ram, first, end);
        }
    }

    private void MapBlocks(GuestMemory ram, int first, int end)
    {
        ulong start = (ulong)first * RamImage.BlockSize;
        ram.MapFile(_file.File, _file.Start, start, Math.Min(ram.Size, (ulong)end * RamImage.BlockSize) - start);
    }

    private void Copy(GuestMemory ram, int block)
    {
        ulong start = (ulong)block * RamImage.BlockSize;
        ReadOnlySpan<byte> bytes = Read(block);
        Span<byte> there = ram.Span(ram.Start + start, RamImage.BlockLength(ram.Size, block));
        if (bytes.Length > 0)
        {
            bytes.CopyTo(there);
        }
        else if (_decompressor == null && !_parent!._blocks[block].IsZero)
        {
            there.Clear();
        }
    }

    /// <summary>Reads all of the file, and what is the parent's in its file.</summary>
    /// <returns>Bytes of RAM that are not in blocks of zeros.</returns>
    /// <exception cref="SnapshotException">A bit of them is not as it was written.</exception>
    public long Verify()
    {
        long bytes = 0;
        for (int block = 0; block < Blocks; block++)
        {
            bytes += Read(block).Length;
            if (_decompressor == null && (_blocks[block].IsZero || _blocks[block].IsParents))
            {
                long start = (long)block * RamImage.BlockSize;
                RequireZeros(start, start + RamImage.BlockLength(_memoryBytes, block), $"block {block} of RAM", "it is not zero");
            }
        }

        if (_decompressor != null)
        {
            RequireZerosBetweenFrames();
        }

        return bytes;
    }

    // What frames that were written again have left behind is zero.
    private void RequireZerosBetweenFrames()
    {
        long end = 0;
        foreach (RamBlock frame in _blocks.Where(b => !b.IsZero && !b.IsParents).OrderBy(b => b.Offset))
        {
            RamImage.Require(frame.Offset >= end, "RAM", "its blocks overlap");
            RequireZeros(end, frame.Offset, "RAM", Stray);
            end = frame.Offset + frame.Length;
        }

        RequireZeros(end, _saved.Length, "RAM", Stray);
    }

    private void RequireZeros(long start, long end, string where, string how)
    {
        while (start < end)
        {
            Span<byte> piece = _plain.AsSpan(0, (int)Math.Min(_plain.Length, end - start));
            _file.ReadExactly(piece, start);
            RamImage.Require(!piece.ContainsAnyExcept((byte)0), where, how);
            start += piece.Length;
        }
    }

    public void Dispose()
    {
        _decompressor?.Dispose();
        _parent?.Dispose();
    }
}
