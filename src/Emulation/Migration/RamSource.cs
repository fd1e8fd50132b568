using System.Diagnostics;
using System.Runtime.CompilerServices;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Migration;

/// <summary>
/// Sends RAM while the guest may write it: first all of it, and then again and again what has been written meanwhile. What a page is sent
/// as is a derived class's. One thread at a time.
/// </summary>
/// <param name="ram">The RAM.</param>
/// <param name="log">Started by <see cref="SendAll"/>. The owner stops it.</param>
/// <param name="limit">How fast, while the guest runs.</param>
public abstract class RamSource(GuestMemory ram, DirtyLog log, RateLimit limit)
{
    // The limit is asked once for so many bytes.
    private const int Slice = 64 << 10;

    // Bytes of a pass that tell how fast the link is.
    private const int LongPass = 1 << 20;

    private long _zeroPages;
    private long _normalPages;
    private long _remaining;
    private volatile bool _interrupted;

    // Of the pass under way: whether the guest runs, bytes that are still to be taken from the limit, and the time waited for it.
    private bool _limited;
    private long _unspent;
    private long _waited;

    protected GuestMemory Ram { get; } = ram;

    /// <summary>Pages that were sent as zeros, or left out of the first pass because they are. Any thread.</summary>
    public long ZeroPages => Volatile.Read(ref _zeroPages);

    /// <summary>Pages that were sent whole. Any thread.</summary>
    public long NormalPages => Volatile.Read(ref _normalPages);

    /// <summary>Pages that this pass has still to send. Any thread.</summary>
    public long Remaining => Volatile.Read(ref _remaining);

    /// <summary>Bytes that were written. Any thread.</summary>
    public abstract long Written { get; }

    /// <summary>Bytes that the link took in a second in the last long pass. Waiting for the limit does not count.</summary>
    public long LinkBytesPerSecond { get; private set; }

    /// <summary>Ends the pass under way, and each later one that is limited, before all pages have been sent. Any thread.</summary>
    public void Interrupt()
    {
        _interrupted = true;
        limit.Wake();
    }

    /// <summary>The first pass: all of RAM. Pages of zeros are left out, because the receiver's RAM is zero.</summary>
    /// <returns>Pages that were not sent, in order; none but after <see cref="Interrupt"/>.</returns>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public int[] SendAll(CancellationToken stop)
    {
        log.Start();
        bool[] present = Ram.PresentPages();
        int[] pages = [.. Enumerable.Range(0, present.Length).Where(page => present[page])];
        Volatile.Write(ref _zeroPages, present.Length - pages.Length);
        Announce(pages);
        return Pass(pages, limited: true, sendZeros: false, stop);
    }

    /// <summary>Another pass.</summary>
    /// <param name="pages">Their numbers, in order (<see cref="DirtyLog.Harvest"/>).</param>
    /// <param name="limited">The guest runs, so there is time.</param>
    /// <returns>Pages that were not sent, in order; none but after <see cref="Interrupt"/>.</returns>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public int[] Send(int[] pages, bool limited, CancellationToken stop) =>
        Pass(pages, limited, sendZeros: true, stop);

    private int[] Pass(int[] pages, bool limited, bool sendZeros, CancellationToken stop)
    {
        (_limited, _unspent, _waited) = (limited, 0, 0);
        long began = Stopwatch.GetTimestamp();
        (long written, long normal) = (Written, NormalPages);
        int next = 0;
        for (; next < pages.Length && !(limited && _interrupted); next++)
        {
            Put(pages[next], sendZeros, stop);
            Volatile.Write(ref _remaining, pages.Length - next - 1);
        }

        EndPass(sendZeros, stop);
        Volatile.Write(ref _remaining, 0);

        // A short pass says nothing of the link: what it had to send is in a buffer. What was left out by compression counts as sent.
        long sent = Math.Max(Written - written, (NormalPages - normal) * GuestMemory.PageSize);
        if (sent >= LongPass || LinkBytesPerSecond == 0)
        {
            long taken = Math.Max(Stopwatch.GetTimestamp() - began - _waited, 1);
            LinkBytesPerSecond = Math.Max((long)((double)sent * Stopwatch.Frequency / taken), 1);
        }

        return next == pages.Length ? [] : pages[next..];
    }

    /// <summary>The first pass will be of these pages, or of those among them that are not zero.</summary>
    protected virtual void Announce(int[] first)
    {
    }

    /// <summary>A page of the pass under way is to be sent, now or with later ones. They come in order.</summary>
    /// <param name="sendZeros">Also if it is zero.</param>
    protected abstract void Put(int page, bool sendZeros, CancellationToken stop);

    /// <summary>What is still to be sent of this pass is sent.</summary>
    protected abstract void EndPass(bool sendZeros, CancellationToken stop);

    /// <summary>The bytes of a page. The guest may write them meanwhile.</summary>
    protected ReadOnlySpan<byte> BytesOf(int page) =>
        Ram.Span(Ram.Start + ((ulong)page * GuestMemory.PageSize), GuestMemory.PageSize);

    // Apart, because what depends on the host's vectors is not compiled ahead, and all of a pass would not be with it.
    [MethodImpl(MethodImplOptions.NoInlining)]
    protected static bool IsZero(ReadOnlySpan<byte> page) => !page.ContainsAnyExcept((byte)0);

    /// <summary>Counts pages that were found zero.</summary>
    protected void CountZeros(int pages) => Volatile.Write(ref _zeroPages, _zeroPages + pages);

    /// <summary>Counts pages that were sent whole, and waits if that was faster than is allowed.</summary>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    protected void Spend(int pages, CancellationToken stop)
    {
        stop.ThrowIfCancellationRequested();
        Volatile.Write(ref _normalPages, _normalPages + pages);
        _unspent += (long)pages * GuestMemory.PageSize;
        if (_limited && _unspent >= Slice)
        {
            _waited += limit.Spend(_unspent, stop);
            _unspent = 0;
        }
    }
}
