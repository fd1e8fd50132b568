using System.Numerics;
using System.Threading.Channels;

namespace Vmm.Emulation.Memory;

/// <summary>
/// The pages of RAM that have not arrived yet: after a postcopy migration the guest runs before all of its RAM is there. While pages are
/// missing, the MMU caches no translation of one. The first access to it takes the slow path, which asks for it
/// (<see cref="Requests"/>). A vCPU then leaves <c>Run</c> with the access not made, and repeats it when it next runs. A device's access
/// through <see cref="IDmaMemory"/> throws <see cref="MissingPageException"/> before a byte has moved. When nothing is missing the run path
/// knows nothing of it.
/// </summary>
/// <remarks>
/// Ordering. <see cref="Arrive"/> copies a page and then takes its bit down with an interlocked operation; whoever finds the bit down sees
/// the bytes. A page never becomes missing again, so a look at its bit before an access is enough. Arrive then wakes the vCPUs that wait:
/// a vCPU says that it waits, fences and looks at the bit once more, so one of the two sees the other.
/// <para>A lost link changes nothing here. vCPUs that need a page stay parked, and their actors pause, reset and stop as ever.</para>
/// </remarks>
public sealed class MissingPages
{
    private const int BitsOfWord = 64;

    private readonly GuestMemory _memory;
    private readonly Action _forgetTranslations;
    private readonly Action _wakeWaiting;

    // Arrivals, one at a time, and the end: what has been given up is not written any more. No vCPU takes it.
    private readonly Lock _lock = new();

    // Its monitor is what threads of devices wait at; it is taken under no other lock.
    private readonly object _arrivals = new();

    // A bit for each page. Replaced by Start while no vCPU runs; bits of _missing go down under _lock, those of _requested go up on any
    // thread, always interlocked.
    private ulong[] _missing = [];
    private ulong[] _requested = [];

    // Under _lock.
    private int _count;
    private Channel<int> _requests = NewChannel();

    /// <param name="memory">The RAM.</param>
    /// <param name="forgetTranslations">Makes every vCPU forget its translations, and returns when those that execute have.</param>
    /// <param name="wakeWaiting">Wakes the vCPUs that wait for a page.</param>
    public MissingPages(GuestMemory memory, Action forgetTranslations, Action wakeWaiting)
    {
        _memory = memory;
        _forgetTranslations = forgetTranslations;
        _wakeWaiting = wakeWaiting;
    }

    /// <summary>
    /// The pages that somebody needs, each when it is needed first, as numbers from the start of RAM. It completes when nothing is missing
    /// any more. One reader at a time.
    /// </summary>
    public ChannelReader<int> Requests
    {
        get
        {
            lock (_lock)
            {
                return _requests.Reader;
            }
        }
    }

    /// <summary>How many pages are missing. Any thread.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _count;
            }
        }
    }

    /// <summary>Says what has not arrived. No vCPU runs.</summary>
    /// <param name="missing">A bit for each page, from the start of RAM, the least significant of a word first. Pages that were received
    /// once and have been written at the sender since are among them.</param>
    /// <exception cref="ArgumentException">There are not as many bits as RAM has pages.</exception>
    public void Start(ReadOnlySpan<ulong> missing)
    {
        int pages = (int)(_memory.Size >> GuestMemory.PageShift);
        int words = (pages + BitsOfWord - 1) / BitsOfWord;
        ulong behind = pages % BitsOfWord == 0 ? 0 : ulong.MaxValue << (pages % BitsOfWord);
        if (missing.Length != words || (missing[^1] & behind) != 0)
        {
            throw new ArgumentException($"RAM has {pages} pages, so {words} words of bits and none behind them", nameof(missing));
        }

        int count = 0;
        foreach (ulong word in missing)
        {
            count += BitOperations.PopCount(word);
        }

        lock (_lock)
        {
            _missing = missing.ToArray();
            _requested = new ulong[words];
            _requests = NewChannel();
            _count = count;
            if (count == 0)
            {
                Finish();
                return;
            }

            _memory.SetMissing(this);
        }

        _forgetTranslations();
    }

    /// <summary>
    /// A page has come: copies it into RAM, unless it is there already or is not wanted any more. Any thread that no vCPU waits for.
    /// </summary>
    /// <param name="page">Its number from the start of RAM.</param>
    /// <param name="bytes">Its bytes; none for a page of zeros.</param>
    /// <returns>Whether it was missing.</returns>
    public bool Arrive(int page, ReadOnlySpan<byte> bytes)
    {
        bool wanted;
        lock (_lock)
        {
            if (!IsMissing(page))
            {
                return false;
            }

            Span<byte> place = _memory.Span(_memory.Start + ((ulong)page << GuestMemory.PageShift), GuestMemory.PageSize);
            if (bytes.Length > 0)
            {
                bytes.CopyTo(place);
            }
            else if (place.ContainsAnyExcept((byte)0))
            {
                // A page that was never written reads zero and takes no room; it is left so.
                place.Clear();
            }

            Interlocked.And(ref _missing[page / BitsOfWord], ~BitOf(page));
            wanted = (Volatile.Read(ref _requested[page / BitsOfWord]) & BitOf(page)) != 0;
            if (--_count == 0)
            {
                Finish();
            }
        }

        if (wanted)
        {
            WakeWaiting();
        }

        return true;
    }

    /// <summary>What has not arrived is not needed any more: RAM is replaced as a whole. No vCPU runs.</summary>
    public void GiveUp()
    {
        lock (_lock)
        {
            Array.Clear(_missing);
            _count = 0;
            Finish();
        }

        WakeWaiting();
    }

    /// <summary>
    /// Asks once more for each page that was asked for and has not come: the link was lost, and with it requests or answers.
    /// </summary>
    public void AskAgain()
    {
        lock (_lock)
        {
            for (int word = 0; word < _missing.Length; word++)
            {
                for (ulong bits = _missing[word] & Volatile.Read(ref _requested[word]); bits != 0; bits &= bits - 1)
                {
                    _requests.Writer.TryWrite((word * BitsOfWord) + BitOperations.TrailingZeroCount(bits));
                }
            }
        }
    }

    /// <summary>The missing pages as <see cref="Start"/> takes them. Any thread.</summary>
    public ulong[] ToBits()
    {
        lock (_lock)
        {
            return [.. _missing];
        }
    }

    /// <summary>Whether a page has not arrived. Any thread.</summary>
    public bool IsMissing(int page) =>
        page / BitsOfWord < _missing.Length && (Volatile.Read(ref _missing[page / BitsOfWord]) & BitOf(page)) != 0;

    /// <summary>
    /// Waits until a page that was asked for has arrived, or for so long; or it returns before, and the caller looks again. On a thread
    /// that no vCPU waits for.
    /// </summary>
    internal void Await(int page, TimeSpan most)
    {
        lock (_arrivals)
        {
            // A page that arrives after this look wakes whoever waits.
            if (IsMissing(page))
            {
                Monitor.Wait(_arrivals, most);
            }
        }
    }

    /// <summary>Whether a page is there; asks for it if it is not. Any thread.</summary>
    internal bool TryUse(int page)
    {
        if (!IsMissing(page))
        {
            return true;
        }

        // The write that is first for a page goes on: there is a lock in the channel, but nobody holds it for long.
        if ((Interlocked.Or(ref _requested[page / BitsOfWord], BitOf(page)) & BitOf(page)) == 0)
        {
            _requests.Writer.TryWrite(page);
        }

        // A page that came between the two looks had nobody to wake.
        return !IsMissing(page);
    }

    private void WakeWaiting()
    {
        _wakeWaiting();
        lock (_arrivals)
        {
            Monitor.PulseAll(_arrivals);
        }
    }

    private void Finish()
    {
        _memory.SetMissing(null);
        _requests.Writer.TryComplete();
    }

    private static ulong BitOf(int page) => 1ul << (page % BitsOfWord);

    // Continuations of the reader do not run on the thread of a vCPU.
    private static Channel<int> NewChannel() =>
        Channel.CreateUnbounded<int>(new UnboundedChannelOptions { SingleReader = true, AllowSynchronousContinuations = false });
}

/// <summary>
/// An access to RAM whose page has not arrived; nothing was read or written. The page has been asked for, and whoever made the access
/// repeats it. That of a vCPU's own access to a device does so by itself.
/// </summary>
public sealed class MissingPageException(GuestMemory memory, ulong address)
    : Exception($"the page of RAM at 0x{address:x} has not arrived")
{
    /// <summary>Guest physical address of the first byte that is missing.</summary>
    public ulong Address { get; } = address;

    /// <summary>
    /// Waits until the page has arrived, or for so long; the access is to be made again then. On a thread that no vCPU waits for.
    /// </summary>
    public void Await(TimeSpan most) => memory.Await(Address, most);
}
