using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Vmm.Emulation.Snapshots;

/// <summary>What .NET lacks for files that survive a loss of power.</summary>
public static partial class HostFiles
{
    private const int ReadOnly = 0;
    private const int Directory = 0x10000;
    private const int CloseOnExec = 0x80000;
    private const int KeepSize = 1;
    private const int PunchHole = 2;

    /// <summary>Makes a folder and those above it where they are missing; each is there after a loss of power.</summary>
    /// <exception cref="IOException">One cannot be made, or its name is not on the disk.</exception>
    /// <exception cref="UnauthorizedAccessException">One may not be made.</exception>
    public static void MakeFolder(string path)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        if (!System.IO.Directory.Exists(full) && Path.GetDirectoryName(full) is { } parent)
        {
            MakeFolder(parent);
            System.IO.Directory.CreateDirectory(full);
            FlushFolder(parent);
        }
    }

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

    /// <summary>
    /// Makes a part of a file zeros that take no room (fallocate(2), FALLOC_FL_PUNCH_HOLE); false, and nothing is changed, where the file
    /// system cannot.
    /// </summary>
    internal static bool TryPunchHole(SafeFileHandle file, long offset, long length) =>
        Fallocate(file, KeepSize | PunchHole, offset, length) == 0;

    /// <summary>
    /// Gives a file another name (link(2)), or copies it to there where the file systems differ or know no links; its bytes are on the
    /// disk.
    /// </summary>
    /// <exception cref="IOException">There is no such file, or one of the new name, or no room.</exception>
    internal static void LinkOrCopy(string from, string to)
    {
        if (Link(from, to) != 0)
        {
            File.Copy(from, to);
            using SafeFileHandle copy = File.OpenHandle(to, FileMode.Open, FileAccess.ReadWrite);
            RandomAccess.FlushToDisk(copy);
        }
    }

    private static IOException Failure(string path) =>
        new($"'{path}': {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "link", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Link(string from, string to);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(int file);

    [LibraryImport("libc", EntryPoint = "fallocate")]
    private static partial int Fallocate(SafeFileHandle file, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int file);
}
