using System.Numerics;

namespace Vmm.Emulation.Memory;

/// <summary>
/// Which pages of RAM have been written since they were last asked for. While it is off it costs the run path nothing; while it is on, the
/// MMU grants no write tag to a clean page, so the first store to each page after a <see cref="Harvest"/> takes the slow path, which marks
/// it.
/// </summary>
/// <remarks>
/// Ordering. A vCPU marks a page before it writes it, or is granted the tag to. <see cref="Harvest"/> takes the marks and then waits until
/// each vCPU that executes has forgotten its translations, at the end of an instruction. So a write is either over when Harvest returns,
/// and its page among those of this harvest or of the next; or it begins later and marks its page anew. A device marks after it has written
/// (<see cref="IDmaMemory"/>): a page that is copied in between is reported once more. Harvest and Stop have one caller at a time, who may
/// be any thread that no vCPU waits for.
/// </remarks>
public sealed class DirtyLog
{
    private const int BitsOfWord = 64;

    private readonly GuestMemory _memory;
    private readonly Action _forgetTranslations;

    // A bit for each page; set by vCPUs and devices, taken by Harvest, always interlocked.
    private readonly ulong[] _marks;

    /// <param name="memory">The RAM.</param>
    /// <param name="forgetTranslations">Makes every vCPU forget its translations, and returns when those that execute have.</param>
    public DirtyLog(GuestMemory memory, Action forgetTranslations)
    {
        _memory = memory;
        _forgetTranslations = forgetTranslations;
        _marks = new ulong[(memory.Size / GuestMemory.PageSize / BitsOfWord) + 1];
    }

    /// <summary>Reports what is written from now on.</summary>
    public void Start()
    {
        Array.Clear(_marks);
        _memory.SetLog(this);
        _forgetTranslations();
    }

    /// <summary>Reports nothing any more. Pages get their write tags back as they are next written.</summary>
    public void Stop() => _memory.SetLog(null);

    /// <summary>
    /// Takes the pages that were written since the log was started or last asked: their numbers from the start of RAM, in order.
    /// </summary>
    public int[] Harvest()
    {
        var pages = new List<int>();
        for (int word = 0; word < _marks.Length; word++)
        {
            if (Volatile.Read(ref _marks[word]) == 0)
            {
                continue;
            }

            for (ulong marks = Interlocked.Exchange(ref _marks[word], 0); marks != 0; marks &= marks - 1)
            {
                pages.Add((word * BitsOfWord) + BitOperations.TrailingZeroCount(marks));
            }
        }

        _forgetTranslations();
        return [.. pages];
    }

    /// <summary>A page was or is to be written. Any thread.</summary>
    internal void Mark(ulong page)
    {
        ulong bit = 1ul << (int)(page % BitsOfWord);
        ref ulong word = ref _marks[page / BitsOfWord];
        if ((Volatile.Read(ref word) & bit) == 0)
        {
            Interlocked.Or(ref word, bit);
        }
    }

    internal bool IsMarked(ulong page) => (Volatile.Read(ref _marks[page / BitsOfWord]) & (1ul << (int)(page % BitsOfWord))) != 0;
}
