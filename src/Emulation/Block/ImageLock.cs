using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace Vmm.Emulation.Block;

/// <summary>
/// Keeps two writers, or a writer and a reader, from the same image, whether they are ours or QEMU's: shared locks on single bytes of the
/// file say what its opener does and what it allows others, and each opener looks at the bytes that speak against it (QEMU,
/// block/file-posix.c, raw_handle_perm_lock). The locks are those of the open file and go when it is closed, also by kill -9.
/// </summary>
internal static class ImageLock
{
    // Byte 100 + n: the permission n is used. Byte 200 + n: nobody else may use it.
    private const long Used = 100;
    private const long Refused = 200;

    // Numbers of permissions (QEMU, include/block/block-common.h, BLK_PERM_*).
    private const int ConsistentRead = 0;
    private const int Write = 1;
    private const int Resize = 3;

    private static readonly int[] s_reader = [ConsistentRead];
    private static readonly int[] s_writer = [ConsistentRead, Write, Resize];
    private static readonly int[] s_refused = [Write, Resize];

    /// <summary>Takes the locks of a reader or a writer.</summary>
    /// <exception cref="BlockException">Another has the image open in a way that excludes it.</exception>
    public static void Take(SafeFileHandle file, string path, bool writable)
    {
        int[] used = writable ? s_writer : s_reader;
        foreach (long at in used.Select(n => Used + n).Concat(s_refused.Select(n => Refused + n)))
        {
            switch (HostFile.LockShared(file, at, 1))
            {
                case Errno.None:
                    break;
                case Errno.EINVAL or Errno.ENOSYS or Errno.EOPNOTSUPP:
                    // A file system without such locks: nobody else has one either.
                    return;
                case var error:
                    throw new BlockException($"'{path}' cannot be locked: {HostFile.Message(error)}");
            }
        }

        foreach (long at in used.Select(n => Refused + n).Concat(s_refused.Select(n => Used + n)))
        {
            Errno error = HostFile.IsLocked(file, at, out bool locked);
            if (error != Errno.None || locked)
            {
                string other = at >= Refused ? "allows no other " + (at == Refused + Write ? "writer" : at == Refused ? "reader" : "resize")
                    : "writes it";
                throw new BlockException(
                    error != Errno.None ? $"'{path}' cannot be locked: {HostFile.Message(error)}"
                    : $"'{path}' is in use: {Holder(file, at)} {other}; end it first, or open the image with locking=off");
            }
        }
    }

    // Who has a lock on a byte, as far as this user may know: a lock of an open file has no process, but each process tells the locks
    // of its open files (proc(5), /proc/PID/fdinfo, "lock").
    private static string Holder(SafeFileHandle file, long at)
    {
        const string Unknown = "another program";
        if (HostFile.Identity(file, out var id, out _) != Errno.None)
        {
            return Unknown;
        }

        string name = string.Create(CultureInfo.InvariantCulture, $" {id.Major:x2}:{id.Minor:x2}:{id.Inode} ");
        string self = ((long)file.DangerousGetHandle()).ToString(CultureInfo.InvariantCulture);
        foreach (string folder in Directory.EnumerateDirectories("/proc").Where(f => char.IsAsciiDigit(Path.GetFileName(f)[0])))
        {
            int process = int.Parse(Path.GetFileName(folder), CultureInfo.InvariantCulture);
            bool isUs = process == Environment.ProcessId;
            try
            {
                if (Directory.EnumerateFiles(folder + "/fdinfo").Any(f => !(isUs && Path.GetFileName(f) == self) && Locks(f, name, at)))
                {
                    return isUs ? "this program" : $"process {process} ({File.ReadAllText(folder + "/comm").Trim()})";
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It is another user's, or has ended.
            }
        }

        return Unknown;
    }

    private static bool Locks(string fdInfo, string name, long at) => File.ReadLines(fdInfo)
        .Where(line => line.StartsWith("lock:", StringComparison.Ordinal) && line.Contains(name, StringComparison.Ordinal))
        .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Any(words => long.TryParse(words[^2], out long first) && first <= at
            && (words[^1] == "EOF" || (long.TryParse(words[^1], out long last) && at <= last)));
}
