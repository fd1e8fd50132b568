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
    private Op* _ops = (Op*)NativeMemory.AllocZeroed(Pages * CodePage.Words, (nuint)sizeof(Op));
    private CodePage _page = null!;

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
        int place = page.Number & (Pages - 1);
        First = _ops + (place * CodePage.Words);
        Lines = 0;
        _page = page;
        if (_pages[place] != page)
        {
            _pages[place] = page;
            Forget(First, CodePage.AllLines);
        }
    }

    /// <summary>The decoded op of a word of the open page.</summary>
    public Op* At(int word)
    {
        Lines |= 1ul << (word / CodePage.LineWords);
        Op* op = First + word;
        if (op->Decoded == 0)
        {
            *op = new Op { Offset = op->Offset };
            _code.Fill(op, _page.Read(word));
        }

        return op;
    }

    /// <summary>Forgets lines of a page, by bit: the guest has changed them.</summary>
    public void Forget(CodePage page, ulong lines)
    {
        int place = page.Number & (Pages - 1);
        if (_pages[place] == page)
        {
            Forget(_ops + (place * CodePage.Words), lines);
        }
    }

    private static void Forget(Op* ops, ulong lines)
    {
        for (int line = 0; line < CodePage.Lines; line++)
        {
            for (int i = 0; ((lines >> line) & 1) != 0 && i < CodePage.LineWords; i++)
            {
                ops[(line * CodePage.LineWords) + i].Decoded = 0;
            }
        }
    }

    public void Dispose()
    {
        NativeMemory.Free(_ops);
        _ops = null;
    }
}
