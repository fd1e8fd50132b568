using System.Buffers.Binary;

namespace Vmm.Host.Options;

/// <summary>
/// <c>-machine none</c>: a machine for programs that ask a monitor what there is and boot nothing, as libvirt does. It is <c>virt</c>, and
/// in place of a guest its CPU waits for interrupts, of which none comes.
/// </summary>
internal static class EmptyMachine
{
    private const int ImageSize = 4096;

    /// <summary>
    /// An arm64 Image (Linux, Documentation/arch/arm64/booting.rst, "Call the kernel image"): WFI and a branch back to it, and the header.
    /// </summary>
    public static ReadOnlyMemory<byte> Program { get; } = Make();

    private static byte[] Make()
    {
        byte[] image = new byte[ImageSize];
        BinaryPrimitives.WriteUInt32LittleEndian(image, 0xD503_207F);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(4), 0x17FF_FFFF);
        BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(16), ImageSize);
        BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(24), 0b1010);
        "ARM\x64"u8.CopyTo(image.AsSpan(56));
        return image;
    }
}
