using System.Buffers.Binary;
using Vmm.Emulation.Block;
using Vmm.Emulation.Memory;
using static Vmm.Emulation.Devices.Virtio.Block.VirtioBlkSpec;

namespace Vmm.Emulation.Devices.Virtio.Block;

/// <content>What requests do.</content>
public sealed partial class VirtioBlk
{
    // Null where the disk is not open: then nothing of the guest should run.
    private BlockNode? Root(VirtioBlkRequest request)
    {
        BlockNode? root = _config.Disk.Root;
        request.Error = root == null ? Errno.EIO : Errno.None;
        return root;
    }

    private static VirtioBlkOutcome Result(VirtioBlkRequest request, Errno error)
    {
        request.Error = error;
        return error == Errno.None ? VirtioBlkOutcome.Done : VirtioBlkOutcome.Failed;
    }

    // Whether bytes from a sector on are whole blocks of the disk.
    private bool IsInside(ulong sector, ulong bytes)
    {
        ulong mask = (ulong)_config.LogicalBlockSize - 1;
        ulong sectors = (ulong)_config.Disk.Size / SectorSize;
        return sector <= sectors && bytes % SectorSize == 0 && bytes / SectorSize <= sectors - sector
            && (((sector * SectorSize) | bytes) & mask) == 0;
    }

    private VirtioBlkOutcome Transfer(VirtioBlkRequest request, ulong bytes)
    {
        if (!IsInside(request.Sector, bytes))
        {
            return VirtioBlkOutcome.Invalid;
        }

        if (Root(request) is not { } disk)
        {
            return VirtioBlkOutcome.Failed;
        }

        // All pages are there before a byte moves.
        bool reads = request.Type == In;
        ReadOnlySpan<DescriptorChain.Buffer> buffers = reads ? request.Chain.Writable : request.Chain.Readable;
        (ulong skip, ulong left) = (reads ? 0ul : HeaderSize, bytes);
        long offset = (long)(request.Sector * SectorSize);
        long piece = 0;
        request.ClearPiece();
        foreach (DescriptorChain.Buffer buffer in buffers)
        {
            ulong skipped = Math.Min(skip, buffer.Length);
            skip -= skipped;
            ulong address = buffer.Address + skipped;
            for (ulong room = Math.Min(buffer.Length - skipped, left); room > 0;)
            {
                uint part = (uint)Math.Min(room, (ulong)(VirtioBlkRequest.MostAtOnce - piece));
                if (!Memory.TryMap(address, part, out HostBuffer host))
                {
                    return Result(request, Errno.EIO);
                }

                request.Add(host);
                (address, room, left, piece) = (address + part, room - part, left - part, piece + part);
                if (piece == VirtioBlkRequest.MostAtOnce && Move(request, disk, ref offset, ref piece) is var error && error != Errno.None)
                {
                    return Result(request, error);
                }
            }
        }

        Errno last = piece == 0 ? Errno.None : Move(request, disk, ref offset, ref piece);
        if (last == Errno.None && !reads && !HasWriteCache)
        {
            last = disk.Flush();
        }

        if (last == Errno.None && reads)
        {
            Mark(buffers, bytes);
            request.Written = (uint)Math.Min(bytes, uint.MaxValue - 1);
        }

        return Result(request, last);
    }

    private static Errno Move(VirtioBlkRequest request, BlockNode disk, ref long offset, ref long piece)
    {
        Errno error = request.Type == In ? disk.Read(offset, request.Piece) : disk.Write(offset, request.Piece);
        (offset, piece) = (offset + piece, 0);
        request.ClearPiece();
        return error;
    }

    private void Mark(ReadOnlySpan<DescriptorChain.Buffer> buffers, ulong bytes)
    {
        foreach (DescriptorChain.Buffer buffer in buffers)
        {
            ulong length = Math.Min(buffer.Length, bytes);
            Memory.MarkWritten(buffer.Address, length);
            bytes -= length;
        }
    }

    // DISCARD and WRITE_ZEROES, of one range (5.2.6.2).
    private VirtioBlkOutcome Erase(VirtioBlkRequest request, out ulong bytes)
    {
        bytes = 0;
        bool zeroes = request.Type == WriteZeroesRequest;
        if (_config.Disk.IsReadOnly || !(zeroes ? _config.WriteZeroes : _config.Discard))
        {
            return _config.Disk.IsReadOnly ? VirtioBlkOutcome.Invalid : VirtioBlkOutcome.Unsupported;
        }

        Span<byte> range = stackalloc byte[RangeSize];
        if (request.Chain.ReadableLength < HeaderSize + RangeSize || !request.Chain.TryRead(Memory, HeaderSize, range))
        {
            Fail("virtio-blk discard/write_zeroes header too short");
            return VirtioBlkOutcome.Broken;
        }

        uint flags = BinaryPrimitives.ReadUInt32LittleEndian(range[RangeFlags..]);
        uint sectors = BinaryPrimitives.ReadUInt32LittleEndian(range[RangeSectors..]);
        request.Sector = BinaryPrimitives.ReadUInt64LittleEndian(range);
        if (request.Chain.ReadableLength > HeaderSize + RangeSize || (flags & ~(zeroes ? Unmap : 0)) != 0)
        {
            return VirtioBlkOutcome.Unsupported;
        }

        bytes = (ulong)sectors * SectorSize;
        if (sectors > SectorsMax || !IsInside(request.Sector, bytes))
        {
            return VirtioBlkOutcome.Invalid;
        }

        if (Root(request) is not { } disk)
        {
            return VirtioBlkOutcome.Failed;
        }

        long offset = (long)(request.Sector * SectorSize);
        Errno error = sectors == 0 ? Errno.None
            : zeroes ? disk.WriteZeroes(offset, (long)bytes, (flags & Unmap) != 0)
            : disk.Discard(offset, (long)bytes);
        if (error == Errno.None && !HasWriteCache)
        {
            error = disk.Flush();
        }

        return Result(request, error);
    }

    private VirtioBlkOutcome WriteId(VirtioBlkRequest request)
    {
        ReadOnlySpan<byte> left = _id.AsSpan(0, (int)Math.Min(IdSize, request.Chain.WritableLength - 1));
        foreach (DescriptorChain.Buffer buffer in request.Chain.Writable)
        {
            int part = (int)Math.Min(buffer.Length, (uint)left.Length);
            Memory.TryWrite(buffer.Address, left[..part]);
            request.Written += (uint)part;
            left = left[part..];
        }

        return VirtioBlkOutcome.Done;
    }

    // The buffer that has the status as its last byte; empty ones may follow it.
    private static DescriptorChain.Buffer LastWritable(DescriptorChain chain)
    {
        ReadOnlySpan<DescriptorChain.Buffer> buffers = chain.Writable;
        int last = buffers.Length - 1;
        while (buffers[last].Length == 0)
        {
            last--;
        }

        return buffers[last];
    }
}
