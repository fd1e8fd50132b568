using Serilog;

namespace Vmm.Management.Certificates;

/// <summary>
/// What is read from files that may change while the program runs: they are looked at again about each second, when somebody asks. What
/// cannot be read changes nothing, and the log says why. Any thread may ask.
/// </summary>
/// <typeparam name="T">What the files say; it is not disposed, for somebody may still use it.</typeparam>
public sealed class WatchedFiles<T>
    where T : class
{
    private const long LookMilliseconds = 1000;

    private readonly Lock _lock = new();
    private readonly string _what;
    private readonly IReadOnlyList<string> _paths;
    private readonly Func<T> _read;

    // Replaced as a whole under the lock, as is all that follows.
    private volatile T _value;
    private DateTime[] _written;
    private long _looked;

    /// <param name="what">What they are, for the log, such as "the tokens".</param>
    /// <param name="read">Reads them. What it throws now is thrown here; what it throws later is for the log.</param>
    public WatchedFiles(string what, IReadOnlyList<string> paths, Func<T> read)
    {
        (_what, _paths, _read) = (what, paths, read);

        // What changes while it is read is read again.
        _written = Written();
        _value = read();
        _looked = Environment.TickCount64;
    }

    /// <summary>What the files say.</summary>
    public T Value
    {
        get
        {
            if (Environment.TickCount64 - Volatile.Read(ref _looked) >= LookMilliseconds)
            {
                Look();
            }

            return _value;
        }
    }

    private DateTime[] Written() => [.. _paths.Select(File.GetLastWriteTimeUtc)];

    private void Look()
    {
        lock (_lock)
        {
            Volatile.Write(ref _looked, Environment.TickCount64);
            DateTime[] written = Written();
            if (written.AsSpan().SequenceEqual(_written))
            {
                return;
            }

            _written = written;
            try
            {
                _value = _read();
                Log.Information("{What} were read again", _what);
            }
            catch (Exception e)
            {
                Log.Error("{Reason}; {What} stay as they were", e.Message, _what);
            }
        }
    }
}
