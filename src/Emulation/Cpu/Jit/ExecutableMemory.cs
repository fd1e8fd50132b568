using System.Runtime.InteropServices;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>
/// Host memory for code. It is reserved at once, and taken from the host as it is touched. It is one mapping that can be written and
/// executed. Where the host refuses that (SELinux execmem, PR_SET_MDWE), or when asked for, it is a memory file that is mapped twice: to be
/// written, and to be read and executed.
/// </summary>
internal sealed unsafe partial class ExecutableMemory : IDisposable
{
    private const int ProtRead = 1;
    private const int ProtWrite = 2;
    private const int ProtExec = 4;
    private const int MapShared = 1;
    private const int MapPrivate = 2;
    private const int MapAnonymous = 0x20;
    private const int MapNoReserve = 0x4000;
    private const int MadvHugePage = 14;
    private const uint CloseOnExec = 1;
    private const uint Executable = 0x10;

    private byte* _start;

    private ExecutableMemory(byte* start, byte* executable, nuint size)
    {
        _start = start;
        ExecutableOffset = (nint)(executable - start);
        Size = size;
    }

    /// <summary>Where it is written.</summary>
    public byte* Start => _start;

    /// <summary>From where a byte is written to where it is executed: 0 for one mapping.</summary>
    public nint ExecutableOffset { get; }

    public nuint Size { get; }

    /// <param name="dual">Two mappings, whether the host allows one or not.</param>
    /// <returns>Null where the host refuses.</returns>
    public static ExecutableMemory? TryReserve(nuint size, bool dual) => (dual ? null : TryMapOnce(size)) ?? TryMapTwice(size);

    private static ExecutableMemory? TryMapOnce(nuint size)
    {
        byte* start = Map(size, ProtRead | ProtWrite | ProtExec, MapPrivate | MapAnonymous | MapNoReserve, -1);
        if (start == null)
        {
            return null;
        }

        // A process of the guest is made by code in 800 small pages, more than the host's TLB holds: with huge ones it takes 5 % less time.
        // A host that has none goes on without.
        _ = Madvise(start, size, MadvHugePage);
        return new ExecutableMemory(start, start, size);
    }

    private static ExecutableMemory? TryMapTwice(nuint size)
    {
        // Kernels before 6.3 do not know the flag; where vm.memfd_noexec is set later ones want it.
        int file = CreateFile("vmm-code", CloseOnExec | Executable);
        if (file < 0)
        {
            file = CreateFile("vmm-code", CloseOnExec);
        }

        if (file < 0)
        {
            return null;
        }

        byte* start = null;
        byte* executable = null;
        if (Truncate(file, (nint)size) == 0)
        {
            start = Map(size, ProtRead | ProtWrite, MapShared | MapNoReserve, file);
            executable = Map(size, ProtRead | ProtExec, MapShared | MapNoReserve, file);
        }

        _ = Close(file);
        if (start != null && executable != null)
        {
            return new ExecutableMemory(start, executable, size);
        }

        Unmap(start, size);
        Unmap(executable, size);
        return null;
    }

    /// <summary>Gives the whole pages of a range back to the host: they are zeros until they are written again.</summary>
    public void GiveBack(byte* start, byte* end)
    {
        const int AdviseDontNeed = 4;
        const int AdviseRemove = 9;
        nuint first = ((nuint)start + 4095) & ~(nuint)4095;
        nuint last = (nuint)end & ~(nuint)4095;

        // What is mapped twice is a file, which keeps what one mapping no longer needs.
        _ = Madvise((void*)first, last - first, ExecutableOffset == 0 ? AdviseDontNeed : AdviseRemove);
    }

    public void Dispose()
    {
        if (_start == null)
        {
            return;
        }

        Unmap(_start, Size);
        if (ExecutableOffset != 0)
        {
            Unmap(_start + ExecutableOffset, Size);
        }

        _start = null;
    }

    private static byte* Map(nuint size, int protection, int flags, int file)
    {
        void* p = Mmap(null, size, protection, flags, file, 0);
        return p == (void*)-1 ? null : (byte*)p;
    }

    private static void Unmap(byte* start, nuint size)
    {
        if (start != null)
        {
            _ = Munmap(start, size);
        }
    }

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial void* Mmap(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Madvise(void* address, nuint length, int advice);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Munmap(void* address, nuint length);

    [LibraryImport("libc", EntryPoint = "memfd_create", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int CreateFile(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "ftruncate")]
    private static partial int Truncate(int file, nint length);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int file);
}
