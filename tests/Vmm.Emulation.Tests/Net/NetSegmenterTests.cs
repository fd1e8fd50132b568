using System.Buffers.Binary;
using Vmm.Emulation.Net;
using Vmm.Emulation.Net.User;

namespace Vmm.Emulation.Tests.Net;

/// <summary>Large frames, cut and completed; sums and lengths are counted here once more, by the definition (RFC 1071).</summary>
public sealed class NetSegmenterTests
{
    private const int Ethernet = 14;

    [Theory]
    [InlineData(false, 3000, 1460)]
    [InlineData(true, 3000, 1440)]
    [InlineData(false, 60000, 1448)]
    [InlineData(true, 4321, 536)]
    [InlineData(false, 100, 1460)]
    [InlineData(false, 2920, 1460)]
    public void Segments_of_TCP_have_all_bytes_in_order_and_right_checksums(bool isIp6, int length, int size)
    {
        NetFrame frame = Tcp(isIp6, length, flags: 0x89);
        int headers = frame.Length - length;
        frame.SetGso(isIp6 ? GsoType.Tcp6 : GsoType.Tcp4, headers, size);
        byte[] payload = frame.Bytes[headers..].ToArray();
        var got = new List<byte>();
        List<byte[]> parts = Cut(frame);
        Assert.Equal((length + size - 1) / size, parts.Count);
        for (int i = 0; i < parts.Count; i++)
        {
            byte[] part = parts[i];
            int tcp = headers - 20;
            Assert.Equal(1000u + (uint)got.Count, BinaryPrimitives.ReadUInt32BigEndian(part.AsSpan(tcp + 4)));

            // CWR is of the first one, FIN and PSH of the last one.
            Assert.Equal((i == 0 ? 0x80 : 0) | (i == parts.Count - 1 ? 0x09 : 0), part[tcp + 13]);
            CheckIp(part, isIp6);
            Assert.Equal(0xFFFF, SumOf(part, isIp6, tcp));
            if (!isIp6)
            {
                Assert.Equal(7 + i, BinaryPrimitives.ReadUInt16BigEndian(part.AsSpan(Ethernet + 4)));
            }

            got.AddRange(part[headers..]);
        }

        Assert.Equal(payload, got);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Fragments_of_UDP_have_all_bytes_in_order(bool isIp6)
    {
        const int Length = 5000;
        int network = isIp6 ? 40 : 20;
        int size = isIp6 ? 1448 : 1480;
        var frame = new NetFrame();
        byte[] bytes = [.. Ip(isIp6, 17, 8 + Length), 0x12, 0x34, 0, 53, (8 + Length) >> 8, (8 + Length) & 0xFF, 0, 0, .. Noise(Length)];
        frame.Set(bytes);
        SetPseudo(frame, isIp6, Ethernet + network, 6);
        frame.SetGso(GsoType.Udp, Ethernet + network, size);
        var got = new byte[8 + Length];
        List<byte[]> parts = Cut(frame);
        Assert.Equal(4, parts.Count);
        for (int i = 0; i < parts.Count; i++)
        {
            byte[] part = parts[i];
            CheckIp(part, isIp6);
            int word = BinaryPrimitives.ReadUInt16BigEndian(part.AsSpan(isIp6 ? Ethernet + network + 2 : Ethernet + 6));
            int offset = isIp6 ? word & ~7 : (word & 0x1FFF) * 8;
            Assert.Equal(i < parts.Count - 1, isIp6 ? (word & 1) != 0 : (word & 0x2000) != 0);
            Assert.True(!isIp6 || (part[Ethernet + 6] == 44 && part[Ethernet + network] == 17));
            part[(Ethernet + network + (isIp6 ? 8 : 0))..].CopyTo(got, offset);
        }

        byte[] whole = [.. bytes[..(Ethernet + network)], .. got];
        Assert.Equal(bytes[(Ethernet + network + 8)..], got[8..]);
        Assert.Equal(0xFFFF, SumOf(whole, isIp6, Ethernet + network));
    }

    [Theory]
    [InlineData(GsoType.Tcp6, 1460)] // it is IPv4
    [InlineData(GsoType.Udp, 1480)] // it is TCP
    [InlineData(GsoType.Tcp4, 0)]
    public void Frame_that_is_not_what_it_says_is_dropped(GsoType type, int size)
    {
        NetFrame frame = Tcp(isIp6: false, 3000, flags: 0x10);
        frame.SetGso(type, 54, size);
        Assert.Empty(Cut(frame));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void Offer_of_segments_is_raised_and_the_checksum_stays_right(bool isIp6, bool isDone)
    {
        int network = isIp6 ? 40 : 20;
        int tcp = Ethernet + network;
        var frame = new NetFrame();

        // SYN with a no-operation in front, so that the size is at an odd place, and one behind.
        frame.Set([.. Ip(isIp6, 6, 28), .. Header(flags: 2, words: 7), 1, 2, 4, 0x05, isIp6 ? (byte)0xA0 : (byte)0xB4, 1, 1, 0]);
        SetPseudo(frame, isIp6, tcp, 16);
        if (isDone)
        {
            InternetChecksum.Complete(frame);
        }

        SlirpFrames.Finish(frame);
        Assert.Equal(LibSlirp.MostMtu - network - 20, BinaryPrimitives.ReadUInt16BigEndian(frame.Bytes[(tcp + 23)..]));
        Assert.Equal(0xFFFF, SumOf(frame.Bytes.ToArray(), isIp6, tcp));
    }

    [Fact]
    public void Large_frame_of_the_library_is_cut_as_it_is_marked()
    {
        NetFrame frame = Tcp(isIp6: false, 20_000, flags: 0x18);
        InternetChecksum.Complete(frame);
        SlirpFrames.Mark(frame);
        Assert.Equal((GsoType.Tcp4, 1460), (frame.Gso, frame.GsoSize));
        List<byte[]> parts = Cut(frame);
        Assert.Equal(14, parts.Count);
        Assert.All(parts, p => Assert.True(p.Length <= 1514 && SumOf(p, isIp6: false, 34) == 0xFFFF));
    }

    private static List<byte[]> Cut(NetFrame frame)
    {
        var pump = new NetPump();
        frame.Message.CopyTo(pump.Frame.Room);
        pump.Frame.Length = frame.Length;
        pump.Begin(whole: false);
        var parts = new List<byte[]>();

        // Each second time there is no room.
        bool hasRoom = false;
        while (!pump.TryPass(part =>
        {
            hasRoom = !hasRoom;
            if (hasRoom)
            {
                parts.Add(part.Bytes.ToArray());
            }

            return hasRoom;
        }))
        {
        }

        return parts;
    }

    private static NetFrame Tcp(bool isIp6, int length, byte flags)
    {
        var frame = new NetFrame();
        frame.Set([.. Ip(isIp6, 6, 20 + length), .. Header(flags, words: 5), .. Noise(length)]);
        SetPseudo(frame, isIp6, Ethernet + (isIp6 ? 40 : 20), 16);
        return frame;
    }

    private static byte[] Header(byte flags, int words) =>
        [0x1F, 0x90, 0, 80, 0, 0, 0x03, 0xE8, 0, 0, 0, 1, (byte)(words << 4), flags, 0xFF, 0xFF, 0, 0, 0, 0];

    private static byte[] Ip(bool isIp6, byte protocol, int length) =>
    [
        .. new byte[12],
        .. isIp6
            ? (byte[])[0x86, 0xDD, 0x60, 0, 0, 0, (byte)(length >> 8), (byte)length, protocol, 64,
                .. Enumerable.Range(1, 32).Select(i => (byte)i)]
            : [8, 0, 0x45, 0, (byte)((20 + length) >> 8), (byte)(20 + length), 0, 7, 0, 0, 64, protocol, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2],
    ];

    private static byte[] Noise(int length)
    {
        byte[] bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }

    // What a driver that leaves the checksum to the device writes there.
    private static void SetPseudo(NetFrame frame, bool isIp6, int transport, int offset)
    {
        frame.SetChecksum(transport, offset);
        BinaryPrimitives.WriteUInt16BigEndian(frame.Bytes[(transport + offset)..], (ushort)Pseudo(frame.Bytes.ToArray(), isIp6, transport));
    }

    private static void CheckIp(byte[] frame, bool isIp6)
    {
        Assert.True(frame.Length <= 1514);
        int length = BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(Ethernet + (isIp6 ? 4 : 2)));
        Assert.Equal(frame.Length - Ethernet - (isIp6 ? 40 : 0), length);
        Assert.True(isIp6 || Sum(frame[Ethernet..(Ethernet + 20)]) == 0xFFFF);
    }

    private static int SumOf(byte[] frame, bool isIp6, int transport) => Fold(Pseudo(frame, isIp6, transport) + Sum(frame[transport..]));

    private static int Pseudo(byte[] frame, bool isIp6, int transport)
    {
        byte[] addresses = isIp6 ? frame[(Ethernet + 8)..(Ethernet + 40)] : frame[(Ethernet + 12)..(Ethernet + 20)];
        return Fold(Sum(addresses) + frame[Ethernet + (isIp6 ? 6 : 9)] + (frame.Length - transport));
    }

    private static int Sum(byte[] bytes)
    {
        int sum = 0;
        for (int i = 0; i < bytes.Length; i++)
        {
            sum += i % 2 == 0 ? bytes[i] << 8 : bytes[i];
            sum = Fold(sum);
        }

        return sum;
    }

    private static int Fold(int sum) => sum > 0xFFFF ? Fold((sum & 0xFFFF) + (sum >> 16)) : sum;
}
