using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Vmm.Emulation.Block;
using Vmm.Emulation.Block.Qcow2;

namespace Vmm.Emulation.Tests.Block;

/// <summary>
/// The power fails after each write to the file: all writes so far are there (kill -9), none after the last flush, or any sectors of them
/// in any order. The image opens, what the guest had flushed is there, and nothing is referred to that is not counted.
/// </summary>
public sealed class PowerCutTests : IDisposable
{
    private const int Sector = 512;

    private readonly QemuImages _images = new();

    public void Dispose() => _images.Dispose();

    private enum Kind
    {
        Write,
        Zero,
        Discard,
        Flush,
        Resize,
    }

    // A request of the guest, and how many changes the file had before and after it.
    private sealed record Request(Kind Kind, int First, int Count, ulong Stamp, int Begin, int End);

    [Theory]
    [InlineData("cluster_size=512", false)]
    [InlineData("cluster_size=1k", true)]
    [InlineData("cluster_size=512,compat=0.10", false)]
    [InlineData("cluster_size=4k", true)]
    [InlineData("cluster_size=512,lazy_refcounts=on", false)]
    [InlineData("cluster_size=1k,snapshot", false)]
    [InlineData("cluster_size=512,ours", true)]
    public void Every_flushed_write_is_there_and_the_image_is_whole(string options, bool backing)
    {
        const int Sectors = 640;
        byte[] image = Start(options, Sectors, out ulong[] below);
        RawNode? Below() => backing ? new RawNode(new RecordedFile(Stamped(below))) : null;
        var random = new Random(options.Length);
        var file = new RecordedFile(image);
        BlockNode node = Open(file, Below());
        var requests = new List<Request>();
        int sectors = Sectors;
        for (int i = 0; i < 70; i++)
        {
            requests.Add(Make(node, file, random, ref sectors, (ulong)i + 1));
        }

        int last = file.Count;
        node.Dispose();
        requests.Add(new Request(Kind.Flush, 0, 0, 0, last, file.Count));

        ulong[] first = new ulong[Sectors];
        if (options.Contains("snapshot", StringComparison.Ordinal))
        {
            Array.Fill(first, 0xABABABABABABABAB, 0, Sectors / 2);
        }
        else if (backing)
        {
            first = below;
        }

        bool lazy = options.Contains("lazy", StringComparison.Ordinal);
        int judged = 0;
        for (int cut = 0; cut <= file.Count; cut++)
        {
            byte[][] after =
                [file.After(cut, () => true), file.After(cut, () => false), file.After(cut, () => random.Next(2) == 0, random)];
            foreach (byte[] left in after)
            {
                Judge(left, lazy, cut, requests, first, Below(), judged++ % 97 == 0);
            }
        }

        Assert.True(judged > 300, $"{judged} cuts");
    }

    [Fact]
    public void Full_disk_and_failing_disk_lose_nothing_that_was_flushed()
    {
        byte[] image = Start("cluster_size=1k", 256, out _);
        var file = new RecordedFile(image);
        BlockNode node = Open(file, null);
        byte[] data = new byte[4096];
        Array.Fill(data, (byte)1);
        Assert.Equal(Errno.None, node.Write(0, data));
        Assert.Equal(Errno.None, node.Flush());
        foreach (Errno failure in new[] { Errno.ENOSPC, Errno.EIO })
        {
            file.Failure = failure;
            Assert.Equal(failure, node.Write(8192, data));
            Assert.Equal(failure, node.Flush());
            file.Failure = Errno.None;
            Assert.Equal(Errno.None, node.Write(16384, data));
            Assert.Equal(Errno.None, node.Flush());
        }

        node.Dispose();
        byte[] left = file.After(file.Count, () => true);
        Assert.Empty(Qcow2Checker.Check(left, out int leaks));
        Assert.Equal(0, leaks);
        BlockNode again = Open(new RecordedFile(left), null);
        byte[] all = DiskModel.ReadAll(again);
        Assert.Equal(data, all[..4096]);
        Assert.Equal(data, all[16384..20480]);
    }

    private byte[] Start(string options, int sectors, out ulong[] below)
    {
        below = [.. Enumerable.Range(0, sectors).Select(i => 0xBAC0_0000ul + (ulong)i)];
        string path = _images.Path("p.qcow2");
        if (options.Contains("ours", StringComparison.Ordinal))
        {
            BlockImage.CreateQcow2(path, new Qcow2Options { Size = sectors * Sector, ClusterSize = 512 });
            return File.ReadAllBytes(path);
        }

        _images.Create("p.qcow2", options.Replace(",snapshot", "", StringComparison.Ordinal), $"{sectors * Sector}");
        if (options.Contains("snapshot", StringComparison.Ordinal))
        {
            _images.Io("p.qcow2", $"write -P 0xAB 0 {sectors * Sector / 2}");
            _images.Image("snapshot", "-c", "s", "p.qcow2");
        }

        return File.ReadAllBytes(path);
    }

    private static Qcow2Node Open(RecordedFile file, BlockNode? backing)
    {
        var options = new ImageOptions { L2CacheSize = 1, RefcountCacheSize = 1 };
        return backing != null ? Qcow2Image.OpenOver(file, backing, options)
            : Qcow2Image.Open(file, true, options, (_, _) => throw new InvalidOperationException());
    }

    private static Request Make(BlockNode node, RecordedFile file, Random random, ref int sectors, ulong stamp)
    {
        int at = random.Next(sectors);
        int count = Math.Min(1 + random.Next(random.Next(4) == 0 ? 120 : 6), sectors - at);
        Kind kind = random.Next(40) switch
        {
            < 22 => Kind.Write,
            < 26 => Kind.Zero,
            < 31 => Kind.Discard,
            < 39 => Kind.Flush,
            _ => Kind.Resize,
        };
        int begin = file.Count;
        long offset = at * Sector;
        switch (kind)
        {
            case Kind.Write:
                Assert.Equal(Errno.None, node.Write(offset, Stamped([.. Enumerable.Repeat(stamp, count)])));
                break;
            case Kind.Zero:
                Assert.Equal(Errno.None, node.WriteZeroes(offset, count * Sector, true));
                break;
            case Kind.Discard:
                Assert.Equal(Errno.None, node.Discard(offset, count * Sector));
                break;
            case Kind.Flush:
                Assert.Equal(Errno.None, node.Flush());
                break;
            default:
                (at, count) = (sectors, random.Next(1, 200));
                if (node.Resize((sectors + count) * Sector) != Errno.None)
                {
                    // Version 2 with a snapshot.
                    count = 0;
                }

                sectors += count;
                break;
        }

        return new Request(kind, at, count, stamp, begin, file.Count);
    }

    private void Judge(
        byte[] image, bool lazy, int cut, List<Request> requests, ulong[] first, BlockNode? backing, bool askQemu)
    {
        if (!lazy)
        {
            Assert.Empty(Qcow2Checker.Check(image, out _));
        }

        var file = new RecordedFile(image);
        BlockNode node = Open(file, backing);
        byte[] bytes = DiskModel.ReadAll(node);
        CheckSectors(cut, requests, first, bytes);

        // Whoever goes on makes nothing worse.
        Assert.Equal(Errno.None, node.Write(Sector, bytes.AsSpan(0, 20 * Sector)));
        node.Dispose();
        byte[] closed = file.After(file.Count, () => true);
        Assert.Empty(Qcow2Checker.Check(closed, out _));
        if (askQemu)
        {
            File.WriteAllBytes(_images.Path("cut.qcow2"), closed);
            int code = _images.CheckCode("cut.qcow2", out string output);
            Assert.True(code is 0 or 3, $"cut {cut}: {output}");
            File.WriteAllBytes(_images.Path("cut.qcow2"), image);
            code = lazy ? 0 : _images.CheckCode("cut.qcow2", out output);
            Assert.True(code is 0 or 3, $"cut {cut}: {output}");
        }
    }

    // What each sector may hold: what was flushed last, or what was written since.
    private static void CheckSectors(int cut, List<Request> requests, ulong[] first, byte[] disk)
    {
        int flush = requests.FindLastIndex(r => r.Kind is Kind.Flush or Kind.Resize && r.End <= cut);
        int size = disk.Length / Sector;
        int least = first.Length + requests.Take(flush + 1).Where(r => r.Kind == Kind.Resize).Sum(r => r.Count);
        int most = first.Length + requests.Where(r => r.Kind == Kind.Resize && r.Begin < cut).Sum(r => r.Count);
        Assert.InRange(size, least, most);
        ulong[] known = [.. first, .. new ulong[size - first.Length]];
        bool[] orZero = new bool[size];
        foreach (Request r in requests.Take(flush))
        {
            for (int at = r.First; at < r.First + r.Count && r.Kind is Kind.Write or Kind.Zero or Kind.Discard; at++)
            {
                known[at] = r.Kind == Kind.Discard ? known[at] : r.Kind == Kind.Write ? r.Stamp : 0;
                orZero[at] = r.Kind == Kind.Discard;
            }
        }

        Request[] late = [.. requests.Skip(flush + 1).Where(r => r.Begin < cut && r.Kind is Kind.Write or Kind.Zero or Kind.Discard)];
        for (int i = 0; i < size; i++)
        {
            ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(disk.AsSpan(i * Sector, Sector));
            ulong stamp = words[0];
            Assert.True(words.IndexOfAnyExcept(stamp) < 0, $"cut {cut}: sector {i} is torn");
            bool valid = stamp == known[i] || (stamp == 0 && orZero[i]) || Array.Exists(
                late, r => i >= r.First && i < r.First + r.Count && stamp == (r.Kind == Kind.Write ? r.Stamp : 0));
            Assert.True(valid, $"cut {cut}: sector {i} has {stamp:x}; it had {known[i]:x}");
        }
    }

    private static byte[] Stamped(ulong[] stamps)
    {
        byte[] bytes = new byte[stamps.Length * Sector];
        for (int at = 0; at < bytes.Length; at += sizeof(ulong))
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(at), stamps[at / Sector]);
        }

        return bytes;
    }
}
