using Vmm.Emulation.Block;
using Vmm.Emulation.Devices.Virtio.Block;
using Vmm.Emulation.Memory;

namespace Vmm.Actors.Devices;

/// <summary>What a disk's threads tell its actor of a request that the host could not do.</summary>
/// <param name="Stops">The request waits: it is tried again when the threads go on.</param>
internal sealed record RequestFailed(bool IsRead, ulong Sector, Errno Error, BlockErrorPolicy Action, bool Stops);

/// <summary>
/// The threads that do a disk's work (<c>aio=threads</c>). A request that waits for the VM to go on (<see cref="BlockErrorPolicy.Stop"/>),
/// or that met a page that has not arrived, is kept and tried again first.
/// </summary>
internal sealed class DiskThreads : BackendThreads
{
    private const int MostThreads = 16;

    private readonly VirtioBlk _device;
    private readonly Action<RequestFailed> _failed;

    // How each queue is served.
    private readonly Action[] _serve;

    // What follows is under the lock: queues to look at, each once; and how many threads are at each queue.
    private readonly Queue<int> _notified = [];
    private readonly bool[] _isNotified;
    private readonly int[] _serving;

    // Requests to try again, and free ones.
    private readonly Queue<VirtioBlkRequest> _kept = [];
    private readonly Stack<VirtioBlkRequest> _free = [];

    /// <param name="failed">Is told of failed requests, on the thread of the request; must not block.</param>
    /// <param name="broken">Is told of what should never be thrown.</param>
    public DiskThreads(VirtioBlk device, Action<RequestFailed> failed, Action<Exception> broken)
        : base($"disk {device.Disk.Name}", MostThreads, broken)
    {
        (_device, _failed) = (device, failed);
        _serve = [.. Enumerable.Range(0, device.QueueCount).Select(queue => new Action(() => Serve(queue)))];
        (_isNotified, _serving) = (new bool[device.QueueCount], new int[device.QueueCount]);
    }

    /// <summary>Requests that are kept, in the order in which they are tried again. While paused and idle.</summary>
    public IReadOnlyList<VirtioBlkRequest> Kept
    {
        get
        {
            lock (Gate)
            {
                return [.. _kept];
            }
        }
    }

    /// <summary>The driver has notified of a queue.</summary>
    public void Wake(int queue)
    {
        lock (Gate)
        {
            Notify(queue);
        }
    }

    /// <summary>Keeps a request that another machine's backend had.</summary>
    public void Keep(VirtioBlkRequest request)
    {
        lock (Gate)
        {
            _kept.Enqueue(request);
        }
    }

    /// <summary>Gives back what is kept: the driver has reset the device, or the machine is.</summary>
    public void DropKept()
    {
        lock (Gate)
        {
            while (_kept.TryDequeue(out VirtioBlkRequest? request))
            {
                _device.Give(request.Queue, request.Chain, 0);
                _free.Push(request);
            }
        }
    }

    protected override bool HasPieces => _kept.Count > 0 || _notified.Count > 0;

    protected override Action? TakePiece()
    {
        if (_kept.TryDequeue(out VirtioBlkRequest? kept))
        {
            return () => Retry(kept);
        }

        if (!_notified.TryDequeue(out int queue))
        {
            return null;
        }

        _isNotified[queue] = false;
        return _serve[queue];
    }

    protected override void Hurry(bool on) => _device.Disk.LiftLimits(on);

    protected override void NotifyAll()
    {
        for (int i = 0; i < _isNotified.Length; i++)
        {
            Notify(i);
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

    private void Retry(VirtioBlkRequest kept)
    {
        if (Do(kept))
        {
            Free(kept);
        }
    }

    // Takes requests of a queue until there are none. The first thread at a queue tells the driver that it need not notify, the last one
    // that it is to notify again, and then looks once more.
    private void Serve(int queue)
    {
        VirtioBlkRequest request = Rent();
        do
        {
            bool isFirst;
            lock (Gate)
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

            lock (Gate)
            {
                if (--_serving[queue] > 0 || IsPaused)
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
                VirtioBlkOutcome outcome = _device.Attempt(request);
                if (outcome == VirtioBlkOutcome.Failed)
                {
                    BlockErrorPolicy policy = _device.Disk.IsEjected ? BlockErrorPolicy.Report
                        : request.IsRead ? _device.Config.ReadError : _device.Config.WriteError;
                    bool stops = policy == BlockErrorPolicy.Stop
                        || (policy == BlockErrorPolicy.StopWithoutSpace && request.Error == Errno.ENOSPC);
                    if (stops)
                    {
                        lock (Gate)
                        {
                            Hold();
                            _kept.Enqueue(request);
                        }
                    }

                    _failed(new RequestFailed(
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

                _device.Complete(request, outcome);
                break;
            }
            catch (MissingPageException missing)
            {
                lock (Gate)
                {
                    if (IsPaused)
                    {
                        _kept.Enqueue(request);
                        return false;
                    }
                }

                missing.Await(PageWait);
            }
        }

        Interrupt(request.Queue);
        return true;
    }

    private bool Take(int queue, VirtioBlkRequest request)
    {
        while (!IsPaused)
        {
            try
            {
                return _device.TryTake(queue, request);
            }
            catch (MissingPageException missing)
            {
                missing.Await(PageWait);
            }
        }

        return false;
    }

    private bool HasMore(int queue)
    {
        try
        {
            return !IsPaused && _device.HasAvailable(queue);
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
            _device.SuppressNotifications(queue);
        }
        catch (MissingPageException)
        {
        }
    }

    private bool Allow(int queue)
    {
        while (!IsPaused)
        {
            try
            {
                return _device.AllowNotifications(queue);
            }
            catch (MissingPageException missing)
            {
                missing.Await(PageWait);
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
                _device.Interrupt(queue);
                return;
            }
            catch (MissingPageException missing) when (!IsEnded)
            {
                missing.Await(PageWait);
            }
            catch (MissingPageException)
            {
                return;
            }
        }
    }

    private VirtioBlkRequest Rent()
    {
        lock (Gate)
        {
            return _free.TryPop(out VirtioBlkRequest? request) ? request : new VirtioBlkRequest();
        }
    }

    private void Free(VirtioBlkRequest request)
    {
        lock (Gate)
        {
            _free.Push(request);
        }
    }
}
