namespace Vmm.Actors.Devices;

/// <summary>
/// The threads that do a device's work, which may wait for the host. A thread takes a request from a ring, does it, gives it back, and
/// takes the next; so a ring is its own queue, and no more requests are under way than there are threads. Threads are started as they are
/// needed, and end when they have had nothing to do for a while. They begin paused.
/// </summary>
/// <param name="name">The name of the threads.</param>
/// <param name="most">How many threads there are at most.</param>
/// <param name="broken">Is told of what should never be thrown.</param>
internal abstract class BackendThreads(string name, int most, Action<Exception> broken)
{
    private static readonly TimeSpan s_idle = TimeSpan.FromSeconds(10);

    /// <summary>How long a thread waits for a page of RAM that has not arrived before it looks whether it is to pause.</summary>
    protected static readonly TimeSpan PageWait = TimeSpan.FromMilliseconds(20);

    // What is to be done on a thread when nothing is under way. This and what follows is under Gate.
    private readonly Queue<Action> _whenIdle = [];
    private int _threads;
    private int _sleeping;
    private int _busy;

    // Written under Gate, read without it between two requests.
    private volatile bool _paused = true;
    private volatile bool _ended;

    /// <summary>The monitor of this object is the lock over what there is to do; nobody blocks on the host while it is held.</summary>
    protected object Gate { get; } = new();

    /// <summary>Whether no more requests are to be taken. Under <see cref="Gate"/>, or between two requests.</summary>
    protected bool IsPaused => _paused;

    /// <summary>Whether the threads are to end. Under <see cref="Gate"/>, or between two requests.</summary>
    protected bool IsEnded => _ended;

    /// <summary>Whether there is a piece of work for a thread. Under <see cref="Gate"/>.</summary>
    protected abstract bool HasPieces { get; }

    /// <summary>Takes the next piece of work; null for none. Under <see cref="Gate"/>.</summary>
    protected abstract Action? TakePiece();

    /// <summary>The end of the requests under way is waited for, so none is to wait because of limits; or they may again.</summary>
    protected virtual void Hurry(bool on)
    {
    }

    /// <summary>There may be work in every ring. Under <see cref="Gate"/>.</summary>
    protected abstract void NotifyAll();

    /// <summary>Takes no more requests. When none is under way, a thread calls back, once; it may block on the host.</summary>
    public void Pause(Action idle)
    {
        Hurry(true);
        lock (Gate)
        {
            _paused = true;
            _whenIdle.Enqueue(idle);
            StartOrWake();
        }
    }

    /// <summary>Goes on. Every ring is looked at: whoever paused knows not what the driver has done meanwhile.</summary>
    public void Resume()
    {
        Hurry(false);
        lock (Gate)
        {
            _paused = false;
            NotifyAll();
        }
    }

    /// <summary>Ends the threads, and returns when no request is under way: guest RAM may then go.</summary>
    public void End()
    {
        Hurry(true);
        lock (Gate)
        {
            (_paused, _ended) = (true, true);
            Monitor.PulseAll(Gate);
            while (_threads > 0)
            {
                Monitor.Wait(Gate);
            }
        }
    }

    /// <summary>Takes no more requests until <see cref="Resume"/>. Under <see cref="Gate"/>.</summary>
    protected void Hold() => _paused = true;

    /// <summary>There is a piece of work: a thread takes it. Under <see cref="Gate"/>.</summary>
    protected void StartOrWake()
    {
        if (_sleeping > 0)
        {
            Monitor.Pulse(Gate);
        }
        else if (_threads < most && !_ended)
        {
            _threads++;
            new Thread(Run) { IsBackground = true, Name = name }.Start();
        }
    }

    private void Run()
    {
        while (Next() is { } piece)
        {
            try
            {
                piece();
            }
            catch (Exception e)
            {
                broken(e);
            }

            lock (Gate)
            {
                _busy--;
                if (_whenIdle.Count > 0)
                {
                    Monitor.PulseAll(Gate);
                }
            }
        }
    }

    // What the thread is to do next; null when it ends.
    private Action? Next()
    {
        lock (Gate)
        {
            Action? piece;
            while (_busy > 0 || !_whenIdle.TryDequeue(out piece))
            {
                if (_ended)
                {
                    return Leave();
                }

                piece = _paused ? null : TakePiece();
                if (piece != null)
                {
                    break;
                }

                _sleeping++;
                bool woken = Monitor.Wait(Gate, s_idle);
                _sleeping--;

                // Whoever woke a thread whose time had just run out counts on it.
                if (!woken && !HasWork)
                {
                    return Leave();
                }
            }

            // A thread that was woken for two things wakes another one for the second.
            _busy++;
            if (HasWork)
            {
                StartOrWake();
            }

            return piece;
        }
    }

    private bool HasWork => _ended || _whenIdle.Count > 0 || (!_paused && HasPieces);

    private Action? Leave()
    {
        _threads--;
        Monitor.PulseAll(Gate);
        return null;
    }
}
