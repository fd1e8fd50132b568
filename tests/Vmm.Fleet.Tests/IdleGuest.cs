namespace Vmm.Fleet.Tests;

/// <summary>A guest without an operating system that waits for interrupts.</summary>
internal static class IdleGuest
{
    private static readonly byte[] s_code =
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
        File.WriteAllBytes(image, s_code);
        return image;
    }
}
