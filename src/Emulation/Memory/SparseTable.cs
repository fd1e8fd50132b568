using System.Runtime.InteropServices;

namespace Vmm.Emulation.Memory;

/// <summary>
/// Native memory for a large table of which few parts are used. It reads as zero until it is written, and takes memory of the host only
/// where it was written. The owner calls <see cref="Touch"/> before it writes an entry, so that clearing the table visits only those parts.
/// The owner of the table alone uses it.
/// </summary>
internal sealed unsafe partial class SparseTable : IDisposable
{
    /// <summary>Bytes of a part: a page of the host.</summary>
    public const int PartSize = 1 << PartShift;

    private const int PartShift = 12;

    private readonly bool[] _touched;

    /// <param name="size">Bytes; a multiple of <see cref="PartSize"/>.</param>
    /// <exception cref="InsufficientMemoryException">The host refuses to reserve that much.</exception>
    public SparseTable(int size)
    {
        Start = (byte*)Mmap(null, (nuint)size, ProtRead | ProtWrite, MapPrivate | MapAnonymous, -1, 0);
        if (Start == (byte*)-1)
        {
            throw new InsufficientMemoryException($"the host refused to reserve {size >> 10} KiB for a translation table");
        }

        _touched = new bool[size >> PartShift];
    }

    /// <summary>Host address of the first byte; aligned to a page of the host.</summary>
    public byte* Start { get; private set; }

    public int Parts => _touched.Length;

    /// <summary>Notes that the entry at an offset in bytes is about to be written.</summary>
    public void Touch(int offset) => _touched[offset >> PartShift] = true;

    /// <summary>Whether a part was written since the table was last cleared.</summary>
    public bool IsTouched(int part) => _touched[part];

    /// <summary>Makes all bytes zero.</summary>
    public void Clear()
    {
        for (int part = 0; part < _touched.Length; part++)
        {
            if (_touched[part])
            {
                NativeMemory.Clear(Start + (part << PartShift), PartSize);
                _touched[part] = false;
            }
        }
    }

    public void Dispose()
    {
        if (Start != null)
        {
            _ = Munmap(Start, (nuint)_touched.Length << PartShift);
            Start = null;
        }
    }

    private const int ProtRead = 1;
    private const int ProtWrite = 2;
    private const int MapPrivate = 2;
    private const int MapAnonymous = 0x20;

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial void* Mmap(void* address, nuint length, int protection, int flags, int fd, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Munmap(void* address, nuint length);
}
