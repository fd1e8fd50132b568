using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Boot;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// Opens files that the user names. Only regular files are opened, because opening a pipe would wait for a writer and a device may never
/// end.
/// </summary>
public static class UserFile
{
    // The struct statx and its constants, which are the same on all architectures (linux/stat.h).
    private const int StatusSize = 256;
    private const int StatusMode = 28;
    private const int CurrentFolder = -100;
    private const uint TypeWanted = 1;
    private const int TypeMask = 0xF000;

    private static readonly Dictionary<int, string> s_kinds = new()
    {
        [0x1000] = "a pipe", [0x2000] = "a character device", [0x4000] = "a directory", [0x6000] = "a block device", [0xC000] = "a socket",
    };

    /// <param name="what">What the file is, for the message.</param>
    /// <exception cref="OptionException">One line that says why it cannot be opened.</exception>
    public static SafeFileHandle Open(string what, string path, FileAccess access = FileAccess.Read, FileShare share = FileShare.Read)
    {
        try
        {
            return RefusalOf(path) is { } reason
                ? throw new OptionException(Complaint(what, path, reason))
                : File.OpenHandle(path, FileMode.Open, access, share);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new OptionException(Complaint(what, path, SystemError.Describe(e, path)));
        }
    }

    /// <summary>Reads the whole file. An empty file is an error.</summary>
    /// <param name="what">What the file is, for the message.</param>
    /// <param name="largest">The largest size in bytes, less than 2 GiB.</param>
    /// <exception cref="OptionException">One line that says why it cannot be read.</exception>
    public static ReadOnlyMemory<byte> Read(string what, string path, long largest)
    {
        using SafeFileHandle file = Open(what, path);
        try
        {
            // A file of /proc reports the length 0, and is read to its end. One byte beyond the largest size shows that a file is too long.
            byte[] contents = new byte[Math.Min(Math.Max(RandomAccess.GetLength(file), 1 << 16), largest) + 1];
            int length = 0;
            int read;
            while ((read = RandomAccess.Read(file, contents.AsSpan(length), length)) > 0)
            {
                length += read;
                if (length > largest)
                {
                    throw new OptionException($"the {what} '{UserText.Legible(path)}' is larger than {largest >> 20} MiB");
                }

                if (length == contents.Length)
                {
                    Array.Resize(ref contents, (int)Math.Min(2L * length, largest + 1));
                }
            }

            return length == 0 ? throw new OptionException($"the {what} '{UserText.Legible(path)}' is empty")
                : contents.AsMemory(0, length);
        }
        catch (IOException e)
        {
            throw new OptionException(Complaint(what, path, SystemError.Describe(e, path)));
        }
    }

    /// <summary>Opens a file that is loaded at each reset. An empty file is an error.</summary>
    /// <param name="what">What the file is, for messages.</param>
    /// <param name="largest">The largest size in bytes, less than 2 GiB.</param>
    /// <exception cref="OptionException">One line that says why it cannot be read.</exception>
    public static BootFile OpenBootFile(string what, string path, long largest)
    {
        SafeFileHandle file = Open(what, path);
        try
        {
            var kept = BootFile.Of(file, $"{what} '{UserText.Legible(path)}'");
            if (!kept.IsEmpty && kept.Length <= largest)
            {
                // The head is read at once, so that a file that cannot be read is reported before the machine is made.
                _ = kept.ReadHead();
                return kept;
            }
        }
        catch (InvalidDataException e)
        {
            file.Dispose();
            throw new OptionException(e.Message);
        }

        // A file of /proc does not report its length, so it is read as a whole; any other failure is reported by that read.
        file.Dispose();
        return Read(what, path, largest);
    }

    /// <summary>Why the file must not be opened; null for a regular file.</summary>
    internal static string? RefusalOf(string path)
    {
        byte[] status = new byte[StatusSize];
        if (Statx(CurrentFolder, [.. Encoding.UTF8.GetBytes(path), 0], 0, TypeWanted, status) != 0)
        {
            return Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError());
        }

        int type = BinaryPrimitives.ReadUInt16LittleEndian(status.AsSpan(StatusMode)) & TypeMask;
        return s_kinds.TryGetValue(type, out string? kind) ? $"it is {kind}, not a regular file" : null;
    }

    private static string Complaint(string what, string path, string reason) =>
        $"cannot read the {what} '{UserText.Legible(path)}': {reason}";

    [DllImport("libc", EntryPoint = "statx", SetLastError = true)]
    private static extern int Statx(int folder, byte[] path, int flags, uint mask, [Out] byte[] status);
}
