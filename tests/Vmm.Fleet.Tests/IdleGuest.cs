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
}
