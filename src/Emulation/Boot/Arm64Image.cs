using System.Buffers.Binary;

namespace Vmm.Emulation.Boot;

/// <summary>The header of an arm64 <c>Image</c> (Linux, Documentation/arch/arm64/booting.rst).</summary>
/// <param name="TextOffset">Bytes from a 2 MiB boundary to where the image is loaded.</param>
/// <param name="ImageSize">Bytes of memory it takes, from there: more than the file, for .bss.</param>
public sealed record Arm64Image(ulong TextOffset, ulong ImageSize)
{
    private const uint Magic = 0x644D_5241; // "ARM\x64"
    private const int HeaderSize = 64;

    /// <exception cref="InvalidDataException">The file is something else; the message says what.</exception>
    public static Arm64Image Parse(ReadOnlySpan<byte> file)
    {
        if (file.Length < HeaderSize || BinaryPrimitives.ReadUInt32LittleEndian(file[56..]) != Magic)
        {
            throw new InvalidDataException($"the kernel is {Describe(file)}, not an arm64 Image");
        }

        if ((file[24] & 1) != 0)
        {
            throw new InvalidDataException("the kernel is a big-endian arm64 Image; only little-endian ones run");
        }

        ulong size = BinaryPrimitives.ReadUInt64LittleEndian(file[16..]);
        return new Arm64Image(
            size == 0 ? 0x8_0000 : BinaryPrimitives.ReadUInt64LittleEndian(file[8..]),
            Math.Max(size, (ulong)file.Length));
    }

    private static string Describe(ReadOnlySpan<byte> file)
    {
        if (file.Length < HeaderSize)
        {
            return $"only {file.Length} bytes long";
        }

        if (file is [0x1F, 0x8B, ..])
        {
            return "compressed with gzip (unpack it with gunzip)";
        }

        if (file is [0x7F, (byte)'E', (byte)'L', (byte)'F', ..])
        {
            return "an ELF file (give the Image that objcopy makes of it)";
        }

        if (file.Length > 0x206 && file.Slice(0x202, 4).SequenceEqual("HdrS"u8))
        {
            return "an x86 bzImage";
        }

        return file is [(byte)'M', (byte)'Z', 0, 0, (byte)'z', (byte)'i', (byte)'m', (byte)'g', ..]
            ? "an EFI zboot image (a compressed kernel for EFI; give the plain Image)"
            : "of no kind known here";
    }
}
