using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Vmm.Emulation.Block;

/// <summary>
/// The host's file calls with their errno, which .NET's own turn into exceptions. A call that a signal interrupts is repeated.
/// </summary>
internal static unsafe partial class HostFile
{
    public const int ReadOnly = 0;
    public const int ReadWrite = 2;
    public const int Create = 0x40;
    public const int Exclusive = 0x80;
    public const int CloseOnExec = 0x80000;

    /// <summary>The most buffers of a request (IOV_MAX).</summary>
    public const int MostBuffers = 1024;

    /// <summary>FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE.</summary>
    public const int PunchHole = 3;

    /// <summary>FALLOC_FL_ZERO_RANGE.</summary>
    public const int ZeroRange = 0x10;

    private const int SeekEnd = 2;
    private const int SeekData = 3;
    private const int SeekHole = 4;
    private const int NoSuchData = 6;
    private const int GetOfdLock = 36;
    private const int SetOfdLock = 37;
    private const short ReadLock = 0;
    private const short WriteLock = 1;
    private const short Unlocked = 2;
    private const int EmptyPath = 0x1000;
    private const uint StatxDirectIo = 0x2000;

    /// <summary>O_DIRECT (asm/fcntl.h), which is one of the few flags that differ between architectures.</summary>
    public static int Direct => RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x10000 : 0x4000;

    public static string Message(Errno error) => Marshal.GetPInvokeErrorMessage((int)error);

    /// <summary>Opens a file; files that are made are for the owner and its group's reading, as the process's mask allows.</summary>
    public static Errno Open(string path, int flags, out SafeFileHandle file)
    {
        file = new SafeFileHandle();
        while (true)
        {
            int number = OpenFile(path, flags | CloseOnExec, 0x1B4);
            if (number >= 0)
            {
                file = new SafeFileHandle(number, ownsHandle: true);
                return Errno.None;
            }

            if (LastError() is var error && error != Errno.EINTR)
            {
                return error;
            }
        }
    }

    /// <summary>Reads until the buffer is full or the file ends.</summary>
    public static Errno Read(SafeFileHandle file, long offset, byte* buffer, long length, out long read)
    {
        for (read = 0; read < length;)
        {
            nint n = Pread(file, buffer + read, (nuint)(length - read), offset + read);
            if (n == 0)
            {
                break;
            }

            if (n < 0 && LastError() is var error && error != Errno.EINTR)
            {
                return error;
            }

            read += Math.Max(n, 0);
        }

        return Errno.None;
    }

    public static Errno Write(SafeFileHandle file, long offset, byte* data, long length)
    {
        for (long written = 0; written < length;)
        {
            nint n = Pwrite(file, data + written, (nuint)(length - written), offset + written);
            if (n == 0)
            {
                return Errno.ENOSPC;
            }

            if (n < 0 && LastError() is var error && error != Errno.EINTR)
            {
                return error;
            }

            written += Math.Max(n, 0);
        }

        return Errno.None;
    }

    /// <summary>As <see cref="Read(SafeFileHandle, long, byte*, long, out long)"/>, into at most <see cref="MostBuffers"/>.</summary>
    public static Errno Read(SafeFileHandle file, long offset, ReadOnlySpan<HostBuffer> buffers, out long read)
    {
        fixed (HostBuffer* vector = buffers)
        {
            nint n;
            while ((n = Preadv(file, vector, buffers.Length, offset)) < 0)
            {
                if (LastError() is var error && error != Errno.EINTR)
                {
                    read = 0;
                    return error;
                }
            }

            read = n;
        }

        // The host reads less at a signal and at the file's end: the rest one by one.
        long before = 0;
        foreach (HostBuffer buffer in buffers)
        {
            long done = read - before;
            before += buffer.Length;
            if (done < buffer.Length)
            {
                fixed (byte* start = buffer.Span)
                {
                    Errno error = Read(file, offset + read, start + done, buffer.Length - done, out long more);
                    read += more;
                    if (error != Errno.None || more < buffer.Length - done)
                    {
                        return error;
                    }
                }
            }
        }

        return Errno.None;
    }

    /// <summary>As <see cref="Write(SafeFileHandle, long, byte*, long)"/>, from at most <see cref="MostBuffers"/>.</summary>
    public static Errno Write(SafeFileHandle file, long offset, ReadOnlySpan<HostBuffer> buffers)
    {
        long written;
        fixed (HostBuffer* vector = buffers)
        {
            nint n;
            while ((n = Pwritev(file, vector, buffers.Length, offset)) < 0)
            {
                if (LastError() is var error && error != Errno.EINTR)
                {
                    return error;
                }
            }

            written = n;
        }

        long before = 0;
        foreach (HostBuffer buffer in buffers)
        {
            long done = written - before;
            before += buffer.Length;
            if (done < buffer.Length)
            {
                fixed (byte* start = buffer.Span)
                {
                    Errno error = Write(file, offset + written, start + done, buffer.Length - done);
                    if (error != Errno.None)
                    {
                        return error;
                    }

                    written += buffer.Length - done;
                }
            }
        }

        return Errno.None;
    }

    public static Errno SyncData(SafeFileHandle file) => Result(Fdatasync(file));

    public static Errno Allocate(SafeFileHandle file, int mode, long offset, long length)
    {
        Errno error;
        do
        {
            error = Result(Fallocate(file, mode, offset, length));
        }
        while (error == Errno.EINTR);

        return error;
    }

    public static Errno Truncate(SafeFileHandle file, long length) => Result(Ftruncate(file, length));

    /// <summary>Bytes of a file or a block device.</summary>
    public static Errno Length(SafeFileHandle file, out long length)
    {
        length = Lseek(file, 0, SeekEnd);
        return length < 0 ? LastError() : Errno.None;
    }

    /// <summary>
    /// The first byte at or after an offset that is stored, and the first one after it that is in a hole; the end of the file for none
    /// (lseek(2), SEEK_DATA and SEEK_HOLE).
    /// </summary>
    public static Errno FindData(SafeFileHandle file, long offset, out long data, out long hole)
    {
        hole = long.MaxValue;
        data = Lseek(file, offset, SeekData);
        if (data < 0)
        {
            data = long.MaxValue;
            return LastError() is var error && (int)error == NoSuchData ? Errno.None : error;
        }

        hole = Lseek(file, data, SeekHole);
        return hole < 0 ? LastError() : Errno.None;
    }

    /// <summary>Takes a shared lock on bytes of a file; it is the open file's (fcntl(2), "Open file description locks").</summary>
    public static Errno LockShared(SafeFileHandle file, long start, long length)
    {
        var range = new FileLock { Type = ReadLock, Start = start, Length = length };
        return Result(Fcntl(file, SetOfdLock, &range));
    }

    /// <summary>Gives up the locks of an open file, also where a child process has the file until it begins its program.</summary>
    public static void Unlock(SafeFileHandle file)
    {
        var range = new FileLock { Type = Unlocked };
        _ = Fcntl(file, SetOfdLock, &range);
    }

    /// <summary>Whether another open file has a lock on a byte.</summary>
    public static Errno IsLocked(SafeFileHandle file, long start, out bool locked)
    {
        var range = new FileLock { Type = WriteLock, Start = start, Length = 1 };
        Errno error = Result(Fcntl(file, GetOfdLock, &range));
        locked = error == Errno.None && range.Type != Unlocked;
        return error;
    }

    /// <summary>
    /// The alignment that direct I/O asks of memory and of offsets (statx(2), STATX_DIOALIGN, of Linux 6.1); a page where the host does
    /// not tell.
    /// </summary>
    public static (int Memory, int Offset) DirectAlignment(SafeFileHandle file)
    {
        const int Unknown = 4096;
        Statx facts = default;
        return StatxOf(file, "", EmptyPath, StatxDirectIo, &facts) == 0 && (facts.Mask & StatxDirectIo) != 0 && facts.OffsetAlignment != 0
            ? ((int)Math.Max(facts.MemoryAlignment, 1), (int)facts.OffsetAlignment)
            : (Unknown, Unknown);
    }

    /// <summary>What names a file as long as it exists: its file system and its number there.</summary>
    public static Errno Identity(SafeFileHandle file, out (uint Major, uint Minor, ulong Inode) identity, out bool isRegular)
    {
        Statx facts = default;
        Errno error = Result(StatxOf(file, "", EmptyPath, 0x7FF, &facts));
        identity = (facts.DeviceMajor, facts.DeviceMinor, facts.Inode);
        isRegular = (facts.Mode & 0xF000) == 0x8000;
        return error;
    }

    /// <summary>Bytes that a file takes on its file system; 0 where the host does not say.</summary>
    public static long Allocated(SafeFileHandle file)
    {
        const int UnitOfBlocks = 512;
        Statx facts = default;
        return StatxOf(file, "", EmptyPath, 0x7FF, &facts) < 0 ? 0 : (long)facts.Blocks * UnitOfBlocks;
    }

    private static Errno Result(int result) => result < 0 ? LastError() : Errno.None;

    private static Errno LastError() => (Errno)Marshal.GetLastPInvokeError();

    // struct flock of fcntl(2) on a 64-bit host.
    [StructLayout(LayoutKind.Sequential)]
    private struct FileLock
    {
        public short Type;
        public short Whence;
        public long Start;
        public long Length;
        public int Process;
    }

    // struct statx of statx(2), as far as it is read.
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Statx
    {
        [FieldOffset(0)]
        public uint Mask;

        [FieldOffset(28)]
        public ushort Mode;

        [FieldOffset(32)]
        public ulong Inode;

        [FieldOffset(48)]
        public ulong Blocks;

        [FieldOffset(136)]
        public uint DeviceMajor;

        [FieldOffset(140)]
        public uint DeviceMinor;

        [FieldOffset(152)]
        public uint MemoryAlignment;

        [FieldOffset(156)]
        public uint OffsetAlignment;
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFile(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    private static partial nint Pread(SafeFileHandle file, byte* buffer, nuint length, long offset);

    [LibraryImport("libc", EntryPoint = "pwrite", SetLastError = true)]
    private static partial nint Pwrite(SafeFileHandle file, byte* data, nuint length, long offset);

    [LibraryImport("libc", EntryPoint = "preadv", SetLastError = true)]
    private static partial nint Preadv(SafeFileHandle file, HostBuffer* buffers, int count, long offset);

    [LibraryImport("libc", EntryPoint = "pwritev", SetLastError = true)]
    private static partial nint Pwritev(SafeFileHandle file, HostBuffer* buffers, int count, long offset);

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    private static partial int Fdatasync(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int Fallocate(SafeFileHandle file, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    private static partial int Ftruncate(SafeFileHandle file, long length);

    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    private static partial long Lseek(SafeFileHandle file, long offset, int whence);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Fcntl(SafeFileHandle file, int command, FileLock* range);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatxOf(SafeFileHandle folder, string path, int flags, uint mask, Statx* facts);
}
