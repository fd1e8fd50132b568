using Vmm.Emulation.Memory;
using ZstdSharp;

namespace Vmm.Emulation.Migration;

/// <summary>
/// The sender's channels for pages beside the stream of a migration (multifd). Each has a thread, which compresses and sends. Pages go to
/// whichever thread is free, so a pass ends at all of them:
/// <code>
/// records of pages → threads, in any order → pass ends: each thread sends Sync when nothing is left → Sync on the stream
/// </code>
/// The receiver goes on beyond a Sync when it has come by all channels and by the stream.
/// </summary>
public sealed class PageChannels : IPageWriter, IDisposable
{
    // So many records for each channel are filled, waiting or on their way.
    private const int RecordsPerChannel = 2;

    private sealed class Record
    {
        public byte[] Bytes { get; } = new byte[MigrationRecord.LargestPages];

        public int Length { get; set; }

        public long First { get; set; }
    }

    private readonly MigrationWriter _main;
    private readonly Stream[] _streams;
    private readonly MigrationWriter[] _writers;
    private readonly Guid _session;
    private readonly int? _zstdLevel;

    // A monitor; it guards what follows.
    private readonly object _gate = new();
    private readonly Queue<Record> _work = [];
    private readonly Stack<Record> _free = [];
    private long _passes;
    private int _synchronized;
    private bool _closed;
    private Exception? _failure;

    // Only the thread that sends pages uses it.
    private Record? _filling;

    /// <param name="main">The stream of the migration.</param>
    /// <param name="streams">The channels, which belong to this from now on.</param>
    /// <param name="session">Of the migration.</param>
    /// <param name="zstdLevel">How hard zstd tries; null for no compression.</param>
    public PageChannels(MigrationWriter main, IReadOnlyList<Stream> streams, Guid session, int? zstdLevel)
    {
        _main = main;
        _streams = [.. streams];
        _writers = [.. streams.Select(s => new MigrationWriter(s))];
        _session = session;
        _zstdLevel = zstdLevel;
        for (int i = 0; i < streams.Count * RecordsPerChannel; i++)
        {
            _free.Push(new Record());
        }

        for (int i = 0; i < streams.Count; i++)
        {
            int channel = i;
            new Thread(() => Run(channel)) { Name = $"multifd-{channel}", IsBackground = true }.Start();
        }
    }

    public long Written => _main.Written + ChannelBytes;

    /// <summary>Those of them that went over the channels. Any thread.</summary>
    public long ChannelBytes => _writers.Sum(w => w.Written);

    public bool AddPage(ReadOnlySpan<byte> page)
    {
        Record record = _filling ??= TakeFree();
        page.CopyTo(record.Bytes.AsSpan(record.Length));
        record.Length += page.Length;
        return record.Length + GuestMemory.PageSize <= record.Bytes.Length;
    }

    public void CompletePages(long first)
    {
        if (_filling is { } record)
        {
            _filling = null;
            record.First = first;
            lock (_gate)
            {
                _work.Enqueue(record);
                Monitor.PulseAll(_gate);
            }
        }
    }

    public void EndPass()
    {
        lock (_gate)
        {
            _passes++;
            _synchronized = 0;
            Monitor.PulseAll(_gate);
            while (_synchronized < _writers.Length)
            {
                ThrowFailure();
                Monitor.Wait(_gate);
            }
        }

        _main.Write(MigrationRecordKind.Sync, (ulong)_passes);
    }

    /// <summary>Closes the channels. What was not sent is not.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _closed = true;
            Monitor.PulseAll(_gate);
        }

        Array.ForEach(_streams, s => s.Dispose());
    }

    private Record TakeFree()
    {
        lock (_gate)
        {
            while (_free.Count == 0)
            {
                ThrowFailure();
                Monitor.Wait(_gate);
            }

            ThrowFailure();
            Record record = _free.Pop();
            record.Length = 0;
            return record;
        }
    }

    private void ThrowFailure()
    {
        if (_failure is { } failure)
        {
            throw new IOException(failure.Message, failure);
        }

        ObjectDisposedException.ThrowIf(_closed, this);
    }

    private void Run(int channel)
    {
        try
        {
            MigrationWriter writer = _writers[channel];
            writer.WriteMagic();
            writer.Write(MigrationRecordKind.Channel, (ulong)channel, _session.ToByteArray());
            writer.Flush();
            using Compressor? compressor = _zstdLevel is { } level ? new Compressor(level) : null;
            byte[] frame = compressor == null ? [] : new byte[Compressor.GetCompressBound(MigrationRecord.LargestPages)];
            long passes = 0;
            while (Next(passes) is var (record, goesOn) && goesOn)
            {
                if (record != null)
                {
                    Send(writer, compressor, frame, record);
                    GiveBack(record);
                    continue;
                }

                passes++;
                writer.Write(MigrationRecordKind.Sync, (ulong)passes);
                writer.Flush();
                lock (_gate)
                {
                    _synchronized++;
                    Monitor.PulseAll(_gate);
                }
            }
        }
        catch (Exception e)
        {
            // The thread that sends pages is told, whatever it was.
            lock (_gate)
            {
                _failure ??= e;
                Monitor.PulseAll(_gate);
            }
        }
    }

    // What a thread that has ended some passes does next: a record, or with none the end of a pass; or it ends.
    private (Record? Record, bool GoesOn) Next(long passes)
    {
        lock (_gate)
        {
            while (true)
            {
                if (_closed || _failure != null)
                {
                    return (null, false);
                }

                if (_work.TryDequeue(out Record? record))
                {
                    return (record, true);
                }

                if (passes < _passes)
                {
                    return (null, true);
                }

                Monitor.Wait(_gate);
            }
        }
    }

    private void GiveBack(Record record)
    {
        lock (_gate)
        {
            _free.Push(record);
            Monitor.PulseAll(_gate);
        }
    }

    // A frame that is no shorter than its pages is not sent.
    private static void Send(MigrationWriter writer, Compressor? compressor, byte[] frame, Record record)
    {
        ReadOnlySpan<byte> pages = record.Bytes.AsSpan(0, record.Length);
        int length = compressor?.Wrap(pages, frame) ?? int.MaxValue;
        if (length < pages.Length)
        {
            ulong count = (ulong)record.Length / GuestMemory.PageSize;
            writer.Write(MigrationRecordKind.CompressedPages, (uint)record.First | (count << 32), frame.AsSpan(0, length));
        }
        else
        {
            writer.Write(MigrationRecordKind.Pages, (ulong)record.First, pages);
        }
    }
}
