using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Vmm.Emulation.Cpu.Lockstep;

/// <summary>Up to 16 bytes of guest memory that a store is about to overwrite.</summary>
[StructLayout(LayoutKind.Explicit, Size = 32)]
public unsafe struct StoreLogEntry
{
    /// <summary>Bytes of an entry; a longer store makes several.</summary>
    public const int MaxBytes = 16;
    public const int HostOffset = 0;
    public const int SizeOffset = 8;
    public const int OldOffset = 16;

    [FieldOffset(HostOffset)]
    public byte* Host;

    [FieldOffset(SizeOffset)]
    public long Size;

    /// <summary>The bytes before the store.</summary>
    [FieldOffset(OldOffset)]
    public fixed byte Old[MaxBytes];
}

/// <summary>
/// The stores of one engine, in order, so that they can be undone. Translated code writes entries itself: <see cref="CpuState.StoreLog"/>.
/// </summary>
internal sealed unsafe class StoreLog : IDisposable
{
    // A run of translated code ends after some hundred instructions: LockstepCpu.Quantum and a block. Of SVE's the interpreter logs each
    // byte.
    private const int Capacity = 1 << 16;

    private StoreLogEntry* _first = (StoreLogEntry*)NativeMemory.Alloc(Capacity, (nuint)sizeof(StoreLogEntry));
    private StoreLogEntry* _end;

    public StoreLog() => _end = _first;

    public StoreLogEntry* First => _first;

    public ReadOnlySpan<StoreLogEntry> Entries => new(_first, (int)(_end - _first));

    public void Clear() => _end = _first;

    /// <summary>Takes over what translated code has written, up to an entry.</summary>
    public void SetEnd(StoreLogEntry* end) =>
        _end = end >= _first && end <= _first + Capacity
            ? end
            : throw new InvalidOperationException("the store log of translated code overflowed");

    /// <summary>Before a store to host memory.</summary>
    public void Note(byte* host, int size)
    {
        for (int done = 0; done < size; done += StoreLogEntry.MaxBytes)
        {
            if (_end == _first + Capacity)
            {
                throw new InvalidOperationException("the store log of the interpreter overflowed");
            }

            _end->Host = host + done;
            _end->Size = Math.Min(size - done, StoreLogEntry.MaxBytes);
            Unsafe.CopyBlockUnaligned(_end->Old, _end->Host, (uint)_end->Size);
            _end++;
        }
    }

    /// <summary>Makes memory what it was.</summary>
    public void Undo()
    {
        for (StoreLogEntry* entry = _end - 1; entry >= _first; entry--)
        {
            Unsafe.CopyBlockUnaligned(entry->Host, entry->Old, (uint)entry->Size);
        }
    }

    public void Dispose()
    {
        NativeMemory.Free(_first);
        _first = _end = null;
    }
}
