using System.Runtime.InteropServices;

namespace Vmm.Emulation.Snapshots;

/// <summary>What .NET lacks for files that survive a loss of power.</summary>
internal static partial class HostFiles
{
    private const int ReadOnly = 0;
    private const int Directory = 0x10000;
    private const int CloseOnExec = 0x80000;

    /// <summary>
    /// Returns when the names in a folder are on the disk (fsync(2)): files that were made, renamed or removed there are so after a loss
    /// of power.
    /// </summary>
    /// <exception cref="IOException">They are not.</exception>
    public static void FlushFolder(string path)
    {
        int folder = Open(path, ReadOnly | Directory | CloseOnExec);
        if (folder < 0)
        {
            throw Failure(path);
        }

        int flushed = Fsync(folder);
        IOException? failure = flushed < 0 ? Failure(path) : null;
        _ = Close(folder);
        if (failure != null)
        {
            throw failure;
        }
    }

    private static IOException Failure(string path) =>
        new($"'{path}': {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(int file);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int file);
}
