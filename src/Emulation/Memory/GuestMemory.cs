using System.Runtime.InteropServices;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Memory;

/// <summary>
/// A contiguous piece of guest physical memory backed by host memory, reserved at creation and populated on first touch.
/// Guest threads access it without locks, through the addends of their TLBs.
/// </summary>
public sealed unsafe partial class GuestMemory : IDisposable
{
    public const int PageShift = 12;
    public const int PageSize = 1 << PageShift;

    private byte* _host;

    /// <param name="start">Guest physical address of the first byte; page aligned.</param>
    /// <param name="size">Bytes; a multiple of the page size.</param>
    /// <exception cref="InsufficientMemoryException">The host refuses to reserve that much.</exception>
    public GuestMemory(GuestPhysicalAddress start, ulong size)
    {
        if (size == 0 || (size | start.Value) % PageSize != 0)
        {
            throw new ArgumentException($"guest memory must be whole pages of {PageSize} bytes, not {size} at {start}");
        }

        Start = start;
        Size = size;
        void* p = Mmap(null, (nuint)size, ProtRead | ProtWrite, MapPrivate | MapAnonymous | MapNoReserve, -1, 0);
        if (p == (void*)-1)
        {
            throw new InsufficientMemoryException($"the host refused to reserve {size >> 20} MiB of guest memory");
        }

        _host = (byte*)p;
        CodePages = new CodePage?[size >> PageShift];
    }

    public GuestPhysicalAddress Start { get; }

    public ulong Size { get; }

    /// <summary>Host address of the first byte.</summary>
    public byte* Host => _host;

    /// <summary>Predecoded code by page number; read without a lock, written by <see cref="CodeCache"/>.</summary>
    internal CodePage?[] CodePages { get; }

    public bool Contains(ulong address, ulong length) => address - Start.Value < Size && length <= Size - (address - Start.Value);

    /// <summary>Host memory of a guest physical range.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not wholly inside.</exception>
    public Span<byte> Span(GuestPhysicalAddress address, int length)
    {
        if (!Contains(address.Value, (ulong)length))
        {
            throw new ArgumentOutOfRangeException(nameof(address), $"{address}+{length} is outside guest memory at {Start}+0x{Size:x}");
        }

        return new Span<byte>(_host + (address.Value - Start.Value), length);
    }

    /// <summary>Gives every page back to the host: all bytes read zero afterwards. No vCPU may run.</summary>
    public void Clear() => _ = Madvise(_host, (nuint)Size, MadvDontNeed);

    public void Dispose()
    {
        if (_host != null)
        {
            _ = Munmap(_host, (nuint)Size);
            _host = null;
        }
    }

    private const int ProtRead = 1;
    private const int ProtWrite = 2;
    private const int MapPrivate = 2;
    private const int MapAnonymous = 0x20;
    private const int MapNoReserve = 0x4000;
    private const int MadvDontNeed = 4;

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial void* Mmap(void* address, nuint length, int protection, int flags, int fd, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Munmap(void* address, nuint length);

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Madvise(void* address, nuint length, int advice);
}
