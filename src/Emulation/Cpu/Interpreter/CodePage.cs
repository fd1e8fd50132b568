using System.Runtime.CompilerServices;

namespace Vmm.Emulation.Cpu.Interpreter;

/// <summary>
/// The predecoded instructions of one 4 KiB page of guest memory: an op for each word, decoded when first executed, and one
/// more that goes on to the next page. Shared by all vCPUs. Instruction cache maintenance does not change a page but replaces it, so ops
/// change only once, from undecoded to decoded; the garbage collector frees a page when the last vCPU has left it.
/// </summary>
internal sealed unsafe class CodePage
{
    public const int Words = 1024;

    private readonly Op[] _ops = GC.AllocateArray<Op>(Words + 1, pinned: true);
    private nint[]? _entries;
    private bool _stale;

    /// <param name="host">Host address of the page's bytes.</param>
    /// <param name="undecoded">Handler that decodes its op and executes it.</param>
    /// <param name="pageEnd">Handler of the op after the last.</param>
    public CodePage(
        byte* host,
        delegate*<VcpuCore, CpuState*, Op*, Op*> undecoded,
        delegate*<VcpuCore, CpuState*, Op*, Op*> pageEnd)
    {
        Host = host;
        First = (Op*)Unsafe.AsPointer(ref _ops[0]);
        for (int i = 0; i < Words; i++)
        {
            First[i].Handler = undecoded;
            First[i].Offset = (ushort)(i * 4);
        }

        First[Words].Handler = pageEnd;
        First[Words].Offset = Words * 4;
    }

    public byte* Host { get; }

    /// <summary>The op of the first word. Valid while a reference to the page is held.</summary>
    public Op* First { get; }

    /// <summary>True once the page is replaced: enter it no more.</summary>
    public bool Stale => Volatile.Read(ref _stale);

    /// <summary>Its number in the translation cache, -1 before it has one; the cache's, under its lock.</summary>
    public int Number { get; set; } = -1;

    /// <summary>The translated code of a word; null for none. Any vCPU thread.</summary>
    public byte* Entry(int word) => Volatile.Read(ref _entries) is { } entries ? (byte*)Volatile.Read(ref entries[word]) : null;

    /// <summary>Under the translation cache's lock, when the code is complete.</summary>
    public void SetEntry(int word, byte* code) => Volatile.Write(ref (_entries ??= new nint[Words])[word], (nint)code);

    /// <summary>Forgets all translated code; under the translation cache's lock.</summary>
    public void ClearEntries() => Volatile.Write(ref _entries, null);

    /// <summary>Whether all that was decoded of some words is what memory holds now; under the code cache's lock.</summary>
    public bool IsAsInMemory(int first, int count)
    {
        for (int i = first; i < first + count; i++)
        {
            if (First[i].Decoded != 0 && First[i].Word != ((uint*)Host)[i])
            {
                return false;
            }
        }

        return true;
    }

    public void MarkStale() => Volatile.Write(ref _stale, true);
}
