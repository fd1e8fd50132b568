using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Nodes;

/// <summary>The last bytes of a guest's serial line, for readers who come at different times. One thread at a time.</summary>
internal sealed class SerialHistory
{
    // The bytes that are kept, and those of one answer: a frame of the cluster has less than 128,000, and they are in base64.
    private const int Kept = 64 << 10;
    private const int LargestAnswer = 32 << 10;

    private readonly string _id = Guid.NewGuid().ToString("N");
    private byte[] _kept = [];
    private long _end;

    public void Add(ReadOnlySpan<byte> bytes)
    {
        byte[] all = [.. _kept, .. bytes];
        _kept = all.Length > Kept ? all[^Kept..] : all;
        _end += bytes.Length;
    }

    /// <summary>What a reader does not know yet; nothing when it knows all.</summary>
    public ConsoleOutput After(ReadConsole read)
    {
        long start = _end - _kept.Length;
        long from = read.Line == _id && read.Position <= _end ? Math.Max(read.Position, start) : start;
        int count = (int)Math.Min(_end - from, LargestAnswer);
        return new ConsoleOutput(read.Vm, _id, from + count, _kept.AsSpan((int)(from - start), count).ToArray());
    }
}
