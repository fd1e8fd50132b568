using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Vmm.Emulation.Tracing;

/// <summary>
/// Writes the trace lines of all threads to a stream, in one order. Lines go through a buffer of <see cref="BufferSize"/> bytes, which a
/// thread of its own empties. A thread that finds the buffer full waits at most for <see cref="Patience"/>, and only once. While the stream
/// takes nothing, lines are counted instead of written, and the trace says how many are missing. Writing never throws, so a full disk
/// cannot stop a vCPU.
/// </summary>
public sealed class TraceLog : IDisposable
{
    public const int BufferSize = 1 << 20;
    public static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(200);

    // The room that the buffer keeps for the line that says how many lines are missing.
    private const int Reserve = 64;

    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(5);

    private readonly object _gate = new();
    private readonly Stream _output;
    private readonly Thread _writer;
    private readonly long _start = Stopwatch.GetTimestamp();
    private byte[] _filling = new byte[BufferSize];
    private byte[] _emptying = new byte[BufferSize];
    private int _used;
    private long _missing;
    private bool _stuck;
    private bool _ended;
    private string? _failure;

    /// <param name="output">The stream, disposed with the trace.</param>
    /// <param name="categories">The categories for which <see cref="Traces"/> returns true.</param>
    public TraceLog(Stream output, TraceCategories categories)
    {
        _output = output;
        Categories = categories;
        _writer = new Thread(Empty) { IsBackground = true, Name = "trace" };
        _writer.Start();
    }

    public TraceCategories Categories { get; }

    /// <summary>The number of lines that were not written.</summary>
    public long Lost { get; private set; }

    /// <summary>The reason why the stream takes no more; null if nothing went wrong.</summary>
    public string? Failure => Volatile.Read(ref _failure);

    public bool Traces(TraceCategories category) => (Categories & category) != 0;

    /// <summary>Adds a line with the seconds since the trace began, the category and the text. It never throws. Any thread.</summary>
    public void Write(TraceCategories category, string text) => Write(Stopwatch.GetTimestamp(), TraceCategoryNames.NameOf(category), text);

    /// <summary>
    /// Adds a line <c>SECONDS time UTC</c>, with which the seconds of other lines can be compared with logs that have the time of day.
    /// </summary>
    public void WriteTimeOfDay()
    {
        // The first use of the clock takes milliseconds, which must not lie between the two readings.
        _ = DateTime.UtcNow;
        long now = Stopwatch.GetTimestamp();
        DateTime timeOfDay = DateTime.UtcNow;
        Write(now, "time", timeOfDay.ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ", CultureInfo.InvariantCulture));
    }

    private void Write(long now, string kind, string text)
    {
        double seconds = Stopwatch.GetElapsedTime(_start, now).TotalSeconds;
        string line = string.Create(CultureInfo.InvariantCulture, $"{seconds:F6} {kind} {text}\n");
        int size = Encoding.UTF8.GetByteCount(line);
        lock (_gate)
        {
            if (_ended || _failure != null || !HasRoom(size + Reserve))
            {
                Lost++;
                _missing++;
                return;
            }

            if (_missing != 0)
            {
                Append(string.Create(CultureInfo.InvariantCulture, $"({_missing} lines are missing here)\n"));
                _missing = 0;
            }

            Append(line);
        }
    }

    private bool HasRoom(int size)
    {
        while (_used + size > BufferSize && _failure == null && !_ended)
        {
            if (size > BufferSize || _stuck || !Monitor.Wait(_gate, Patience))
            {
                _stuck = true;
                return false;
            }
        }

        return true;
    }

    private void Append(string line)
    {
        if (_used == 0)
        {
            Monitor.PulseAll(_gate);
        }

        _used += Encoding.UTF8.GetBytes(line, _filling.AsSpan(_used));
    }

    // The loop of the thread that writes.
    private void Empty()
    {
        while (true)
        {
            int count;
            lock (_gate)
            {
                while (_used == 0 && !_ended)
                {
                    Monitor.Wait(_gate);
                }

                if (_used == 0)
                {
                    return;
                }

                (_filling, _emptying) = (_emptying, _filling);
                count = _used;
                _used = 0;
                _stuck = false;
                Monitor.PulseAll(_gate);
            }

            try
            {
                _output.Write(_emptying, 0, count);
                _output.Flush();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException or NotSupportedException)
            {
                lock (_gate)
                {
                    _failure = e.Message;
                    Monitor.PulseAll(_gate);
                }

                return;
            }
        }
    }

    /// <summary>Writes the rest, unless the stream takes nothing for seconds. Later lines are lost.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _ended = true;
            Monitor.PulseAll(_gate);
        }

        if (_writer.Join(s_farewell))
        {
            try
            {
                _output.Dispose();
            }
            catch (IOException e)
            {
                _failure ??= e.Message;
            }
        }
    }
}
