namespace Vmm.Emulation.Devices.Virtio;

/// <summary>
/// The buffers of one request: first those that the device reads, then those that it writes (Virtual I/O Device 1.2, section 2.6.4.2). It
/// is filled by <see cref="Virtqueue.TryPop"/> and used again and again.
/// </summary>
public sealed class DescriptorChain
{
    /// <summary>No chain has more buffers; QEMU's limit (VIRTQUEUE_MAX_SIZE).</summary>
    public const int MostBuffers = 1024;

    private readonly Buffer[] _buffers = new Buffer[MostBuffers];
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

    internal void Clear() => (_count, _readable, ReadableLength, WritableLength) = (0, 0, 0, 0);

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
