using System.Numerics;
using System.Runtime.InteropServices;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit.Plan;

/// <summary>
/// The decoded instructions of the pages that were translated last, for the translator alone. Owner: whoever holds the lock of the code
/// cache.
/// </summary>
internal sealed unsafe class PageDecoder : IDisposable
{
    // Pages by the low bits of their number.
    private const int Pages = 8;

    private readonly CodeCache _code;
    private readonly CodePage?[] _pages = new CodePage?[Pages];

    // For each line of each page the words, by bit, whose op is valid.
    private readonly ushort[] _decoded = new ushort[Pages * CodePage.Lines];
    private Op* _ops = (Op*)NativeMemory.AllocZeroed(Pages * CodePage.Words, (nuint)sizeof(Op));
    private CodePage _page = null!;
    private int _place;

    public PageDecoder(CodeCache code)
    {
        _code = code;
        for (int i = 0; i < Pages * CodePage.Words; i++)
        {
            _ops[i].Offset = (ushort)(i % CodePage.Words * sizeof(uint));
        }
    }

    /// <summary>The ops of the open page. Only the offset of one is valid before <see cref="At"/> was called for it.</summary>
    public Op* First { get; private set; }

    /// <summary>Lines of the open page, by bit, of which a word was asked for since it was opened.</summary>
    public ulong Lines { get; private set; }

    /// <summary>Begins with a page, which has its number.</summary>
    public void Open(CodePage page)
    {
        _place = page.Number & (Pages - 1);
        First = _ops + (_place * CodePage.Words);
        Lines = 0;
        _page = page;
        if (_pages[_place] != page)
        {
            _pages[_place] = page;
            _decoded.AsSpan(_place * CodePage.Lines, CodePage.Lines).Clear();
        }
    }

    /// <summary>The decoded op of a word of the open page.</summary>
    public Op* At(int word)
    {
        int line = word / CodePage.LineWords;
        Lines |= 1ul << line;
        Op* op = First + word;
        ref ushort decoded = ref _decoded[(_place * CodePage.Lines) + line];
        int bit = 1 << (word % CodePage.LineWords);
        if ((decoded & bit) == 0)
        {
            *op = new Op { Offset = op->Offset };
            _code.Fill(op, _page.Read(word));
            decoded |= (ushort)bit;
        }

        return op;
    }

    /// <summary>Forgets lines of a page, by bit: the guest has changed them.</summary>
    public void Forget(CodePage page, ulong lines)
    {
        int place = page.Number & (Pages - 1);
        if (_pages[place] != page)
        {
            return;
        }

        for (; lines != 0; lines &= lines - 1)
        {
            _decoded[(place * CodePage.Lines) + BitOperations.TrailingZeroCount(lines)] = 0;
        }
    }

    public void Dispose()
    {
        NativeMemory.Free(_ops);
        _ops = null;
    }
}
