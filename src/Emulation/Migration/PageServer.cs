using System.Collections.Concurrent;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Migration;

/// <summary>
/// Sends the pages that a receiver misses whose guest runs already (postcopy): those that it asks for at once, and all others one after the
/// other, from the page that was asked for last. Nobody writes the RAM.
/// </summary>
/// <param name="missing">What the receiver misses; this object's from now on.</param>
/// <param name="limit">How fast pages are sent that nobody has asked for.</param>
public sealed class PageServer(GuestMemory ram, MigrationReader reader, MigrationWriter writer, PageBits missing, RateLimit limit)
{
    // So many pages are sent before requests are looked at again: 64 KiB take less time than a request takes on its way.
    private const int AtOnce = 16;

    private readonly ConcurrentQueue<int> _requests = [];

    // What was asked for on this link. Only the thread that listens uses it: however much a receiver asks, the queue stays short.
    private readonly PageBits _asked = new(ram);
    private volatile Exception? _failure;
    private long _left = missing.Count;
    private long _requested;

    /// <summary>Pages that are still to be sent. Any thread.</summary>
    public long Left => Volatile.Read(ref _left);

    /// <summary>Pages that were asked for. Any thread.</summary>
    public long Requested => Volatile.Read(ref _requested);

    /// <summary>Returns when the receiver has all pages. The calling thread sends, and another one hears what is asked for.</summary>
    /// <exception cref="MigrationException">The receiver says what cannot be.</exception>
    /// <exception cref="IOException">The link is lost.</exception>
    /// <exception cref="OperationCanceledException">It was stopped; the stream is closed then.</exception>
    public void Run(CancellationToken stop)
    {
        var listener = new Thread(Listen) { Name = "migration-requests", IsBackground = true };
        listener.Start();
        int next = 0;
        while (Left > 0)
        {
            stop.ThrowIfCancellationRequested();
            ThrowFailure();
            if (_requests.TryDequeue(out int page))
            {
                next = Send(page);
                continue;
            }

            next = Send(next);
            limit.Spend(AtOnce * GuestMemory.PageSize, stop);
        }

        writer.Write(MigrationRecordKind.Complete);
        writer.Flush();
        listener.Join();
        ThrowFailure();
    }

    private void ThrowFailure()
    {
        if (_failure is { } failure)
        {
            throw failure is MigrationException ? failure : new IOException(failure.Message, failure);
        }
    }

    // Sends some pages from the first missing one on that is not before `from`, or else from the first of all. Where it ended.
    private int Send(int from)
    {
        int page = missing.Next(from) is >= 0 and var found ? found : missing.Next(0);
        int first = page;
        for (int sent = 0; sent < AtOnce && page < missing.Length && missing[page]; sent++, page++)
        {
            missing[page] = false;
            ReadOnlySpan<byte> bytes = ram.Span(ram.Start + ((ulong)page * GuestMemory.PageSize), GuestMemory.PageSize);
            if (bytes.ContainsAnyExcept((byte)0))
            {
                writer.AddPage(bytes);
                continue;
            }

            writer.CompletePages(first);
            writer.Write(MigrationRecordKind.ZeroPages, (uint)page | (1ul << 32));
            first = page + 1;
        }

        writer.CompletePages(first);
        writer.Flush();
        Volatile.Write(ref _left, missing.Count);
        return page;
    }

    private void Ask(int page)
    {
        if (!_asked[page])
        {
            _asked[page] = true;
            Volatile.Write(ref _requested, _requested + 1);
            _requests.Enqueue(page);
            limit.Wake();
        }
    }

    private void Listen()
    {
        try
        {
            while (true)
            {
                MigrationRecord record = reader.Next();
                switch (record.Kind)
                {
                    case MigrationRecordKind.Complete:
                        return;
                    case MigrationRecordKind.Request when record.Argument < (ulong)missing.Length:
                        Ask((int)record.Argument);
                        break;
                    default:
                        throw new MigrationException($"the receiver sends a record {record.Kind} in place of a request for a page");
                }
            }
        }
        catch (Exception e) when (e is IOException or MigrationException or ObjectDisposedException)
        {
            _failure = e;
            limit.Wake();
        }
    }
}
