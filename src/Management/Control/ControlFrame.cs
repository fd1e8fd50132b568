using System.Buffers.Binary;
using System.Runtime.Serialization;
using System.Text;
using Vmm.Actors.Protocol;
using Vmm.Actors.Serialization;

namespace Vmm.Management.Control;

/// <summary>
/// A frame of the control protocol. In this order: the number of bytes that follow (32 bits), the correlation id (64 bits), the length of
/// the manifest (8 bits), the manifest in ASCII, and the message as <see cref="ProtocolSerializer"/> encodes it. Numbers are little-endian.
/// </summary>
/// <param name="Id">The id that the client gave a request, which its answer has too; 0 for what the VM sends of its own accord.</param>
public sealed record ControlFrame(ulong Id, IProtocolMessage Message)
{
    /// <summary>The largest frame that a VM takes, in bytes after the length.</summary>
    public const int LargestRequest = 256 << 10;

    /// <summary>The largest frame that a VM sends: an answer with <see cref="ReadGuestMemory.Longest"/> bytes of guest memory.</summary>
    public const int LargestAnswer = 4 << 20;

    private const int LengthSize = 4;
    private const int IdSize = 8;
    private const int HeaderSize = IdSize + 1;

    /// <summary>The bytes of the frame, with the length.</summary>
    public byte[] Encode()
    {
        string manifest = ProtocolSerializer.ManifestOf(Message);
        byte[] payload = ProtocolSerializer.Encode(Message);
        byte[] frame = new byte[LengthSize + HeaderSize + manifest.Length + payload.Length];
        BinaryPrimitives.WriteInt32LittleEndian(frame, frame.Length - LengthSize);
        BinaryPrimitives.WriteUInt64LittleEndian(frame.AsSpan(LengthSize), Id);
        frame[LengthSize + IdSize] = (byte)manifest.Length;
        Encoding.ASCII.GetBytes(manifest, frame.AsSpan(LengthSize + HeaderSize));
        payload.CopyTo(frame, LengthSize + HeaderSize + manifest.Length);
        return frame;
    }

    /// <summary>The next frame of a stream; null at its end.</summary>
    /// <param name="largest">The most bytes that a frame may have after its length.</param>
    /// <exception cref="ControlFrameException">What comes is no frame, or is cut off.</exception>
    /// <exception cref="IOException">The stream fails.</exception>
    public static async Task<ControlFrame?> ReadAsync(Stream stream, int largest, CancellationToken stop)
    {
        byte[] length = new byte[LengthSize];
        int read = await stream.ReadAtLeastAsync(length, LengthSize, throwOnEndOfStream: false, stop).ConfigureAwait(false);
        if (read == 0)
        {
            return null;
        }

        uint size = BinaryPrimitives.ReadUInt32LittleEndian(length);
        if (read < LengthSize || size < HeaderSize || size > largest)
        {
            throw new ControlFrameException(
                read < LengthSize ? "a frame is cut off" : $"a frame of {size} bytes is not one of {HeaderSize} to {largest}");
        }

        byte[] frame = new byte[size];
        if (await stream.ReadAtLeastAsync(frame, frame.Length, throwOnEndOfStream: false, stop).ConfigureAwait(false) < frame.Length)
        {
            throw new ControlFrameException("a frame is cut off");
        }

        return Decode(frame);
    }

    private static ControlFrame Decode(byte[] frame)
    {
        int end = HeaderSize + frame[IdSize];
        if (end > frame.Length)
        {
            throw new ControlFrameException("a manifest is longer than its frame");
        }

        try
        {
            return new ControlFrame(
                BinaryPrimitives.ReadUInt64LittleEndian(frame),
                ProtocolSerializer.Decode(frame[end..], Encoding.Latin1.GetString(frame, HeaderSize, frame[IdSize])));
        }
        catch (SerializationException e)
        {
            throw new ControlFrameException(e.Message);
        }
    }
}
