using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.Plan;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>
/// Translates a block: plans it, whatever the host (<see cref="BlockPlan"/>), has the host's back end make code of the plan, and gives the
/// entries and jumps of that code to the page. Owner: whoever holds the lock of the translation cache.
/// </summary>
internal sealed unsafe class Translator(TranslationCache cache, CodeCache code, IHostBackend backend, bool lockstep) : IDisposable
{
    private readonly BlockPlan _plan = new(code, FindTranslated(backend), allFlags: lockstep);
    private readonly CodeSpace _space = new();

    /// <summary>The plan of the block that was translated last.</summary>
    public BlockPlan Plan => _plan;

    /// <summary>Forgets what was decoded of lines of a page.</summary>
    public void Forget(CodePage page, ulong lines) => _plan.Forget(page, lines);

    /// <summary>Translates from a word of a page on; gives each entry to the page.</summary>
    /// <param name="page">Has its number.</param>
    /// <param name="apart">Each access does its own look-up, and the page is given no entries.</param>
    /// <param name="scalableLength">The vector length of SVE, in bytes, that the code is for; 0 without SVE.</param>
    /// <param name="hot">Where the code goes that mostly runs: <see cref="IHostBackend.MaxBytes"/> at least.</param>
    /// <param name="cold">Where room for the <see cref="CodeBlock"/> and the ways out go, and as many bytes; a multiple of 8.</param>
    public BlockCode Translate(CodePage page, int word, bool apart, int scalableLength, byte* hot, byte* cold)
    {
        _plan.Make(page, word, apart, scalableLength);
        _space.Open(hot, cold, _plan.Length);
        backend.Emit(_plan, _space);
        for (int i = 0; i < _space.Links.Count; i++)
        {
            cache.LinkJump(page, (byte*)_space.Links[i].Jump, cache.At(_space.Links[i].Entry));
        }

        for (int i = 0; i < _plan.Length; i++)
        {
            if (_plan.IsEntry(i) && !apart)
            {
                page.SetEntry(_plan.First + i, cache.OffsetOf(_space.Labels[i]));
            }
        }

        return new BlockCode(hot, _space.HotEnd, cold, _space.Ways, _space.ColdEnd);
    }

    public void Dispose() => _plan.Dispose();

    // Of each row of the encoding table, whether the back end makes code of it.
    private static bool[] FindTranslated(IHostBackend backend)
    {
        var translated = new bool[Decoding.EncodingTable.Rows.Length];
        for (int row = 0; row < translated.Length; row++)
        {
            translated[row] = backend.CanEmit(row);
        }

        return translated;
    }
}
