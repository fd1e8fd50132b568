using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Vmm.Emulation.Boot;

namespace Vmm.Emulation.Tests.Boot;

public sealed class KernelFileTests
{
    private static readonly byte[] s_image = [.. Enumerable.Range(0, 100_000).Select(i => (byte)(i * 7))];

    private static byte[] Gzip(byte[] bytes)
    {
        using var packed = new MemoryStream();
        using (var zip = new GZipStream(packed, CompressionLevel.Fastest))
        {
            zip.Write(bytes);
        }

        return packed.ToArray();
    }

    // A header, some bytes of the unpacker, the payload, the rest of the PE file.
    private static byte[] Zboot(byte[] payload, string compression, int missing = 0)
    {
        byte[] file = new byte[256 + payload.Length + 100];
        "MZ\0\0zimg"u8.CopyTo(file);
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(8), 256);
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(12), payload.Length);
        Encoding.ASCII.GetBytes(compression).CopyTo(file, 24);
        payload.CopyTo(file, 256);
        return file[..^missing];
    }

    [Fact]
    public void Plain_image_is_itself() => Assert.Equal(s_image, KernelFile.Unpack(s_image, forFirmware: false).ReadAll().ToArray());

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Gzip_is_unpacked(bool forFirmware) =>
        Assert.Equal(s_image, KernelFile.Unpack(Gzip(s_image), forFirmware).ReadAll().ToArray());

    [Fact]
    public void Zboot_is_unpacked_unless_firmware_starts_it()
    {
        byte[] file = Zboot(Gzip(s_image), "gzip");
        Assert.Equal(s_image, KernelFile.Unpack(file, forFirmware: false).ReadAll().ToArray());
        Assert.Equal(file, KernelFile.Unpack(file, forFirmware: true).ReadAll().ToArray());
    }

    public static TheoryData<string, byte[]> Damaged() => new()
    {
        { "compressed with 'zstd22'; only gzip", Zboot(s_image, "zstd22") },
        { "ends before its payload does", Zboot(Gzip(s_image), "gzip", missing: 200) },
        { "damaged", Zboot(s_image, "gzip") },
        { "damaged", [0x1F, 0x8B, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] },
        { "larger than 256 MiB", Gzip(new byte[KernelFile.LargestUnpacked + 1]) },
    };

    [Theory]
    [MemberData(nameof(Damaged))]
    public void Damaged_or_unknown_says_what(string message, byte[] file) =>
        Assert.Contains(message, Assert.Throws<InvalidDataException>(() => KernelFile.Unpack(file, forFirmware: false)).Message,
            StringComparison.Ordinal);
}
