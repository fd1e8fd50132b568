using System.Buffers.Binary;

namespace Vmm.Emulation.Net;

/// <summary>
/// A file of frames in the format of libpcap, as <c>filter-dump</c> of QEMU writes it: little endian, microseconds, Ethernet. One thread
/// writes. A file that cannot be written any more gets no more frames.
/// </summary>
/// <param name="file">Is disposed with it.</param>
/// <param name="most">Bytes that are kept of each frame (<c>maxlen=</c>).</param>
public sealed class PcapDump(Stream file, int most) : IDisposable
{
    private const uint Magic = 0xA1B2C3D4;
    private const int FileHeader = 24;
    private const int RecordHeader = 16;
    private const uint Ethernet = 1;

    private readonly byte[] _header = new byte[FileHeader];
    private bool _isBroken;

    /// <summary>Begins the file.</summary>
    public void Begin()
    {
        Span<byte> header = _header;
        BinaryPrimitives.WriteUInt32LittleEndian(header, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(header[4..], 2);
        BinaryPrimitives.WriteUInt16LittleEndian(header[6..], 4);
        BinaryPrimitives.WriteInt32LittleEndian(header[16..], most);
        BinaryPrimitives.WriteUInt32LittleEndian(header[20..], Ethernet);
        file.Write(header);
        file.Flush();
    }

    public void Write(ReadOnlySpan<byte> frame)
    {
        if (_isBroken)
        {
            return;
        }

        ReadOnlySpan<byte> kept = frame[..Math.Min(frame.Length, most)];
        long microseconds = DateTime.UtcNow.Subtract(DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;
        Span<byte> header = _header.AsSpan(0, RecordHeader);
        BinaryPrimitives.WriteUInt32LittleEndian(header, (uint)(microseconds / 1_000_000));
        BinaryPrimitives.WriteUInt32LittleEndian(header[4..], (uint)(microseconds % 1_000_000));
        BinaryPrimitives.WriteInt32LittleEndian(header[8..], kept.Length);
        BinaryPrimitives.WriteInt32LittleEndian(header[12..], frame.Length);
        try
        {
            file.Write(header);
            file.Write(kept);
            file.Flush();
        }
        catch (IOException)
        {
            _isBroken = true;
        }
    }

    public void Dispose() => file.Dispose();
}
