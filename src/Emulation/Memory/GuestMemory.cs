using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Memory;

/// <summary>
/// A contiguous piece of guest physical memory backed by host memory, reserved at creation and populated on first touch.
/// Guest threads access it without locks, through the addends of their TLBs.
/// <para>
/// As the array of a flash chip (<paramref name="readOnly"/>) it is read and executed like RAM while the chip is in array mode; all stores,
/// and reads in other modes, are for the chip's device window, which lies at the same addresses.
/// </para>
/// </summary>
public sealed unsafe partial class GuestMemory : IDisposable
{
    public const int PageShift = 12;
    public const int PageSize = 1 << PageShift;

    private byte* _host;
    private bool _direct = true;

    // Of each page, whether it is a file's until it is written; null while none is. And the files, which are not closed before. Both are
    // for whoever maps or clears the memory, while no vCPU runs, and the former is read by whoever saves it then or later.
    private volatile bool[]? _ofFile;
    private readonly List<SafeFileHandle> _files = [];

    // The log of written pages; null while nobody asks for it.
    private DirtyLog? _log;

    // The pages that have not arrived; null while all are there.
    private MissingPages? _missing;
    private int _cached;

    /// <param name="start">Guest physical address of the first byte; page aligned.</param>
    /// <param name="size">Bytes; a multiple of the page size.</param>
    /// <param name="readOnly">Stores of the guest do not reach it.</param>
    /// <exception cref="InsufficientMemoryException">The host refuses to reserve that much.</exception>
    public GuestMemory(GuestPhysicalAddress start, ulong size, bool readOnly = false)
    {
        if (size == 0 || (size | start.Value) % PageSize != 0)
        {
            throw new ArgumentException($"guest memory must be whole pages of {PageSize} bytes, not {size} at {start}");
        }

        Start = start;
        Size = size;
        IsReadOnly = readOnly;
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

    /// <summary>Stores of the guest go to a device at the same addresses.</summary>
    public bool IsReadOnly { get; }

    /// <summary>The guest reads and executes the bytes; false while the device at these addresses answers instead.</summary>
    public bool IsDirect => Volatile.Read(ref _direct);

    /// <summary>Raised when translations of this memory may be cached that hold no more.</summary>
    public event Action? Withdrawn;

    /// <summary>Host address of the first byte.</summary>
    public byte* Host => _host;

    /// <summary>The allocation tags of the bytes; null without. Set before the memory is used, and disposed with it.</summary>
    public TagMemory? Tags { get; internal set; }

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

    /// <summary>
    /// Changes <see cref="IsDirect"/>. A vCPU that is about to cache a translation sees the change, or is told to forget it.
    /// </summary>
    public void SetDirect(bool value)
    {
        Volatile.Write(ref _direct, value);
        if (!value && Interlocked.Exchange(ref _cached, 0) != 0)
        {
            Withdrawn?.Invoke();
        }
    }

    /// <summary>
    /// Marks writes in a log from now on; null for in none. Translations that are cached know nothing of it: see <see cref="DirtyLog"/>.
    /// </summary>
    internal void SetLog(DirtyLog? log) => Volatile.Write(ref _log, log);

    /// <summary>Some pages are not there yet; null when all are.</summary>
    internal void SetMissing(MissingPages? missing) => Volatile.Write(ref _missing, missing);

    /// <summary>
    /// The address of the first byte of a range whose page is not there yet, which is asked for; null when the range can be used.
    /// </summary>
    internal ulong? FindMissing(ulong address, ulong length)
    {
        if (Volatile.Read(ref _missing) is not { } missing || length == 0)
        {
            return null;
        }

        ulong last = (address - Start.Value + length - 1) >> PageShift;
        for (ulong page = (address - Start.Value) >> PageShift; page <= last; page++)
        {
            if (!missing.TryUse((int)page))
            {
                return Math.Max(address, Start.Value + (page << PageShift));
            }
        }

        return null;
    }

    /// <summary>Whether the page of an address is there; it is asked for when it is not.</summary>
    internal bool TryUse(ulong address) =>
        Volatile.Read(ref _missing) is not { } missing || missing.TryUse((int)((address - Start.Value) >> PageShift));

    /// <summary>Waits until the page of an address is there, or for so long, or less.</summary>
    internal void Await(ulong address, TimeSpan most) =>
        Volatile.Read(ref _missing)?.Await((int)((address - Start.Value) >> PageShift), most);

    /// <summary>Whether the page of an address is there.</summary>
    internal bool IsThere(ulong address) =>
        Volatile.Read(ref _missing) is not { } missing || !missing.IsMissing((int)((address - Start.Value) >> PageShift));

    /// <summary>Bytes are to be written, or were; marks their pages.</summary>
    internal void MarkWritten(ulong address, ulong length)
    {
        if (Volatile.Read(ref _log) is { } log && length > 0)
        {
            ulong last = (address - Start.Value + length - 1) >> PageShift;
            for (ulong page = (address - Start.Value) >> PageShift; page <= last; page++)
            {
                log.Mark(page);
            }
        }
    }

    /// <summary>
    /// Whether a vCPU may write a page through a translation that it caches: not while a log is kept and the page is clean. A page that is
    /// written now is marked instead.
    /// </summary>
    internal bool TryCacheForWriting(ulong address, bool written)
    {
        if (IsReadOnly || Volatile.Read(ref _log) is not { } log)
        {
            return !IsReadOnly;
        }

        ulong page = (address - Start.Value) >> PageShift;
        if (written)
        {
            log.Mark(page);
        }

        return written || log.IsMarked(page);
    }

    /// <summary>Whether a vCPU may cache a translation of this memory now.</summary>
    internal bool TryCache()
    {
        if (!IsReadOnly)
        {
            return true;
        }

        Interlocked.Exchange(ref _cached, 1);
        return IsDirect;
    }

    /// <summary>
    /// Which pages the host has memory or a file for, by number: the others are zero. A page that is touched meanwhile may be told as not
    /// there. Any thread (Linux, Documentation/admin-guide/mm/pagemap.rst).
    /// </summary>
    public bool[] PresentPages()
    {
        bool[] present = new bool[Size >> PageShift];
        try
        {
            if (Environment.SystemPageSize == PageSize)
            {
                ReadPresent(present);
                AddPagesOfFile(present);
                return present;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A host that does not tell.
        }

        Array.Fill(present, true);
        return present;
    }

    private void AddPagesOfFile(bool[] present)
    {
        if (_ofFile is { } ofFile)
        {
            for (int page = 0; page < present.Length; page++)
            {
                present[page] |= ofFile[page];
            }
        }
    }

    private void ReadPresent(bool[] present)
    {
        const int EntriesAtOnce = 8192;
        const ulong PresentOrSwapped = 3ul << 62;
        using SafeFileHandle map = File.OpenHandle("/proc/self/pagemap");
        ulong[] entries = new ulong[EntriesAtOnce];
        Span<byte> bytes = MemoryMarshal.AsBytes(entries.AsSpan());
        for (int page = 0; page < present.Length;)
        {
            int read = RandomAccess.Read(map, bytes, (((long)_host >> PageShift) + page) * sizeof(ulong)) / sizeof(ulong);
            if (read == 0)
            {
                throw new EndOfStreamException("the map of pages ends too early");
            }

            for (int i = 0; i < read && page < present.Length; i++, page++)
            {
                present[page] = (entries[i] & PresentOrSwapped) != 0;
            }
        }
    }

    /// <summary>Zeros a range; whole pages of it are given back to the host, so that neither time nor memory follow its length.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not wholly inside.</exception>
    public void Zero(GuestPhysicalAddress address, ulong length)
    {
        if (length == 0)
        {
            return;
        }

        if (!Contains(address.Value, length))
        {
            throw new ArgumentOutOfRangeException(nameof(address), $"{address}+0x{length:x} is outside guest memory at {Start}+0x{Size:x}");
        }

        // SAFETY: the range is inside the mapping; pages begin where the mapping's do.
        ulong first = address.Value - Start.Value;
        ulong end = first + length;
        ulong firstPage = (first + PageSize - 1) & ~(ulong)(PageSize - 1);
        ulong endPage = end & ~(ulong)(PageSize - 1);
        if (firstPage >= endPage)
        {
            new Span<byte>(_host + first, (int)length).Clear();
            return;
        }

        new Span<byte>(_host + first, (int)(firstPage - first)).Clear();
        GiveBack(firstPage, endPage - firstPage);
        new Span<byte>(_host + endPage, (int)(end - endPage)).Clear();
    }

    /// <summary>Gives every page back to the host: all bytes read zero afterwards. No vCPU may run.</summary>
    public void Clear()
    {
        Volatile.Read(ref _missing)?.GiveUp();
        GiveBack(0, Size);
        Tags?.Clear();
        ForgetFiles();
        MarkWritten(Start.Value, Size);
    }

    /// <summary>
    /// Replaces bytes by those of a file. A page is read from the file when it is first touched, and is copied when it is first written:
    /// the file is never changed. It must not be changed by others either, nor be cut; it may be removed. Its handle may be disposed of: it
    /// stays open, and so locked where it is (flock(2)), as long as it is mapped. No vCPU may run.
    /// </summary>
    /// <param name="start">Where the file has the first byte of this memory; at a page.</param>
    /// <param name="offset">Of the first byte that is replaced, in this memory; at a page.</param>
    /// <param name="length">Whole pages.</param>
    /// <exception cref="IOException">The host refuses to map it.</exception>
    internal void MapFile(SafeFileHandle file, long start, ulong offset, ulong length)
    {
        if (!Contains(Start.Value + offset, length) || ((ulong)start | offset | length) % PageSize != 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(offset), $"0x{offset:x}+0x{length:x} is no part of guest memory of 0x{Size:x} bytes");
        }

        Volatile.Read(ref _missing)?.GiveUp();
        bool held = false;
        try
        {
            file.DangerousAddRef(ref held);

            // SAFETY: the new mapping takes the place of the old one, wholly and at once (mmap(2), MAP_FIXED).
            void* p = Mmap(
                _host + offset, (nuint)length, ProtRead | ProtWrite, MapPrivate | MapFixed | MapNoReserve, (int)file.DangerousGetHandle(),
                checked((nint)(start + (long)offset)));
            if (p == (void*)-1)
            {
                throw new IOException($"the host refused to map the file: error {Marshal.GetLastPInvokeError()}");
            }

            if (!_files.Contains(file))
            {
                _files.Add(file);
                held = false;
            }
        }
        finally
        {
            if (held)
            {
                file.DangerousRelease();
            }
        }

        bool[] ofFile = _ofFile ?? new bool[Size >> PageShift];
        for (ulong page = offset >> PageShift; page < (offset + length) >> PageShift; page++)
        {
            ofFile[page] = true;
        }

        _ofFile = ofFile;
        MarkWritten(Start.Value + offset, length);
    }

    // Nothing is mapped any more.
    private void ForgetFiles()
    {
        _ofFile = null;
        _files.ForEach(file => file.DangerousRelease());
        _files.Clear();
    }

    // Whole pages, which read zero afterwards and take no room of the host. The pages of a file would only come back from it.
    private void GiveBack(ulong offset, ulong length)
    {
        if (_ofFile == null)
        {
            _ = Madvise(_host + offset, (nuint)length, MadvDontNeed);
            return;
        }

        // SAFETY: the range is inside the mapping, and is replaced at once by memory that reads zero.
        void* p = Mmap(
            _host + offset, (nuint)length, ProtRead | ProtWrite, MapPrivate | MapAnonymous | MapFixed | MapNoReserve, -1, 0);
        if (p == (void*)-1)
        {
            throw new InsufficientMemoryException($"the host refused {length >> 10} KiB of guest memory");
        }
    }

    /// <summary>
    /// Maps pages that are still in a file only, so that the guest's first access to them does not wait (madvise(2), MADV_POPULATE_READ).
    /// Where the host cannot, nothing is done. Any thread, while vCPUs run.
    /// </summary>
    /// <param name="offset">Of the first byte; at a page.</param>
    /// <param name="length">Whole pages; fewer at the end.</param>
    internal void Populate(ulong offset, ulong length)
    {
        if (offset < Size)
        {
            _ = Madvise(_host + offset, (nuint)Math.Min(length, Size - offset), MadvPopulateRead);
        }
    }

    /// <summary>
    /// Gives pages memory of the host, all at once, so that writing them does not fault for each one (madvise(2), MADV_POPULATE_WRITE).
    /// Their bytes stay. Where the host cannot, nothing is done. Any thread.
    /// </summary>
    /// <param name="offset">Of the first byte; at a page.</param>
    /// <param name="length">Whole pages inside the memory.</param>
    internal void PopulateToWrite(ulong offset, ulong length) => _ = Madvise(_host + offset, (nuint)length, MadvPopulateWrite);

    /// <summary>
    /// The pages, by number, that were touched since the memory was made or mapped (proc(5), /proc/PID/pagemap). The host maps neighbours
    /// of a page of a file together with it. Any thread, while vCPUs run.
    /// </summary>
    /// <exception cref="IOException">The host does not tell.</exception>
    internal IReadOnlyList<int> PagesInUse()
    {
        bool[] present = new bool[Size >> PageShift];
        ReadPresent(present);
        return [.. Enumerable.Range(0, present.Length).Where(page => present[page])];
    }

    public void Dispose()
    {
        if (_host != null)
        {
            _ = Munmap(_host, (nuint)Size);
            Tags?.Dispose();
            _host = null;
            ForgetFiles();
        }
    }

    private const int ProtRead = 1;
    private const int ProtWrite = 2;
    private const int MapPrivate = 2;
    private const int MapAnonymous = 0x20;
    private const int MapFixed = 0x10;
    private const int MapNoReserve = 0x4000;
    private const int MadvDontNeed = 4;
    private const int MadvPopulateRead = 22;
    private const int MadvPopulateWrite = 23;

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial void* Mmap(void* address, nuint length, int protection, int flags, int fd, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Munmap(void* address, nuint length);

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Madvise(void* address, nuint length, int advice);
}
