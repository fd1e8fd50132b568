using Microsoft.Win32.SafeHandles;

namespace Vmm.Emulation.Boot;

/// <summary>
/// The contents of a file that is loaded into guest RAM at each reset: bytes in memory, or a file that is read anew each time, as a boot
/// loader does. The host keeps no copy of a kernel of 30 MiB beside the one in RAM, and a kernel that replaces its file starts at the next
/// reset.
/// </summary>
public abstract class BootFile
{
    // The size in bytes of the part that shows the kind of a file: headers and section tables.
    private const int HeadSize = 1 << 16;

    /// <summary>A file without bytes.</summary>
    public static BootFile Empty { get; } = new InMemory(default);

    /// <summary>The present length in bytes.</summary>
    /// <exception cref="InvalidDataException">The file cannot be examined; one line.</exception>
    public abstract long Length { get; }

    public bool IsEmpty => Length == 0;

    /// <summary>Fills a span from an offset in bytes.</summary>
    /// <exception cref="InvalidDataException">The file cannot be read, or ends before; one line.</exception>
    public abstract void Read(long offset, Span<byte> destination);

    /// <summary>All bytes; less than 2 GiB.</summary>
    /// <exception cref="InvalidDataException">The file cannot be read; one line.</exception>
    public virtual ReadOnlyMemory<byte> ReadAll() => ReadFirst(Length);

    /// <summary>The first bytes: 64 KiB, or all of a shorter file.</summary>
    /// <exception cref="InvalidDataException">The file cannot be read; one line.</exception>
    public ReadOnlyMemory<byte> ReadHead() => ReadFirst(Math.Min(Length, HeadSize));

    public static implicit operator BootFile(ReadOnlyMemory<byte> bytes) => new InMemory(bytes);

    public static implicit operator BootFile(byte[]? bytes) => new InMemory(bytes);

    /// <summary>A regular file that stays open as long as the object is used.</summary>
    /// <param name="file">The file, open for reading.</param>
    /// <param name="what">The name of the file in messages to the user.</param>
    public static BootFile Of(SafeFileHandle file, string what) => new OnDisk(file, what);

    private byte[] ReadFirst(long length)
    {
        byte[] bytes = new byte[length];
        Read(0, bytes);
        return bytes;
    }

    private sealed class InMemory(ReadOnlyMemory<byte> bytes) : BootFile
    {
        public override long Length => bytes.Length;

        public override void Read(long offset, Span<byte> destination) =>
            bytes.Span.Slice((int)offset, destination.Length).CopyTo(destination);

        public override ReadOnlyMemory<byte> ReadAll() => bytes;
    }

    private sealed class OnDisk(SafeFileHandle file, string what) : BootFile
    {
        public override long Length
        {
            get
            {
                try
                {
                    return RandomAccess.GetLength(file);
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException)
                {
                    throw Unreadable(e);
                }
            }
        }

        public override void Read(long offset, Span<byte> destination)
        {
            while (!destination.IsEmpty)
            {
                int read = ReadSome(offset, destination);
                if (read == 0)
                {
                    throw new InvalidDataException($"the {what} has become shorter while it was read");
                }

                offset += read;
                destination = destination[read..];
            }
        }

        private int ReadSome(long offset, Span<byte> destination)
        {
            try
            {
                return RandomAccess.Read(file, destination, offset);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw Unreadable(e);
            }
        }

        private InvalidDataException Unreadable(Exception e) => new($"cannot read the {what}: {e.Message}");
    }
}
