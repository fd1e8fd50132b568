using Vmm.Emulation.Devices.Virtio.NineP;
using Vmm.Emulation.Memory;

namespace Vmm.Actors.Devices;

/// <summary>
/// The threads that serve a shared folder. A thread takes a request from the ring, does it, gives it back, and takes the next, so no more
/// are under way than there are threads. Threads are started as they are needed, and end when they have had nothing to do for a while. They
/// begin paused.
/// </summary>
/// <param name="broken">Is told of what should never be thrown.</param>
internal sealed class NinePThreads(VirtioNineP device, Action<Exception> broken)
{
    private const int MostThreads = 8;
    private const int PageWait = 1;
    private static readonly TimeSpan s_idle = TimeSpan.FromSeconds(10);

    // The monitor of this object is the lock over all that follows; nobody blocks on the host while it is held.
    private readonly object _gate = new();
    private readonly Queue<Action> _whenIdle = [];
    private bool _notified;
    private int _threads;
    private int _sleeping;
    private int _busy;
    private bool _ended;

    // Written under the lock, read without it between two requests.
    private volatile bool _paused = true;

    // Under the lock.
    private bool HasWork => _ended || _whenIdle.Count > 0 || (!_paused && _notified);

    /// <summary>The driver has notified, or may have.</summary>
    public void Wake()
    {
        lock (_gate)
        {
            _notified = true;
            StartOrWake();
        }
    }

    /// <summary>Takes no more requests; calls back on a thread when none is under way.</summary>
    public void Pause(Action idle)
    {
        lock (_gate)
        {
            _paused = true;
            _whenIdle.Enqueue(idle);
            StartOrWake();
        }
    }

    public void Resume()
    {
        lock (_gate)
        {
            _paused = false;
            _notified = true;
            StartOrWake();
        }
    }

    /// <summary>Ends the threads, and returns when no request is under way: guest RAM may then go.</summary>
    public void End()
    {
        lock (_gate)
        {
            (_paused, _ended) = (true, true);
            Monitor.PulseAll(_gate);
            while (_threads > 0)
            {
                Monitor.Wait(_gate);
            }
        }
    }

    // Under the lock.
    private void StartOrWake()
    {
        if (_sleeping > 0)
        {
            Monitor.Pulse(_gate);
        }
        else if (_threads < MostThreads && !_ended)
        {
            _threads++;
            new Thread(Run) { IsBackground = true, Name = $"9p {device.Tag}" }.Start();
        }
    }

    private void Run()
    {
        NinePRequest? request = null;
        while (Next(out Action? idle))
        {
            try
            {
                if (idle != null)
                {
                    idle();
                }
                else
                {
                    Serve(request ??= new NinePRequest());
                }
            }
            catch (Exception e)
            {
                broken(e);
            }

            lock (_gate)
            {
                _busy--;
                if (_whenIdle.Count > 0)
                {
                    Monitor.PulseAll(_gate);
                }
            }
        }
    }

    // Whether the thread has something to do; false when it ends.
    private bool Next(out Action? idle)
    {
        idle = null;
        lock (_gate)
        {
            while (true)
            {
                if (_busy == 0 && _whenIdle.TryDequeue(out idle))
                {
                    break;
                }

                if (_ended)
                {
                    return Leave();
                }

                if (!_paused && _notified)
                {
                    _notified = false;
                    break;
                }

                _sleeping++;
                bool woken = Monitor.Wait(_gate, s_idle);
                _sleeping--;

                // Whoever woke a thread whose time had just run out counts on it.
                if (!woken && !HasWork)
                {
                    return Leave();
                }
            }

            _busy++;
            if (HasWork)
            {
                StartOrWake();
            }

            return true;
        }
    }

    // Under the lock.
    private bool Leave()
    {
        _threads--;
        Monitor.PulseAll(_gate);
        return false;
    }

    private void Serve(NinePRequest request)
    {
        do
        {
            ServeAll(request);
        }
        while (!_paused && Patiently(() => device.AllowNotifications()));
    }

    private void ServeAll(NinePRequest request)
    {
        while (!_paused && Patiently(() => device.TryTake(request)))
        {
            // Another thread takes the next one, before this one is done.
            if (Patiently(() => device.HasRequests))
            {
                Wake();
            }

            Patiently(() =>
            {
                device.Read(request);
                return true;
            });
            device.Process(request);
            Patiently(() =>
            {
                device.Complete(request);
                return true;
            });
            Patiently(() =>
            {
                device.Interrupt();
                return true;
            });
        }
    }

    // A page of the guest that has not arrived comes; meanwhile nothing has happened that the next attempt would do again.
    private static bool Patiently(Func<bool> attempt)
    {
        while (true)
        {
            try
            {
                return attempt();
            }
            catch (MissingPageException)
            {
                Thread.Sleep(PageWait);
            }
        }
    }
}
