using System.Runtime.InteropServices;

namespace Vmm.Emulation;

/// <summary>
/// Random bytes from the host's kernel (getrandom(2)). For these .NET's own generator would load the libraries of OpenSSL, which cost 6 MiB
/// and some milliseconds of the start.
/// </summary>
internal static unsafe partial class HostRandom
{
    // The number of bytes that the kernel gives at once, regardless of signals.
    private const int MostAtOnce = 256;

    /// <exception cref="PlatformNotSupportedException">The host has no random numbers.</exception>
    public static void Fill(Span<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            nint filled;
            fixed (byte* start = bytes)
            {
                filled = GetRandom(start, (nuint)Math.Min(bytes.Length, MostAtOnce), 0);
            }

            bytes = filled > 0
                ? bytes[(int)filled..]
                : throw new PlatformNotSupportedException("the host gives no random numbers (getrandom)");
        }
    }

    /// <inheritdoc cref="Fill"/>
    public static byte[] Bytes(int count)
    {
        byte[] bytes = new byte[count];
        Fill(bytes);
        return bytes;
    }

    [LibraryImport("libc", EntryPoint = "getrandom")]
    private static partial nint GetRandom(byte* buffer, nuint length, uint flags);
}
