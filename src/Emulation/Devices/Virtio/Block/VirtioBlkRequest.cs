using Vmm.Emulation.Block;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.Virtio.Block;

/// <summary>A request of a guest to its disk. It belongs to one thread at a time, and is used again and again.</summary>
public sealed class VirtioBlkRequest
{
    /// <summary>The most bytes that are read or written at once; what a longer request has is read or written in pieces.</summary>
    internal const int MostAtOnce = 4 << 20;

    private readonly HostBuffer[] _buffers = new HostBuffer[DescriptorChain.MostBuffers];

    public DescriptorChain Chain { get; } = new();

    /// <summary>The number of the queue that it came from.</summary>
    public int Queue { get; internal set; }

    /// <summary>How the last attempt failed.</summary>
    public Errno Error { get; internal set; }

    /// <summary>Whether it is a read, after an attempt.</summary>
    public bool IsRead => Type == VirtioBlkSpec.In;

    /// <summary>The place on the disk that it begins at, after an attempt: a sector.</summary>
    public ulong Sector { get; internal set; }

    internal uint Type { get; set; }

    /// <summary>Bytes that were written to the guest, but for the status.</summary>
    internal uint Written { get; set; }

    /// <summary>The piece of the guest's data that is next.</summary>
    internal ReadOnlySpan<HostBuffer> Piece => _buffers.AsSpan(0, Count);

    private int Count { get; set; }

    /// <summary>Saves requests, in their order.</summary>
    public static void Save(StateWriter writer, IReadOnlyList<VirtioBlkRequest> requests)
    {
        writer.Write("requests", requests.Count);
        for (int i = 0; i < requests.Count; i++)
        {
            writer.Write($"queue{i}", requests[i].Queue);
            requests[i].Chain.Save(writer, i);
        }
    }

    /// <summary>Loads requests.</summary>
    /// <exception cref="StateException">One cannot be.</exception>
    public static IReadOnlyList<VirtioBlkRequest> Load(StateReader reader, VirtioBlk disk)
    {
        int count = reader.Read<int>("requests");
        reader.Require(count is >= 0 and <= VirtioDevice.MaxQueues * VirtioDevice.MaxQueueSize, "requests");
        var requests = new List<VirtioBlkRequest>();
        for (int i = 0; i < count; i++)
        {
            var request = new VirtioBlkRequest { Queue = reader.Read<int>($"queue{i}") };
            reader.Require(request.Queue >= 0 && request.Queue < disk.QueueCount, $"queue{i}");
            request.Chain.Load(reader, i, disk.IsRam);
            requests.Add(request);
        }

        return requests;
    }

    internal void ClearPiece() => Count = 0;

    /// <summary>Adds to the piece; the piece has room for as many buffers as a chain can have.</summary>
    internal void Add(HostBuffer buffer)
    {
        if (Count > 0 && _buffers[Count - 1].TryJoin(buffer, out HostBuffer both))
        {
            _buffers[Count - 1] = both;
        }
        else
        {
            _buffers[Count++] = buffer;
        }
    }
}
