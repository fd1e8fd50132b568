using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Vmm.Emulation.Cpu;

/// <summary>
/// What .NET does not promise of the host's accesses: 16 bytes at once, by loads and stores of vectors where they are aligned (Intel SDM
/// 3A, 9.1.1, and AMD APM 2, 7.3.2, of processors with AVX), and the compare-and-exchange for LDXP/STXP and CASP, which is a few bytes of
/// host code.
/// </summary>
internal static unsafe partial class HostAtomics
{
    // bool cas(void* location, UInt128* expected, const UInt128* desired): lock cmpxchg16b.
    private static ReadOnlySpan<byte> X64 =>
    [
        0x53, 0x49, 0x89, 0xF0, 0x49, 0x89, 0xD1, 0x48, 0x8B, 0x06, 0x48, 0x8B, 0x56, 0x08, 0x49, 0x8B, 0x19, 0x49, 0x8B, 0x49, 0x08,
        0xF0, 0x48, 0x0F, 0xC7, 0x0F, 0x49, 0x89, 0x00, 0x49, 0x89, 0x50, 0x08, 0x0F, 0x94, 0xC0, 0x0F, 0xB6, 0xC0, 0x5B, 0xC3,
    ];

    // The same with a loop of LDAXP and STLXP.
    private static ReadOnlySpan<uint> Arm64 =>
    [
        0xa9401023, 0xa9401845, 0xc87fa007, 0xeb0300ff, 0xfa440100, 0x540000a1, 0xc8299805, 0x35ffff69, 0x52800020, 
        0xd65f03c0, 0xc829a007, 0x35fffee9, 0xa9002027, 0x52800000, 0xd65f03c0, 
    ];

    private static readonly delegate* unmanaged[SuppressGCTransition]<void*, UInt128*, UInt128*, int> CompareExchangeThunk = MakeThunk();

    /// <summary>Whether the host's atomics take places that are not aligned, within 16 bytes that are.</summary>
    public static bool TakesUnaligned => X86Base.IsSupported;

    /// <summary>Reads a value at once, where it is aligned.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Read<T>(byte* location)
        where T : unmanaged => sizeof(T) == sizeof(UInt128)
        ? Unsafe.BitCast<Vector128<byte>, T>(Vector128.Load(location))
        : Unsafe.ReadUnaligned<T>(location);

    /// <summary>Writes a value at once, where it is aligned.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<T>(byte* location, T value)
        where T : unmanaged
    {
        if (sizeof(T) == sizeof(UInt128))
        {
            Unsafe.BitCast<T, Vector128<byte>>(value).Store(location);
        }
        else
        {
            Unsafe.WriteUnaligned(location, value);
        }
    }

    /// <summary>
    /// Stores <paramref name="desired"/> when the 16-byte aligned location holds <paramref name="expected"/>; otherwise gives what it
    /// holds. A full barrier. Also the way to read 16 bytes at once.
    /// </summary>
    public static bool CompareExchange128(byte* location, ref UInt128 expected, UInt128 desired)
    {
        UInt128 seen = expected;
        bool done = CompareExchangeThunk(location, &seen, &desired) != 0;
        expected = seen;
        return done;
    }

    private static delegate* unmanaged[SuppressGCTransition]<void*, UInt128*, UInt128*, int> MakeThunk()
    {
        ReadOnlySpan<byte> code = RuntimeInformation.ProcessArchitecture switch
        {
            Architecture.X64 => X64,
            Architecture.Arm64 => MemoryMarshal.AsBytes(Arm64),
            var other => throw new PlatformNotSupportedException($"the host must be x86-64 or arm64, not {other}"),
        };

        const int read = 1, write = 2, execute = 4, privateAnonymous = 0x22;
        void* page = Mmap(null, 4096, read | write, privateAnonymous, -1, 0);
        if (page == (void*)-1)
        {
            throw new InsufficientMemoryException("the host refused a page for the 128-bit atomics");
        }

        code.CopyTo(new Span<byte>(page, 4096));
        return Mprotect(page, 4096, read | execute) == 0
            ? (delegate* unmanaged[SuppressGCTransition]<void*, UInt128*, UInt128*, int>)page
            : throw new PlatformNotSupportedException("the host refused executable memory for the 128-bit atomics");
    }

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial void* Mmap(void* address, nuint length, int protection, int flags, int fd, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect")]
    private static partial int Mprotect(void* address, nuint length, int protection);
}
