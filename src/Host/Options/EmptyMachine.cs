using System.Buffers.Binary;

namespace Vmm.Host.Options;

/// <summary>
/// The machine of <c>-machine none</c>, for programs such as libvirt that ask a monitor about Vmm and boot nothing. It is a <c>virt</c>
/// whose CPU waits for interrupts, and none ever comes.
/// </summary>
internal static class EmptyMachine
{
    private const int ImageSize = 4096;

    /// <summary>
    /// An arm64 Image (Linux, Documentation/arch/arm64/booting.rst, "Call the kernel image"): its header, a WFI, and a branch back to the
    /// WFI.
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
