using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Migration;

/// <summary>
/// The receiver's channels for pages beside the stream of a migration (multifd), each with a thread. At the end of each pass all of them
/// and the stream wait for each other, so no page takes the place of one of a later pass.
/// </summary>
public sealed class PageChannelsReceiver : IDisposable
{
    private readonly GuestMemory _ram;
    private readonly Guid _session;
    private readonly Action _failed;
    private readonly Barrier _passEnds;
    private readonly CancellationTokenSource _over = new();
    private readonly Lock _lock = new();

    // Guarded by the lock.
    private readonly List<Stream> _streams = [];
    private readonly List<Thread> _threads = [];
    private readonly RamSink?[] _sinks;
    private bool _closed;
    private Exception? _failure;

    // Only the thread of the stream uses it.
    private ulong _passes;

    /// <param name="session">Of the migration.</param>
    /// <param name="channels">How many there are to be.</param>
    /// <param name="failed">Called once when one of them fails, by its thread: the stream is to be closed.</param>
    public PageChannelsReceiver(GuestMemory ram, Guid session, int channels, Action failed)
    {
        _ram = ram;
        _session = session;
        _failed = failed;
        _sinks = new RamSink?[channels];
        _passEnds = new Barrier(channels + 1);
    }

    /// <summary>Pages that came whole. Any thread.</summary>
    public long Pages
    {
        get
        {
            lock (_lock)
            {
                return _sinks.Sum(s => s?.Pages ?? 0);
            }
        }
    }

    /// <summary>Bytes that were read. Any thread.</summary>
    public long Read
    {
        get
        {
            lock (_lock)
            {
                return _sinks.Sum(s => s?.Read ?? 0);
            }
        }
    }

    /// <summary>Somebody has connected who is to be a channel. Any thread.</summary>
    /// <param name="stream">This object's from now on.</param>
    public void Add(Stream stream)
    {
        lock (_lock)
        {
            if (_closed)
            {
                stream.Dispose();
                return;
            }

            _streams.Add(stream);
            var thread = new Thread(() => Run(stream)) { Name = "multifd", IsBackground = true };
            _threads.Add(thread);
            thread.Start();
        }
    }

    /// <summary>A channel that is to come cannot. Any thread.</summary>
    public void Fail(Exception failure)
    {
        bool first;
        lock (_lock)
        {
            first = !_closed && _failure == null;
            if (first)
            {
                _failure = failure;
            }
        }

        if (first)
        {
            _over.Cancel();
            _failed();
        }
    }

    /// <summary>A Sync has come by the stream; returns when it has come by all channels.</summary>
    /// <param name="argument">Of its record.</param>
    /// <exception cref="MigrationException">It cannot be, or a channel is damaged.</exception>
    /// <exception cref="IOException">A channel is lost.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public void Sync(ulong argument, CancellationToken stop)
    {
        RequirePass(argument, ++_passes);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stop, _over.Token);
        try
        {
            _passEnds.SignalAndWait(either.Token);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            ThrowFailure();
            throw;
        }
    }

    /// <summary>All has come: no channel touches RAM when this returns.</summary>
    /// <exception cref="MigrationException">A channel is damaged.</exception>
    /// <exception cref="IOException">A channel is lost.</exception>
    public void End()
    {
        Dispose();
        ThrowFailure();
    }

    /// <summary>Why the channels have failed, if they have.</summary>
    /// <exception cref="MigrationException">A channel is damaged.</exception>
    /// <exception cref="IOException">A channel is lost.</exception>
    public void ThrowFailure()
    {
        lock (_lock)
        {
            if (_failure is { } failure)
            {
                throw failure is MigrationException ? failure : new IOException(failure.Message, failure);
            }
        }
    }

    public void Dispose()
    {
        Thread[] threads;
        lock (_lock)
        {
            _closed = true;
            threads = [.. _threads];
            _threads.Clear();
            _streams.ForEach(s => s.Dispose());
        }

        _over.Cancel();
        Array.ForEach(threads, t => t.Join());
    }

    private void Run(Stream stream)
    {
        try
        {
            var reader = new MigrationReader(stream);
            reader.ReadMagic();
            RamSink sink = Introduce(reader);
            ulong passes = 0;
            while (true)
            {
                MigrationRecord record = reader.Next();
                switch (record.Kind)
                {
                    case MigrationRecordKind.Pages or MigrationRecordKind.CompressedPages:
                        sink.Take(record);
                        break;
                    case MigrationRecordKind.Sync:
                        RequirePass(record.Argument, ++passes);
                        _passEnds.SignalAndWait(_over.Token);
                        break;
                    default:
                        throw new MigrationException($"a multifd channel has a record {record.Kind} in place of pages");
                }
            }
        }
        catch (Exception e)
        {
            Fail(e);
        }
    }

    private RamSink Introduce(MigrationReader reader)
    {
        MigrationRecord record = reader.Expect(MigrationRecordKind.Channel);
        byte[] session = reader.ReadPayload();
        lock (_lock)
        {
            return session.AsSpan().SequenceEqual(_session.ToByteArray()) && record.Argument < (ulong)_sinks.Length
                && _sinks[record.Argument] == null
                ? _sinks[record.Argument] = new RamSink(_ram, reader)
                : throw new MigrationException("somebody has connected who is no multifd channel of this migration");
        }
    }

    private static void RequirePass(ulong argument, ulong expected)
    {
        if (argument != expected)
        {
            throw new MigrationException($"the migration stream ends pass {argument} in place of {expected}");
        }
    }
}
