using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Mmu;

namespace Vmm.Emulation.Cpu.Lockstep;

/// <summary>
/// The record of a run in lockstep: the state before it, the state after translated code, the stores of both engines, and the path of the
/// interpreter. Owner: the owner of the vCPU.
/// </summary>
internal sealed unsafe class LockstepCpu : IDisposable
{
    /// <summary>
    /// The number of instructions after which a run of translated code ends, at the end of a block. A difference is found in a run first,
    /// and is then searched for block by block.
    /// </summary>
    public const int Quantum = 128;

    // A quantum and a block, with room to spare.
    private const int MaxRun = 2048;

    // log2 of the instructions that stay decoded.
    private const int DecodedShift = 13;

    private readonly LockstepTurn _turn;
    private readonly List<byte> _left = [];
    private readonly (ulong Pc, uint Word)[] _path = new (ulong, uint)[MaxRun];
    private int _length;

    // Decoded instructions by a hash of the word. The effect of an instruction does not depend on its address.
    private Op* _decoded = (Op*)NativeMemory.AllocZeroed(1 << DecodedShift, (nuint)sizeof(Op));

    // How the handlers of those were chosen.
    private bool _countsBranches;

    /// <param name="turn">The machine's.</param>
    /// <param name="stateSize">Bytes of a state: <see cref="ScalableRegisters.StateSizeOf"/>.</param>
    public LockstepCpu(LockstepTurn turn, int stateSize)
    {
        _turn = turn;
        StateSize = stateSize;
        Before = (CpuState*)NativeMemory.AlignedAlloc((nuint)stateSize, 64);
        Translated = (CpuState*)NativeMemory.AlignedAlloc((nuint)stateSize, 64);
        NativeMemory.Clear(Before, (nuint)stateSize);
        NativeMemory.Clear(Translated, (nuint)stateSize);
        NoTlb = (TlbEntry*)NativeMemory.AlignedAlloc(TlbEntry.Count * (nuint)sizeof(TlbEntry), 64);
        for (int i = 0; i < TlbEntry.Count; i++)
        {
            NoTlb[i].ReadTag = NoTlb[i].WriteTag = TlbEntry.Invalid;
        }
    }

    /// <summary>Bytes of a state.</summary>
    public int StateSize { get; }

    public CpuState* Before { get; private set; }

    public CpuState* Translated { get; private set; }

    public StoreLog TranslatedStores { get; } = new();

    public StoreLog InterpretedStores { get; } = new();

    /// <summary>
    /// A TLB without entries, for the interpreter while it repeats a run. Every access misses in it, so the slow path makes the access by
    /// the real TLB, and logs it.
    /// </summary>
    public TlbEntry* NoTlb { get; private set; }

    /// <summary>Whether the interpreter repeats a run.</summary>
    public bool Repeating { get; set; }

    // The real TLBs, while the interpreter repeats a run.
    public TlbEntry* Tlb { get; set; }

    public TlbEntry* TlbUnprivileged { get; set; }

    /// <summary>Instructions that both engines have executed, and agreed on.</summary>
    public long Instructions { get; set; }

    /// <summary>Runs of translated code that were repeated.</summary>
    public long Runs { get; set; }

    /// <summary>The addresses and words of the instructions of the last repeated run, in order.</summary>
    public ReadOnlySpan<(ulong Pc, uint Word)> Path => _path.AsSpan(0, _length);

    public void TakeTurn() => _turn.Take();

    public void PassTurn() => _turn.Pass();

    public void GiveTurn() => _turn.Give();

    public void BeginPath() => _length = 0;

    /// <summary>Decodes an op that is not part of a page, as <see cref="CodeCache.Decode"/> does for one that is.</summary>
    public void Decode(CodeCache code, CodePage page, Op* op)
    {
        ushort offset = op->Offset;
        uint word;
        lock (code.Lock)
        {
            word = page.Read(offset / sizeof(uint));
        }

        if (_countsBranches != code.CountsBranches)
        {
            _countsBranches = true;
            new Span<Op>(_decoded, 1 << DecodedShift).Clear();
        }

        Op* known = _decoded + ((word * 0x9E37_79B1) >> (32 - DecodedShift));
        if (known->Decoded == 0 || known->Word != word)
        {
            *known = default;
            code.Fill(known, word);
        }

        *op = *known;
        op->Offset = offset;
    }

    public void NotePath(ulong pc, uint word)
    {
        if (_length < MaxRun)
        {
            _path[_length++] = (pc, word);
        }
    }

    /// <summary>After a run of translated code: notes what it left in memory, and makes memory what it was.</summary>
    /// <param name="end">The end of its log.</param>
    public void TakeBackStores(StoreLogEntry* end)
    {
        TranslatedStores.SetEnd(end);
        _left.Clear();
        foreach (ref readonly StoreLogEntry entry in TranslatedStores.Entries)
        {
            _left.AddRange(new ReadOnlySpan<byte>(entry.Host, (int)entry.Size));
        }

        TranslatedStores.Undo();
    }

    /// <summary>After the interpreter: the bytes of memory that the engines left different, null for none.</summary>
    public SortedDictionary<nint, (byte Translated, byte Interpreted)>? DifferentBytes()
    {
        SortedDictionary<nint, (byte, byte)>? different = null;
        int at = 0;
        foreach (ref readonly StoreLogEntry entry in TranslatedStores.Entries)
        {
            ReadOnlySpan<byte> left = CollectionsMarshal.AsSpan(_left).Slice(at, (int)entry.Size);
            at += (int)entry.Size;
            if (!left.SequenceEqual(new ReadOnlySpan<byte>(entry.Host, (int)entry.Size)))
            {
                for (int i = 0; i < left.Length; i++)
                {
                    if (left[i] != entry.Host[i])
                    {
                        (different ??= [])[(nint)entry.Host + i] = (left[i], entry.Host[i]);
                    }
                }
            }
        }

        // Compares the bytes that the interpreter changed and that translated code did not store to. Both engines mostly store in the same
        // order.
        ReadOnlySpan<StoreLogEntry> translated = TranslatedStores.Entries;
        int hint = 0;
        foreach (ref readonly StoreLogEntry entry in InterpretedStores.Entries)
        {
            if (!IsCovered(translated, entry.Host, (int)entry.Size, ref hint))
            {
                for (int i = 0; i < entry.Size; i++)
                {
                    byte* host = entry.Host + i;
                    int any = 0;
                    if (!IsCovered(translated, host, 1, ref any) && FirstOld(host) is var old && old != *host)
                    {
                        (different ??= [])[(nint)host] = (old, *host);
                    }
                }
            }
        }

        return different;
    }

    private static bool IsCovered(ReadOnlySpan<StoreLogEntry> entries, byte* host, int size, ref int hint)
    {
        for (int n = 0; n < entries.Length; n++)
        {
            int index = hint + n < entries.Length ? hint + n : hint + n - entries.Length;
            ref readonly StoreLogEntry entry = ref entries[index];
            if (host >= entry.Host && host + size <= entry.Host + entry.Size)
            {
                hint = index;
                return true;
            }
        }

        return false;
    }

    // The value of a byte before the first store of the interpreter to it.
    private byte FirstOld(byte* host)
    {
        foreach (ref readonly StoreLogEntry entry in InterpretedStores.Entries)
        {
            if (host >= entry.Host && host < entry.Host + entry.Size)
            {
                return Unsafe.AsRef(in entry).Old[host - entry.Host];
            }
        }

        return *host;
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(Before);
        NativeMemory.AlignedFree(Translated);
        NativeMemory.AlignedFree(NoTlb);
        NativeMemory.Free(_decoded);
        Before = Translated = null;
        NoTlb = null;
        _decoded = null;
        TranslatedStores.Dispose();
        InterpretedStores.Dispose();
    }
}
