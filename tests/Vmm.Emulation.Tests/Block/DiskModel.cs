using Vmm.Emulation.Block;

namespace Vmm.Emulation.Tests.Block;

/// <summary>A disk and what it must hold; makes random requests and compares.</summary>
internal sealed class DiskModel(BlockNode node, byte[] bytes, Random random)
{
    private const int Sector = 512;

    public BlockNode Node { get; set; } = node;

    public byte[] Bytes { get; private set; } = bytes;

    /// <summary>Makes a request of a random kind.</summary>
    /// <param name="longest">Bytes of most requests, at most.</param>
    public void Step(int longest)
    {
        (int offset, int length) = Range(longest);
        switch (random.Next(12))
        {
            case < 5:
                byte[] data = new byte[length];
                random.NextBytes(data);
                Assert.Equal(Errno.None, Node.Write(offset, data));
                data.CopyTo(Bytes, offset);
                break;
            case < 8:
                byte[] read = new byte[length];
                Assert.Equal(Errno.None, Node.Read(offset, read));
                Equal(Bytes.AsSpan(offset, length), read, offset);
                break;
            case 8:
                Assert.Equal(Errno.None, Node.WriteZeroes(offset, length, random.Next(2) == 0));
                Bytes.AsSpan(offset, length).Clear();
                break;
            case 9:
                Assert.Equal(Errno.None, Node.Discard(offset, length));
                byte[] left = new byte[length];
                Assert.Equal(Errno.None, Node.Read(offset, left));
                for (int i = 0; i < length; i++)
                {
                    Assert.True(left[i] == 0 || left[i] == Bytes[offset + i], $"byte {offset + i} after a discard");
                }

                left.CopyTo(Bytes, offset);
                break;
            case 10:
                Assert.Equal(Errno.None, Node.Flush());
                break;
            default:
                CheckStatus(offset, length);
                break;
        }
    }

    /// <summary>Makes the disk larger.</summary>
    public void Grow(int by)
    {
        Assert.Equal(Errno.None, Node.Resize(Bytes.Length + by));
        byte[] grown = new byte[Bytes.Length + by];
        Bytes.CopyTo(grown, 0);
        Bytes = grown;
    }

    /// <summary>Reads the whole disk and compares.</summary>
    public void Compare()
    {
        Assert.Equal(Bytes.Length, Node.Size);
        Equal(Bytes, ReadAll(Node), 0);
    }

    public static byte[] ReadAll(BlockNode node)
    {
        byte[] all = new byte[node.Size];
        Assert.Equal(Errno.None, node.Read(0, all));
        return all;
    }

    public static void Equal(ReadOnlySpan<byte> expected, ReadOnlySpan<byte> actual, long offset)
    {
        int same = expected.CommonPrefixLength(actual);
        Assert.True(same == expected.Length && same == actual.Length, $"byte {offset + same} differs");
    }

    // What is told to be zero is; a status is never of no bytes.
    private void CheckStatus(int offset, int length)
    {
        for (int done = 0; done < length;)
        {
            Assert.Equal(Errno.None, Node.Status(offset + done, length - done, out BlockStatus status));
            Assert.InRange(status.Length, 1, length - done);
            if (status.Kind == BlockStatusKind.Zero)
            {
                Assert.True(Bytes.AsSpan(offset + done, (int)status.Length).IndexOfAnyExcept((byte)0) < 0, $"zeros at {offset + done}");
            }

            done += (int)status.Length;
        }
    }

    private (int Offset, int Length) Range(int longest)
    {
        int sectors = Bytes.Length / Sector;
        int offset = random.Next(sectors);
        int length = random.Next(20) == 0 ? sectors : 1 + random.Next(Math.Max(1, longest / Sector));
        return (offset * Sector, Math.Min(length, sectors - offset) * Sector);
    }
}
