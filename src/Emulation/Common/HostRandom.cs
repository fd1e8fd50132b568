using System.Runtime.InteropServices;

namespace Vmm.Emulation;

/// <summary>
/// Random bytes from the host's kernel (getrandom(2)). .NET's own generator loads the libraries of OpenSSL for them, which cost 6 MiB and
/// some milliseconds of the start.
/// </summary>
internal static unsafe partial class HostRandom
{
    // The kernel gives up to so many bytes at once, whatever signals arrive.
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
