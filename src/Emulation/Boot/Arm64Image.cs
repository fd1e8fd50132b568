using System.Buffers.Binary;

namespace Vmm.Emulation.Boot;

/// <summary>The header of an arm64 <c>Image</c> (Linux, Documentation/arch/arm64/booting.rst).</summary>
/// <param name="TextOffset">The distance in bytes from a 2 MiB boundary to the address of the image.</param>
/// <param name="ImageSize">The memory in bytes that the image needs from there. It is larger than the file, because of .bss.</param>
public sealed record Arm64Image(ulong TextOffset, ulong ImageSize)
{
    private const int HeaderSize = 64;
    private const int MagicOffset = 56;

    /// <summary>Whether the file has such a header.</summary>
    public static bool IsImage(ReadOnlySpan<byte> file) => file.Length >= HeaderSize && file[MagicOffset..].StartsWith("ARM\x64"u8);

    /// <param name="file">The first bytes of a file for which <see cref="IsImage"/> holds.</param>
    /// <param name="length">The size of the file in bytes.</param>
    /// <exception cref="InvalidDataException">The kernel is a big-endian one.</exception>
    public static Arm64Image Parse(ReadOnlySpan<byte> file, long length)
    {
        if ((file[24] & 1) != 0)
        {
            throw new InvalidDataException("the kernel is a big-endian arm64 Image; only little-endian ones run");
        }

        ulong size = BinaryPrimitives.ReadUInt64LittleEndian(file[16..]);
        return new Arm64Image(
            size == 0 ? 0x8_0000 : BinaryPrimitives.ReadUInt64LittleEndian(file[8..]),
            Math.Max(size, (ulong)length));
    }
}
