using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace Vmm.Emulation.Boot;

/// <summary>
/// Unpacks the forms in which distributions ship an arm64 kernel: a plain <c>Image</c>, an <c>Image</c> compressed with gzip, and an EFI
/// zboot image, which is a PE file that unpacks itself (Linux, drivers/firmware/efi/libstub/zboot-header.S).
/// </summary>
public static class KernelFile
{
    /// <summary>The largest image that is unpacked, in bytes; QEMU's limit (LOAD_IMAGE_MAX_GUNZIP_BYTES).</summary>
    public const int LargestUnpacked = 256 << 20;

    private const int ZbootHeaderSize = 64;
    private const int ZbootCompressionSize = 32;

    /// <summary>The image in a file; a file in another form is returned unchanged.</summary>
    /// <param name="forFirmware">Whether firmware starts the kernel. It starts EFI applications, so a zboot image is not unpacked.</param>
    /// <exception cref="InvalidDataException">The compression is unknown, or the file is damaged.</exception>
    public static BootFile Unpack(BootFile file, bool forFirmware)
    {
        ReadOnlySpan<byte> head = file.ReadHead().Span;
        if (IsZboot(head))
        {
            return forFirmware ? file : UnpackZboot(file.ReadAll());
        }

        return IsGzip(head) ? Gunzip(file.ReadAll()) : file;
    }

    private static bool IsGzip(ReadOnlySpan<byte> file) => file is [0x1F, 0x8B, ..];

    /// <summary>Whether the file is an EFI zboot image.</summary>
    public static bool IsZboot(ReadOnlySpan<byte> file) =>
        file.Length >= ZbootHeaderSize && file is [(byte)'M', (byte)'Z', _, _, (byte)'z', (byte)'i', (byte)'m', (byte)'g', ..];

    // The header has the offset of the payload at 8, its size at 12, and the name of the compression at 24.
    private static ReadOnlyMemory<byte> UnpackZboot(ReadOnlyMemory<byte> file)
    {
        ReadOnlySpan<byte> header = file.Span;
        ulong offset = BinaryPrimitives.ReadUInt32LittleEndian(header[8..]);
        ulong size = BinaryPrimitives.ReadUInt32LittleEndian(header[12..]);
        ReadOnlySpan<byte> name = header.Slice(24, ZbootCompressionSize);
        int end = name.IndexOf((byte)0);
        string compression = Encoding.ASCII.GetString(end < 0 ? name : name[..end]);
        if (offset + size > (ulong)file.Length)
        {
            throw new InvalidDataException("the kernel is an EFI zboot image that ends before its payload does");
        }

        return compression == "gzip"
            ? Gunzip(file.Slice((int)offset, (int)size))
            : throw new InvalidDataException(
                $"the kernel is an EFI zboot image compressed with '{string.Concat(compression.Where(char.IsAsciiLetterOrDigit))}'; "
                + "only gzip is unpacked (give the plain Image, or boot it with -bios)");
    }

    private static byte[] Gunzip(ReadOnlyMemory<byte> packed)
    {
        try
        {
            using var input = new MemoryStream(packed.ToArray(), writable: false);
            using var unzipped = new GZipStream(input, CompressionMode.Decompress);
            using var image = new MemoryStream();
            byte[] piece = new byte[1 << 20];
            int read;
            while ((read = unzipped.Read(piece)) > 0)
            {
                image.Write(piece, 0, read);
                if (image.Length > LargestUnpacked)
                {
                    throw new InvalidDataException($"the kernel is larger than {LargestUnpacked >> 20} MiB when it is unpacked");
                }
            }

            return image.ToArray();
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException)
        {
            throw new InvalidDataException(e.Message.StartsWith("the kernel", StringComparison.Ordinal)
                ? e.Message
                : $"the kernel is compressed with gzip and damaged: {e.Message}");
        }
    }
}
