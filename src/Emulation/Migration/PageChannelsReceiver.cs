using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Migration;

/// <summary>
/// The receiver's channels for pages beside the stream of a migration (multifd), each with a thread. At the end of each pass all of them
/// and the stream wait for each other, so no page takes the place of one of a later pass. Anybody can connect where channels are waited
/// for: whoever does not say that it is one of this session is turned away. A channel whose first bytes are lost is turned away too; its
/// sender finds the link lost.
/// </summary>
public sealed class PageChannelsReceiver : IDisposable
{
    // So many who have not said yet what they are may be connected, beside the channels.
    private const int Strangers = 16;

    // So long a channel may be behind the stream.
    private static readonly TimeSpan s_longestLag = TimeSpan.FromSeconds(20);

    private readonly GuestMemory _ram;
    private readonly Guid _session;
    private readonly TimeSpan _timeout;
    private readonly TimeSpan _lag;
    private readonly Action<string> _turnedAway;
    private readonly Action _failed;
    private readonly SemaphoreSlim _room;
    private readonly CancellationTokenSource _allCame = new();
    private readonly Barrier _passEnds;
    private readonly CancellationTokenSource _over = new();
    private readonly Lock _lock = new();

    // Guarded by the lock.
    private readonly List<Stream> _streams = [];
    private readonly List<Thread> _threads = [];
    private readonly RamSink?[] _sinks;
    private int _came;
    private bool _closed;
    private Exception? _failure;

    // Only the thread of the stream uses it.
    private ulong _passes;

    /// <param name="session">Of the migration.</param>
    /// <param name="channels">How many there are to be.</param>
    /// <param name="timeout">How long whoever connects has to say what it is.</param>
    /// <param name="turnedAway">Called for whoever was no channel, by its thread: why, as one line.</param>
    /// <param name="failed">Called once when one of them fails, by its thread: the stream is to be closed.</param>
    public PageChannelsReceiver(
        GuestMemory ram, Guid session, int channels, TimeSpan timeout, Action<string> turnedAway, Action failed)
    {
        _ram = ram;
        _session = session;
        _timeout = timeout;
        _lag = timeout < s_longestLag ? timeout : s_longestLag;
        _turnedAway = turnedAway;
        _failed = failed;
        _room = new SemaphoreSlim(channels + Strangers);
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

    /// <summary>Cancelled when all channels have come.</summary>
    public CancellationToken AllCame => _allCame.Token;

    /// <summary>Waits until not too many are connected. Each <see cref="Add"/> follows such a wait.</summary>
    public void AwaitRoom(CancellationToken stop) => _room.Wait(stop);

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

    // Nobody waits for the calling thread any more.
    private void TurnAway(Stream stream, string why)
    {
        lock (_lock)
        {
            if (_closed)
            {
                return;
            }

            _streams.Remove(stream);
            _threads.Remove(Thread.CurrentThread);
        }

        stream.Dispose();
        _room.Release();
        _turnedAway(why);
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
            // Whatever a channel has sent, it has sent before: one that has not come by now was lost on its way.
            if (WaitHandle.WaitAny([AllCame.WaitHandle, either.Token.WaitHandle], _lag) == WaitHandle.WaitTimeout)
            {
                throw new IOException($"a multifd channel was lost: of {_sinks.Length}, only {Volatile.Read(ref _came)} have come");
            }

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
            if (Introduce(stream) is not var (reader, sink))
            {
                return;
            }

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

    // Null for one who was turned away.
    private (MigrationReader Reader, RamSink Sink)? Introduce(Stream stream)
    {
        using var silence = new CancellationTokenSource(_timeout);
        try
        {
            using (silence.Token.Register(stream.Dispose))
            {
                var reader = new MigrationReader(stream);
                reader.ReadMagic();
                return (reader, Take(reader.Expect(MigrationRecordKind.Channel), reader));
            }
        }
        catch (Exception e) when (e is MigrationException or IOException or ObjectDisposedException)
        {
            TurnAway(stream, silence.IsCancellationRequested
                ? $"somebody connected as a multifd channel and did not say what it is within {_timeout.TotalSeconds:0.###} s"
                : $"somebody connected who is no multifd channel of this migration ({e.Message})");
            return null;
        }
    }

    private RamSink Take(MigrationRecord record, MigrationReader reader)
    {
        byte[] session = reader.ReadPayload();
        RamSink sink;
        lock (_lock)
        {
            if (!session.AsSpan().SequenceEqual(_session.ToByteArray()) || record.Argument >= (ulong)_sinks.Length
                || _sinks[record.Argument] != null)
            {
                throw new MigrationException("it has another session or number");
            }

            sink = _sinks[record.Argument] = new RamSink(_ram, reader);
            if (++_came < _sinks.Length)
            {
                return sink;
            }
        }

        _allCame.Cancel();
        return sink;
    }

    private static void RequirePass(ulong argument, ulong expected)
    {
        if (argument != expected)
        {
            throw new MigrationException($"the migration stream ends pass {argument} in place of {expected}");
        }
    }
}
