namespace Vmm.Fleet.Tests;

/// <summary>A guest without an operating system that waits for interrupts.</summary>
internal static class IdleGuest
{
    /// <summary>Its image.</summary>
    public static byte[] Image { get; } =
    [
        .. new uint[]
        {
            0xD503207F, // wfi
            0x17FFFFFF, // b    .-4
        }.SelectMany(BitConverter.GetBytes),
    ];

    /// <summary>Writes its image into a folder.</summary>
    /// <returns>The path of the image.</returns>
    public static string WriteImage(string folder)
    {
        string image = Path.Combine(folder, "image");
        File.WriteAllBytes(image, Image);
        return image;
    }

    /// <summary>
    /// Writes it with the header of an arm64 Image (Linux, Documentation/arch/arm64/booting.rst): a machine with such a kernel has ACPI,
    /// so that CPUs can be plugged, which this guest never notices.
    /// </summary>
    /// <returns>The path of the kernel.</returns>
    public static string WriteKernel(string folder)
    {
        const int HeaderSize = 64, SizeOffset = 16, MagicOffset = 56;
        byte[] kernel = new byte[HeaderSize];
        Image.CopyTo(kernel, 0);
        kernel[SizeOffset] = HeaderSize;
        "ARM\x64"u8.CopyTo(kernel.AsSpan(MagicOffset));
        string path = Path.Combine(folder, "kernel");
        File.WriteAllBytes(path, kernel);
        return path;
    }
}
