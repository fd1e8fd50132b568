using Vmm.Emulation.Memory;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.Virtio;

/// <summary>
/// The buffers of one request: first those that the device reads, then those that it writes (Virtual I/O Device 1.2, section 2.6.4.2). It
/// is filled by <see cref="Virtqueue.TryPop"/> and used again and again.
/// </summary>
public sealed class DescriptorChain
{
    /// <summary>No chain has more buffers; QEMU's limit (VIRTQUEUE_MAX_SIZE).</summary>
    public const int MostBuffers = 1024;

    // Most chains have no more; the array grows with the first one that has.
    private const int FewBuffers = 32;

    private Buffer[] _buffers = new Buffer[FewBuffers];
    private int _count;
    private int _readable;

    /// <summary>A range of guest RAM.</summary>
    public readonly record struct Buffer(ulong Address, uint Length);

    /// <summary>What the driver wrote for the device.</summary>
    public ReadOnlySpan<Buffer> Readable => _buffers.AsSpan(0, _readable);

    /// <summary>What the device writes for the driver.</summary>
    public ReadOnlySpan<Buffer> Writable => _buffers.AsSpan(_readable, _count - _readable);

    /// <summary>Bytes of all readable buffers.</summary>
    public ulong ReadableLength { get; private set; }

    /// <summary>Bytes of all writable buffers.</summary>
    public ulong WritableLength { get; private set; }

    /// <summary>What names the chain in the used ring.</summary>
    internal ushort Id { get; set; }

    /// <summary>Descriptors that it takes in a packed ring.</summary>
    internal int Descriptors { get; set; }

    /// <summary>Copies what the driver wrote for the device, from a place on; false when that is not all there, or not RAM.</summary>
    internal bool TryRead(IDmaMemory memory, ulong at, Span<byte> bytes)
    {
        foreach (Buffer buffer in Readable)
        {
            if (at >= buffer.Length)
            {
                at -= buffer.Length;
                continue;
            }

            int part = (int)Math.Min(buffer.Length - at, (ulong)bytes.Length);
            if (!memory.TryRead(buffer.Address + at, bytes[..part]))
            {
                return false;
            }

            at = 0;
            bytes = bytes[part..];
            if (bytes.IsEmpty)
            {
                break;
            }
        }

        return bytes.IsEmpty;
    }

    /// <summary>Copies to the start of what the device writes; false when it has no room for all, or is not RAM.</summary>
    internal bool TryWrite(IDmaMemory memory, ReadOnlySpan<byte> bytes)
    {
        foreach (Buffer buffer in Writable)
        {
            int part = (int)Math.Min(buffer.Length, (uint)bytes.Length);
            if (part > 0 && !memory.TryWrite(buffer.Address, bytes[..part]))
            {
                return false;
            }

            bytes = bytes[part..];
        }

        return bytes.IsEmpty;
    }

    internal void Clear() => (_count, _readable, ReadableLength, WritableLength) = (0, 0, 0, 0);

    /// <summary>Saves the chain of a request that has not ended.</summary>
    internal void Save(StateWriter writer, int number)
    {
        writer.Write($"id{number}", Id);
        writer.Write($"descriptors{number}", Descriptors);
        writer.Write($"readable{number}", _readable);
        writer.Write<ulong>($"addresses{number}", [.. _buffers[.._count].Select(b => b.Address)]);
        writer.Write<uint>($"lengths{number}", [.. _buffers[.._count].Select(b => b.Length)]);
    }

    /// <exception cref="StateException">It is no chain.</exception>
    internal void Load(StateReader reader, int number, Func<ulong, ulong, bool> isRam)
    {
        Clear();
        Id = reader.Read<ushort>($"id{number}");
        Descriptors = reader.Read<int>($"descriptors{number}");
        reader.Require(Descriptors is >= 0 and <= VirtqueueSpec.MaxSize, $"descriptors{number}");
        int readable = reader.Read<int>($"readable{number}");
        ulong[] addresses = reader.ReadArray<ulong>($"addresses{number}", MostBuffers);
        uint[] lengths = reader.ReadArray<uint>($"lengths{number}", MostBuffers);
        reader.Require(lengths.Length == addresses.Length, $"lengths{number}");
        reader.Require(readable >= 0 && readable <= addresses.Length, $"readable{number}");
        for (int i = 0; i < addresses.Length; i++)
        {
            reader.Require(lengths[i] == 0 || isRam(addresses[i], lengths[i]), $"addresses{number}");
            Add(addresses[i], lengths[i], isWritable: i >= readable);
        }
    }

    /// <summary>Adds a buffer; what is wrong with it, or null.</summary>
    internal string? Add(ulong address, uint length, bool isWritable)
    {
        if (_count == MostBuffers)
        {
            return $"a chain of more than {MostBuffers} buffers";
        }

        if (!isWritable && _readable != _count)
        {
            return "a buffer to read behind one to write";
        }

        if (_count == _buffers.Length)
        {
            Array.Resize(ref _buffers, _count * 2);
        }

        _buffers[_count++] = new Buffer(address, length);
        if (isWritable)
        {
            WritableLength += length;
        }
        else
        {
            _readable++;
            ReadableLength += length;
        }

        return null;
    }
}
