using Vmm.Emulation.Block;
using Vmm.Emulation.Devices.Virtio.Block;
using Vmm.Emulation.Memory;

namespace Vmm.Actors.Devices;

/// <summary>What a disk's threads tell its actor of a request that the host could not do.</summary>
/// <param name="Stops">The request waits: it is tried again when the threads go on.</param>
internal sealed record RequestFailed(bool IsRead, ulong Sector, Errno Error, BlockErrorPolicy Action, bool Stops);

/// <summary>
/// The threads that do a disk's work (<c>aio=threads</c>). A thread takes a request from a ring, does it, gives it back, and takes the
/// next; so a ring is its own queue, and no more requests are under way than there are threads. Threads are started as they are needed,
/// and end when they have had nothing to do for a while.
/// <para>
/// They begin paused. A request that waits for the VM to go on (<see cref="BlockErrorPolicy.Stop"/>), or that met a page that has not
/// arrived, is kept and tried again first.
/// </para>
/// </summary>
/// <param name="failed">Is told of failed requests, on the thread of the request; must not block.</param>
/// <param name="broken">Is told of what should never be thrown.</param>
internal sealed class DiskThreads(VirtioBlk device, Action<RequestFailed> failed, Action<Exception> broken)
{
    private const int MostThreads = 16;
    private const int PageWait = 1;
    private static readonly TimeSpan s_idle = TimeSpan.FromSeconds(10);

    // The monitor of this object is the lock over all that follows; nobody blocks on the host while it is held.
    private readonly object _gate = new();

    // Queues to look at, each once.
    private readonly Queue<int> _notified = [];
    private readonly bool[] _isNotified = new bool[device.QueueCount];

    // How many threads are at each queue.
    private readonly int[] _serving = new int[device.QueueCount];

    // Requests to try again, and free ones.
    private readonly Queue<VirtioBlkRequest> _kept = [];
    private readonly Stack<VirtioBlkRequest> _free = [];

    // What is to be done on a thread when nothing is under way.
    private readonly Queue<Action> _whenIdle = [];
    private int _threads;
    private int _sleeping;
    private int _busy;
    private bool _ended;

    // Written under the lock, read without it between two requests.
    private volatile bool _paused = true;

    /// <summary>Requests that are kept, in the order in which they are tried again. While paused and idle.</summary>
    public IReadOnlyList<VirtioBlkRequest> Kept
    {
        get
        {
            lock (_gate)
            {
                return [.. _kept];
            }
        }
    }

    /// <summary>The driver has notified of a queue.</summary>
    public void Wake(int queue)
    {
        lock (_gate)
        {
            Notify(queue);
        }
    }

    /// <summary>Takes no more requests. When none is under way, a thread calls back, once; it may block on the host.</summary>
    public void Pause(Action idle)
    {
        lock (_gate)
        {
            _paused = true;
            _whenIdle.Enqueue(idle);
            StartOrWake();
        }
    }

    /// <summary>Goes on. Each queue is looked at: whoever paused knows not what the driver has done meanwhile.</summary>
    public void Resume()
    {
        lock (_gate)
        {
            _paused = false;
            for (int i = 0; i < device.QueueCount; i++)
            {
                Notify(i);
            }
        }
    }

    /// <summary>Keeps a request that another machine's backend had.</summary>
    public void Keep(VirtioBlkRequest request)
    {
        lock (_gate)
        {
            _kept.Enqueue(request);
        }
    }

    /// <summary>Gives back what is kept: the driver has reset the device, or the machine is.</summary>
    public void DropKept()
    {
        lock (_gate)
        {
            while (_kept.TryDequeue(out VirtioBlkRequest? request))
            {
                device.Give(request.Queue, request.Chain, 0);
                _free.Push(request);
            }
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
    private void Notify(int queue)
    {
        if (!_isNotified[queue])
        {
            _isNotified[queue] = true;
            _notified.Enqueue(queue);
        }

        StartOrWake();
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
            new Thread(Run) { IsBackground = true, Name = $"disk {device.Disk.Name}" }.Start();
        }
    }

    private void Run()
    {
        while (Next(out VirtioBlkRequest? kept, out int queue, out Action? idle))
        {
            try
            {
                if (idle != null)
                {
                    idle();
                }
                else if (kept != null)
                {
                    if (Do(kept))
                    {
                        Free(kept);
                    }
                }
                else
                {
                    Serve(queue);
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

    // What the thread is to do next; false when it ends.
    private bool Next(out VirtioBlkRequest? kept, out int queue, out Action? idle)
    {
        (kept, queue, idle) = (null, 0, null);
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
                    _threads--;
                    Monitor.PulseAll(_gate);
                    return false;
                }

                if (!_paused && _kept.TryDequeue(out kept))
                {
                    break;
                }

                if (!_paused && _notified.TryDequeue(out queue))
                {
                    _isNotified[queue] = false;
                    break;
                }

                _sleeping++;
                bool woken = Monitor.Wait(_gate, s_idle);
                _sleeping--;

                // Whoever woke a thread whose time had just run out counts on it.
                if (!woken && !HasWork)
                {
                    _threads--;
                    return false;
                }
            }

            // A thread that was woken for two things wakes another one for the second.
            _busy++;
            if (HasWork)
            {
                StartOrWake();
            }

            return true;
        }
    }

    // Under the lock.
    private bool HasWork => _ended || _whenIdle.Count > 0 || (!_paused && (_kept.Count > 0 || _notified.Count > 0));

    // Takes requests of a queue until there are none. The first thread at a queue tells the driver that it need not notify, the last one
    // that it is to notify again, and then looks once more.
    private void Serve(int queue)
    {
        VirtioBlkRequest request = Rent();
        do
        {
            bool isFirst;
            lock (_gate)
            {
                isFirst = _serving[queue]++ == 0;
            }

            if (isFirst)
            {
                Suppress(queue);
            }

            while (Take(queue, request))
            {
                if (HasMore(queue))
                {
                    Wake(queue);
                }

                if (!Do(request))
                {
                    request = Rent();
                }
            }

            lock (_gate)
            {
                if (--_serving[queue] > 0 || _paused)
                {
                    break;
                }
            }
        }
        while (Allow(queue));

        Free(request);
    }

    // Does a request and gives it back; false where it is kept.
    private bool Do(VirtioBlkRequest request)
    {
        while (true)
        {
            try
            {
                VirtioBlkOutcome outcome = device.Attempt(request);
                if (outcome == VirtioBlkOutcome.Failed)
                {
                    BlockErrorPolicy policy = request.IsRead ? device.Config.ReadError : device.Config.WriteError;
                    bool stops = policy == BlockErrorPolicy.Stop
                        || (policy == BlockErrorPolicy.StopWithoutSpace && request.Error == Errno.ENOSPC);
                    if (stops)
                    {
                        lock (_gate)
                        {
                            _paused = true;
                            _kept.Enqueue(request);
                        }
                    }

                    failed(new RequestFailed(
                        request.IsRead, request.Sector, request.Error,
                        stops ? BlockErrorPolicy.Stop
                            : policy == BlockErrorPolicy.Ignore ? BlockErrorPolicy.Ignore : BlockErrorPolicy.Report,
                        stops));
                    if (stops)
                    {
                        return false;
                    }

                    outcome = policy == BlockErrorPolicy.Ignore ? VirtioBlkOutcome.Done : outcome;
                }

                device.Complete(request, outcome);
                break;
            }
            catch (MissingPageException)
            {
                lock (_gate)
                {
                    if (_paused)
                    {
                        _kept.Enqueue(request);
                        return false;
                    }
                }

                Thread.Sleep(PageWait);
            }
        }

        Interrupt(request.Queue);
        return true;
    }

    private bool Take(int queue, VirtioBlkRequest request)
    {
        while (!_paused)
        {
            try
            {
                return device.TryTake(queue, request);
            }
            catch (MissingPageException)
            {
                Thread.Sleep(PageWait);
            }
        }

        return false;
    }

    private bool HasMore(int queue)
    {
        try
        {
            return !_paused && device.HasAvailable(queue);
        }
        catch (MissingPageException)
        {
            return false;
        }
    }

    // What cannot be told the driver now makes it notify more often than it need.
    private void Suppress(int queue)
    {
        try
        {
            device.SuppressNotifications(queue);
        }
        catch (MissingPageException)
        {
        }
    }

    private bool Allow(int queue)
    {
        while (!_paused)
        {
            try
            {
                return device.AllowNotifications(queue);
            }
            catch (MissingPageException)
            {
                Thread.Sleep(PageWait);
            }
        }

        return false;
    }

    // An interrupt too many is none that is lost.
    private void Interrupt(int queue)
    {
        while (true)
        {
            try
            {
                device.Interrupt(queue);
                return;
            }
            catch (MissingPageException) when (!_ended)
            {
                Thread.Sleep(PageWait);
            }
            catch (MissingPageException)
            {
                return;
            }
        }
    }

    private VirtioBlkRequest Rent()
    {
        lock (_gate)
        {
            return _free.TryPop(out VirtioBlkRequest? request) ? request : new VirtioBlkRequest();
        }
    }

    private void Free(VirtioBlkRequest request)
    {
        lock (_gate)
        {
            _free.Push(request);
        }
    }
}
