using System.Runtime.InteropServices;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>Host memory that can be written and executed, reserved at once and populated as it is touched.</summary>
internal sealed unsafe partial class ExecutableMemory : IDisposable
{
    private const int ProtRead = 1;
    private const int ProtWrite = 2;
    private const int ProtExec = 4;
    private const int MapPrivate = 2;
    private const int MapAnonymous = 0x20;
    private const int MapNoReserve = 0x4000;

    private byte* _start;

    private ExecutableMemory(byte* start, nuint size)
    {
        _start = start;
        Size = size;
    }

    public byte* Start => _start;

    public nuint Size { get; }

    /// <returns>Null where the host refuses memory that is both writable and executable.</returns>
    public static ExecutableMemory? TryReserve(nuint size)
    {
        void* p = Mmap(null, size, ProtRead | ProtWrite | ProtExec, MapPrivate | MapAnonymous | MapNoReserve, -1, 0);
        return p == (void*)-1 ? null : new ExecutableMemory((byte*)p, size);
    }

    public void Dispose()
    {
        if (_start != null)
        {
            _ = Munmap(_start, Size);
            _start = null;
        }
    }

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial void* Mmap(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Munmap(void* address, nuint length);
}
