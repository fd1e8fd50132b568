using System.Buffers.Binary;
using Vmm.Emulation.Block;
using Vmm.Emulation.Block.Qcow2;
using Vmm.Emulation.Tests.Jit;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Block;

/// <summary>Damaged images: each is refused by one line, or its requests end; none takes time or memory out of proportion.</summary>
public sealed class Qcow2FuzzTests(ITestOutputHelper output) : IDisposable
{
    // An image of 32 MiB of L1 table may take it as memory, and again as it is read.
    private const long MostMemory = 256 << 20;

    private static readonly ulong[] s_numbers =
    [
        0, 1, 2, 9, 63, 64, 512, 0x1FF, 0x8000_0000, 0xFFFF_FFFF, 0x100_0000_0000, 1ul << 55, 1ul << 56, 1ul << 61, Qcow2Spec.Copied,
        Qcow2Spec.Compressed, Qcow2Spec.Copied | 512, Qcow2Spec.Copied | 1024, Qcow2Spec.Copied | 4096, Qcow2Spec.Compressed | 513,
        ulong.MaxValue, long.MaxValue,
    ];

    private readonly QemuImages _images = new();

    public void Dispose() => _images.Dispose();

    [Fact]
    public void Damaged_images_end_in_a_line_or_in_errors()
    {
        byte[][] images = [.. Images()];
        var run = new FuzzRun(3000);
        int refused = 0;
        int opened = 0;
        foreach (int program in run.Programs())
        {
            var random = new Random(run.SeedOf(program));
            byte[] image = [.. images[random.Next(images.Length)]];
            Damage(image, random);
            bool writable = random.Next(4) != 0;
            long before = GC.GetAllocatedBytesForCurrentThread();
            TimeSpan start = Patience.CpuTime();
            try
            {
                Use(image, writable, random);
                opened++;
            }
            catch (BlockException e)
            {
                refused++;
                Assert.DoesNotContain('\n', e.Message);
                Assert.InRange(e.Message.Length, 20, 1010);
            }
            catch (Exception e)
            {
                Assert.Fail($"{run.Name(program)}: {e}");
            }

            long memory = GC.GetAllocatedBytesForCurrentThread() - before;
            TimeSpan time = Patience.CpuTime() - start;
            Assert.True(memory < MostMemory && time < TimeSpan.FromSeconds(20), $"{run.Name(program)}: {memory >> 20} MiB, {time}");
        }

        output.WriteLine(run.Figure("qcow2", $"{refused} refused, {opened} opened"));
        Assert.True(refused > 0 && opened > 0);
    }

    [Fact]
    public void Image_that_is_its_own_backing_file_is_refused()
    {
        _images.Create("a.qcow2", "", "1M");
        _images.Image("create", "-q", "-f", "qcow2", "-b", "a.qcow2", "-F", "qcow2", "b.qcow2");
        _images.Image("rebase", "-u", "-f", "qcow2", "-b", "b.qcow2", "-F", "qcow2", "a.qcow2");
        string message = Assert.Throws<BlockException>(
            () => BlockImage.Open(_images.Path("b.qcow2"), "qcow2", false, new ImageOptions())).Message;
        Assert.Contains("its own backing file", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Write_to_a_cluster_that_lies_on_a_table_marks_the_image()
    {
        string path = _images.Create("m.qcow2", "cluster_size=512", "1M");
        _images.Io("m.qcow2", "write -P 1 0 4k");
        byte[] image = File.ReadAllBytes(path);
        long l1 = BinaryPrimitives.ReadInt64BigEndian(image.AsSpan(Qcow2Spec.L1TableOffset));
        long l2 = BinaryPrimitives.ReadInt64BigEndian(image.AsSpan((int)l1)) & (long)Qcow2Spec.OffsetMask;
        BinaryPrimitives.WriteUInt64BigEndian(image.AsSpan((int)l2), Qcow2Spec.Copied | (ulong)l1);
        File.WriteAllBytes(path, image);
        using (BlockNode node = BlockImage.Open(path, "qcow2", true, new ImageOptions()))
        {
            Assert.Equal(Errno.None, node.Write(512, new byte[512]));
            Assert.Equal(Errno.EIO, node.Write(0, new byte[512]));
            Assert.Equal(Errno.EIO, node.Write(512, new byte[512]));
            Assert.Contains("guest cluster 0 lies on a table", ((Qcow2Node)node).Damage, StringComparison.Ordinal);
        }

        Assert.Equal(image.AsSpan((int)l1, 512), File.ReadAllBytes(path).AsSpan((int)l1, 512));
        Assert.Contains("corrupt: true", _images.Image("info", "m.qcow2"), StringComparison.Ordinal);
    }

    private IEnumerable<byte[]> Images()
    {
        _images.Create("plain.qcow2", "cluster_size=512", "256k");
        _images.Io("plain.qcow2", "write -P 1 0 20k", "write -z 40k 8k", "write -P 2 200k 9k");
        _images.Image("snapshot", "-c", "s", "plain.qcow2");
        _images.Io("plain.qcow2", "write -P 3 10k 20k");
        yield return File.ReadAllBytes(_images.Path("plain.qcow2"));
        _images.Create("dirty.qcow2", "cluster_size=512,lazy_refcounts=on", "256k");
        _images.Io("dirty.qcow2", "write -P 1 0 20k");
        byte[] dirty = File.ReadAllBytes(_images.Path("dirty.qcow2"));
        dirty[Qcow2Spec.IncompatibleFeatures + 7] |= 1;
        yield return dirty;
        foreach (string type in new[] { "zlib", "zstd" })
        {
            File.WriteAllText(_images.Path("text.raw"), string.Concat(Enumerable.Range(0, 30_000).Select(i => $"{i * 7} ")));
            _images.Image(
                "convert", "-f", "raw", "-O", "qcow2", "-c", "-o", $"compression_type={type},cluster_size=4k", "text.raw", "c.qcow2");
            yield return File.ReadAllBytes(_images.Path("c.qcow2"));
        }
    }

    // Most changes hit the header and the tables, which lie in front; numbers are those at which something begins or ends.
    private static void Damage(byte[] image, Random random)
    {
        int changes = 1 + random.Next(6);
        for (int i = 0; i < changes; i++)
        {
            int reach = random.Next(3) switch { 0 => 112, 1 => Math.Min(image.Length, 8192), _ => image.Length };
            int at = random.Next(reach - 8) & -4;
            switch (random.Next(4))
            {
                case 0:
                    image[at + random.Next(8)] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    BinaryPrimitives.WriteUInt32BigEndian(image.AsSpan(at), (uint)s_numbers[random.Next(s_numbers.Length)]);
                    break;
                case 2:
                    BinaryPrimitives.WriteUInt64BigEndian(image.AsSpan(at), s_numbers[random.Next(s_numbers.Length)]);
                    break;
                default:
                    // An entry of a table, or a table, elsewhere.
                    image.AsSpan(random.Next(image.Length - 8) & -8, 8).CopyTo(image.AsSpan(at & -8));
                    break;
            }
        }
    }

    private static void Use(byte[] image, bool writable, Random random)
    {
        byte[] buffer = new byte[64 << 10];
        string? snapshot = !writable && random.Next(2) == 0 ? "s" : null;
        using Qcow2Node node = Qcow2Image.Open(
            new RecordedFile(image), writable, new ImageOptions { Snapshot = snapshot },
            (name, _) => throw new BlockException($"'{name}' is none of the test's"));
        for (int i = 0; i < 30; i++)
        {
            long offset = random.Next(3) == 0 ? random.NextInt64(node.Size + 1) : Math.Min(random.Next(256 << 10), node.Size);
            int length = (int)Math.Min(random.Next(buffer.Length), node.Size - offset);
            switch (random.Next(7))
            {
                case < 2:
                    node.Read(offset, buffer.AsSpan(0, length));
                    break;
                case < 4:
                    node.Write(offset, buffer.AsSpan(0, length));
                    break;
                case 4:
                    node.Discard(offset, length);
                    break;
                case 5:
                    node.WriteZeroes(offset, length, true);
                    break;
                default:
                    node.Flush();
                    break;
            }

            if (length > 0 && node.Status(offset, length, out BlockStatus status) == Errno.None)
            {
                Assert.InRange(status.Length, 1, length);
            }
        }
    }
}
