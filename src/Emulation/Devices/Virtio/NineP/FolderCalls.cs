using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Block;
using static Vmm.Emulation.Devices.Virtio.NineP.NinePSpec;

namespace Vmm.Emulation.Devices.Virtio.NineP;

/// <summary>
/// The host's calls about files of a shared folder. A file is named by a handle of its folder and one name, which is checked
/// (<see cref="IsName"/>) and never followed when it is a symbolic link, or by a handle of its own (O_PATH), which cannot come to mean
/// another file.
/// </summary>
internal static unsafe partial class FolderCalls
{
    public const int ReadOnly = 0;
    public const int FolderFlag = 0x1_0000;
    public const int CreateNew = 0xC0;
    public const int RemoveFolder = 0x200;

    private const int CurrentFolder = -100;
    private const int PathOnly = 0x20_0000;
    private const int CloseOnExec = 0x8_0000;
    private const int NonBlocking = 0x800;
    private const int EmptyPath = 0x1000;
    private const int FollowLink = 0x400;
    private const uint BasicFacts = 0x7FF;
    private const int NoSuchCall = 38;
    private const int OpenFiles = 7;

    // openat2(2).
    private const int OpenAt2Call = 437;
    private const ulong ResolveNoMagicLinks = 0x02;
    private const ulong ResolveNoSymbolicLinks = 0x04;
    private const ulong ResolveBeneath = 0x08;

    // Whether the host's kernel lacks openat2 (before Linux 5.6). One name that is not followed leads nowhere else without it, too.
    private static volatile bool s_hasNoOpenAt2;

    private struct OpenHow
    {
        public ulong Flags;
        public ulong Mode;
        public ulong Resolve;
    }

    /// <summary>struct statfs of statfs(2), on hosts of 64 bits.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 120)]
    public struct FileSystemFacts
    {
        [FieldOffset(0)]
        public ulong Type;

        [FieldOffset(8)]
        public ulong BlockSize;

        [FieldOffset(16)]
        public ulong Blocks;

        [FieldOffset(24)]
        public ulong FreeBlocks;

        [FieldOffset(32)]
        public ulong AvailableBlocks;

        [FieldOffset(40)]
        public ulong Files;

        [FieldOffset(48)]
        public ulong FreeFiles;

        [FieldOffset(56)]
        public ulong Id;

        [FieldOffset(64)]
        public ulong LongestName;
    }

    // O_DIRECTORY and O_NOFOLLOW are among the few flags that differ between architectures (asm/fcntl.h).
    private static bool IsArm => RuntimeInformation.ProcessArchitecture == Architecture.Arm64;

    private static int OnlyFolder => IsArm ? 0x4000 : 0x1_0000;

    private static int NoFollow => IsArm ? 0x8000 : 0x2_0000;

    /// <summary>The most files that this process may have open.</summary>
    public static long MostOpenFiles
    {
        get
        {
            ulong* limits = stackalloc ulong[2];
            return GetLimit(OpenFiles, limits) == 0 ? (long)Math.Min(limits[0], int.MaxValue) : 1024;
        }
    }

    /// <summary>Whether bytes are the name of a file in a folder, and nothing else.</summary>
    public static bool IsName(ReadOnlySpan<byte> name) =>
        name.Length is > 0 and <= LongestName && name.IndexOfAny((byte)'/', (byte)0) < 0
        && !name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8);

    /// <summary>Opens the folder itself, by the path that a person gave.</summary>
    public static Errno OpenRoot(string path, out SafeFileHandle root)
    {
        byte[] text = [.. Encoding.UTF8.GetBytes(path), 0];
        fixed (byte* at = text)
        {
            int number = OpenAt(CurrentFolder, at, PathOnly | OnlyFolder | CloseOnExec, 0);
            return Result(number, out root);
        }
    }

    /// <summary>A handle of what a name in a folder is, whatever it is; a symbolic link is not followed.</summary>
    public static Errno OpenPath(SafeFileHandle folder, ReadOnlySpan<byte> name, out SafeFileHandle file) =>
        OpenName(folder, name, PathOnly | NoFollow, 0, out file);

    /// <summary>Makes a file that was not there, and opens it.</summary>
    public static Errno Create(SafeFileHandle folder, ReadOnlySpan<byte> name, int access, uint mode, out SafeFileHandle file) =>
        OpenName(folder, name, access | CreateNew | NoFollow, mode & Permissions, out file);

    /// <summary>Opens a regular file or a folder that a handle names; the caller knows which it is.</summary>
    public static Errno Reopen(SafeFileHandle file, int flags, bool isFolder, out SafeFileHandle opened)
    {
        fixed (byte* path = PathOf(file))
        {
            int number = OpenAt(CurrentFolder, path, flags | CloseOnExec | NonBlocking | (isFolder ? OnlyFolder : 0), 0);
            Errno error = Result(number, out opened);
            GC.KeepAlive(file);
            return error;
        }
    }

    public static Errno Facts(SafeFileHandle file, out FileFacts facts)
    {
        byte none = 0;
        fixed (FileFacts* at = &facts)
        {
            return Result(Statx(file, &none, EmptyPath, BasicFacts, at));
        }
    }

    public static Errno FileSystem(SafeFileHandle file, out FileSystemFacts facts)
    {
        fixed (FileSystemFacts* at = &facts)
        {
            return Result(FStatFs(file, at));
        }
    }

    public static Errno MakeFolder(SafeFileHandle folder, ReadOnlySpan<byte> name, uint mode)
    {
        fixed (byte* at = Terminated(name))
        {
            return Result(MkdirAt(folder, at, mode & Permissions));
        }
    }

    /// <param name="mode">With the type.</param>
    public static Errno MakeNode(SafeFileHandle folder, ReadOnlySpan<byte> name, uint mode)
    {
        fixed (byte* at = Terminated(name))
        {
            return Result(MknodAt(folder, at, mode, 0));
        }
    }

    public static Errno MakeSymbolicLink(ReadOnlySpan<byte> target, SafeFileHandle folder, ReadOnlySpan<byte> name)
    {
        fixed (byte* to = Terminated(target), at = Terminated(name))
        {
            return Result(SymlinkAt(to, folder, at));
        }
    }

    public static Errno ReadLink(SafeFileHandle link, Span<byte> target, out int length)
    {
        byte none = 0;
        fixed (byte* at = target)
        {
            length = (int)ReadLinkAt(link, &none, at, (nuint)target.Length);
            return Result(length);
        }
    }

    public static Errno Link(SafeFileHandle file, SafeFileHandle folder, ReadOnlySpan<byte> name)
    {
        fixed (byte* from = PathOf(file), at = Terminated(name))
        {
            return Result(LinkAt(CurrentFolder, from, folder, at, FollowLink));
        }
    }

    public static Errno Rename(SafeFileHandle from, ReadOnlySpan<byte> oldName, SafeFileHandle to, ReadOnlySpan<byte> newName)
    {
        fixed (byte* old = Terminated(oldName), made = Terminated(newName))
        {
            return Result(RenameAt(from, old, to, made));
        }
    }

    public static Errno Unlink(SafeFileHandle folder, ReadOnlySpan<byte> name, bool isFolder)
    {
        fixed (byte* at = Terminated(name))
        {
            return Result(UnlinkAt(folder, at, isFolder ? RemoveFolder : 0));
        }
    }

    /// <param name="user">All ones for no change; so for <paramref name="group"/>.</param>
    public static Errno ChangeOwner(SafeFileHandle file, uint user, uint group)
    {
        byte none = 0;
        return Result(ChownAt(file, &none, user, group, EmptyPath));
    }

    public static Errno ChangeMode(SafeFileHandle file, uint mode)
    {
        fixed (byte* path = PathOf(file))
        {
            Errno error = Result(ChmodAt(CurrentFolder, path, mode & Permissions, 0));
            GC.KeepAlive(file);
            return error;
        }
    }

    public static Errno ChangeTimes(SafeFileHandle file, FileFacts.FileTime accessed, FileFacts.FileTime modified)
    {
        FileFacts.FileTime* times = stackalloc FileFacts.FileTime[2] { accessed, modified };
        byte none = 0;
        return Result(UtimensAt(file, &none, times, EmptyPath));
    }

    public static Errno ChangeSize(SafeFileHandle file, long size)
    {
        fixed (byte* path = PathOf(file))
        {
            Errno error = Result(Truncate(path, size));
            GC.KeepAlive(file);
            return error;
        }
    }

    public static Errno Sync(SafeFileHandle file, bool dataOnly) => Result(dataOnly ? Fdatasync(file) : Fsync(file));

    public static Errno Read(SafeFileHandle file, long offset, Span<byte> bytes, out int read)
    {
        fixed (byte* at = bytes)
        {
            Errno error = HostFile.Read(file, offset, at, bytes.Length, out long count);
            read = (int)count;
            return error;
        }
    }

    public static Errno Write(SafeFileHandle file, long offset, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* at = bytes)
        {
            return HostFile.Write(file, offset, at, bytes.Length);
        }
    }

    /// <summary>Reads entries of a folder (getdents64(2)) from a place on, which an entry before it has named.</summary>
    public static Errno ReadFolder(SafeFileHandle folder, long place, Span<byte> entries, out int length)
    {
        length = 0;
        if (Lseek(folder, place, 0) < 0)
        {
            return LastError();
        }

        fixed (byte* at = entries)
        {
            length = (int)GetDents(folder, at, (nuint)entries.Length);
            return Result(length);
        }
    }

    /// <param name="name">Empty for the list of names.</param>
    public static Errno GetXattr(SafeFileHandle file, ReadOnlySpan<byte> name, Span<byte> value, out int length)
    {
        fixed (byte* path = PathOf(file), at = Terminated(name), to = value)
        {
            nuint room = (nuint)value.Length;
            length = (int)(name.IsEmpty ? ListXattr(path, to, room) : GetXattr(path, at, to, room));
            Errno error = Result(length);
            GC.KeepAlive(file);
            return error;
        }
    }

    /// <param name="value">Empty to remove the attribute, as the protocol has it.</param>
    public static Errno SetXattr(SafeFileHandle file, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, int flags)
    {
        fixed (byte* path = PathOf(file), at = Terminated(name), from = value)
        {
            Errno error = Result(value.IsEmpty ? RemoveXattr(path, at) : SetXattr(path, at, from, (nuint)value.Length, flags));
            GC.KeepAlive(file);
            return error;
        }
    }

    private static Errno OpenName(SafeFileHandle folder, ReadOnlySpan<byte> name, int flags, uint mode, out SafeFileHandle file)
    {
        fixed (byte* at = Terminated(name))
        {
            if (!s_hasNoOpenAt2)
            {
                var how = new OpenHow
                {
                    Flags = (ulong)(flags | CloseOnExec),
                    Mode = mode,
                    Resolve = ResolveBeneath | ResolveNoMagicLinks | ResolveNoSymbolicLinks,
                };
                Errno error = Result((int)OpenAt2(OpenAt2Call, folder, at, &how, (nuint)sizeof(OpenHow)), out file);
                if (error != (Errno)NoSuchCall)
                {
                    return error;
                }

                s_hasNoOpenAt2 = true;
            }

            return Result(OpenAt(folder, at, flags | CloseOnExec, mode), out file);
        }
    }

    // The file that a handle names, for calls that take no such handle. The link leads to the open file itself: no name is looked up.
    private static byte[] PathOf(SafeFileHandle file) => [.. Encoding.ASCII.GetBytes($"/proc/self/fd/{file.DangerousGetHandle()}"), 0];

    private static byte[] Terminated(ReadOnlySpan<byte> text) => [.. text, 0];

    private static Errno Result(int number, out SafeFileHandle file)
    {
        Errno error = Result(number);
        file = error == Errno.None ? new SafeFileHandle(number, ownsHandle: true) : new SafeFileHandle();
        return error;
    }

    private static Errno Result(int result) => result >= 0 ? Errno.None : LastError();

    private static Errno LastError() => (Errno)Marshal.GetLastPInvokeError();

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static partial int GetLimit(int resource, ulong* limits);

    [LibraryImport("libc", EntryPoint = "openat", SetLastError = true)]
    private static partial int OpenAt(int folder, byte* path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "openat", SetLastError = true)]
    private static partial int OpenAt(SafeFileHandle folder, byte* path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint OpenAt2(nint call, SafeFileHandle folder, byte* path, OpenHow* how, nuint size);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true)]
    private static partial int Statx(SafeFileHandle file, byte* path, int flags, uint mask, FileFacts* facts);

    [LibraryImport("libc", EntryPoint = "fstatfs", SetLastError = true)]
    private static partial int FStatFs(SafeFileHandle file, FileSystemFacts* facts);

    [LibraryImport("libc", EntryPoint = "mkdirat", SetLastError = true)]
    private static partial int MkdirAt(SafeFileHandle folder, byte* name, uint mode);

    [LibraryImport("libc", EntryPoint = "mknodat", SetLastError = true)]
    private static partial int MknodAt(SafeFileHandle folder, byte* name, uint mode, ulong device);

    [LibraryImport("libc", EntryPoint = "symlinkat", SetLastError = true)]
    private static partial int SymlinkAt(byte* target, SafeFileHandle folder, byte* name);

    [LibraryImport("libc", EntryPoint = "readlinkat", SetLastError = true)]
    private static partial nint ReadLinkAt(SafeFileHandle link, byte* path, byte* target, nuint length);

    [LibraryImport("libc", EntryPoint = "linkat", SetLastError = true)]
    private static partial int LinkAt(int from, byte* path, SafeFileHandle folder, byte* name, int flags);

    [LibraryImport("libc", EntryPoint = "renameat", SetLastError = true)]
    private static partial int RenameAt(SafeFileHandle from, byte* oldName, SafeFileHandle to, byte* newName);

    [LibraryImport("libc", EntryPoint = "unlinkat", SetLastError = true)]
    private static partial int UnlinkAt(SafeFileHandle folder, byte* name, int flags);

    [LibraryImport("libc", EntryPoint = "fchownat", SetLastError = true)]
    private static partial int ChownAt(SafeFileHandle file, byte* path, uint user, uint group, int flags);

    [LibraryImport("libc", EntryPoint = "fchmodat", SetLastError = true)]
    private static partial int ChmodAt(int folder, byte* path, uint mode, int flags);

    [LibraryImport("libc", EntryPoint = "utimensat", SetLastError = true)]
    private static partial int UtimensAt(SafeFileHandle file, byte* path, FileFacts.FileTime* times, int flags);

    [LibraryImport("libc", EntryPoint = "truncate", SetLastError = true)]
    private static partial int Truncate(byte* path, long size);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    private static partial int Fdatasync(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    private static partial long Lseek(SafeFileHandle file, long offset, int whence);

    [LibraryImport("libc", EntryPoint = "getdents64", SetLastError = true)]
    private static partial nint GetDents(SafeFileHandle folder, byte* entries, nuint length);

    [LibraryImport("libc", EntryPoint = "getxattr", SetLastError = true)]
    private static partial nint GetXattr(byte* path, byte* name, byte* value, nuint length);

    [LibraryImport("libc", EntryPoint = "listxattr", SetLastError = true)]
    private static partial nint ListXattr(byte* path, byte* list, nuint length);

    [LibraryImport("libc", EntryPoint = "setxattr", SetLastError = true)]
    private static partial int SetXattr(byte* path, byte* name, byte* value, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "removexattr", SetLastError = true)]
    private static partial int RemoveXattr(byte* path, byte* name);
}
