using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Vmm.Emulation.Net;

/// <summary>The checksum of IP, TCP and UDP (RFC 1071).</summary>
internal static class InternetChecksum
{
    /// <summary>The sum of 16-bit words, the first byte of each the high one; not yet folded.</summary>
    public static ulong Sum(ReadOnlySpan<byte> bytes)
    {
        // The order of bytes does not matter to a sum of ones' complement, so that words of the host are summed up and the sum is turned.
        ulong sum = 0;
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(bytes);
        foreach (ulong word in words)
        {
            sum += word;
            sum += sum < word ? 1u : 0;
        }

        bytes = bytes[(words.Length * sizeof(ulong))..];
        Span<byte> rest = stackalloc byte[sizeof(ulong)];
        rest.Clear();
        bytes.CopyTo(rest);
        ulong last = MemoryMarshal.Read<ulong>(rest);
        sum += last;
        sum += sum < last ? 1u : 0;
        ushort folded = Fold((sum >> 32) + (uint)sum);
        return BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(folded) : folded;
    }

    public static ushort Fold(ulong sum)
    {
        while (sum > ushort.MaxValue)
        {
            sum = (sum & ushort.MaxValue) + (sum >> 16);
        }

        return (ushort)sum;
    }

    /// <summary>Completes what is left to do of a checksum (<see cref="NetFrame.NeedsChecksum"/>).</summary>
    public static void Complete(NetFrame frame)
    {
        if ((frame.Flags & NetFrame.NeedsChecksum) == 0)
        {
            return;
        }

        frame.Flags = 0;
        int at = frame.ChecksumStart + frame.ChecksumOffset;
        if (at + 2 > frame.Length)
        {
            return;
        }

        ushort checksum = (ushort)~Fold(Sum(frame.Bytes[frame.ChecksumStart..]));
        BinaryPrimitives.WriteUInt16BigEndian(frame.Bytes[at..], checksum == 0 ? ushort.MaxValue : checksum);
    }
}
