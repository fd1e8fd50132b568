using Vmm.Emulation.Devices.Virtio.NineP;
using Vmm.Emulation.Memory;

namespace Vmm.Actors.Devices;

/// <summary>The threads that serve a shared folder.</summary>
internal sealed class NinePThreads : BackendThreads
{
    private const int MostThreads = 8;

    private readonly VirtioNineP _device;
    private readonly Action _serve;

    // Under the lock: messages that no thread has, and whether the driver has notified.
    private readonly Stack<NinePRequest> _free = [];
    private bool _notified;

    public NinePThreads(VirtioNineP device, Action<Exception> broken)
        : base($"9p {device.Tag}", MostThreads, broken) => (_device, _serve) = (device, Serve);

    /// <summary>The driver has notified, or may have.</summary>
    public void Wake()
    {
        lock (Gate)
        {
            NotifyAll();
        }
    }

    protected override bool HasPieces => _notified;

    protected override Action? TakePiece()
    {
        Action? piece = _notified ? _serve : null;
        _notified = false;
        return piece;
    }

    protected override void NotifyAll()
    {
        _notified = true;
        StartOrWake();
    }

    private void Serve()
    {
        NinePRequest? request;
        lock (Gate)
        {
            if (!_free.TryPop(out request))
            {
                request = new NinePRequest();
            }
        }

        do
        {
            ServeAll(request);
        }
        while (!IsPaused && Patiently(() => _device.AllowNotifications()));

        lock (Gate)
        {
            _free.Push(request);
        }
    }

    private void ServeAll(NinePRequest request)
    {
        while (!IsPaused && Patiently(() => _device.TryTake(request)))
        {
            // Another thread takes the next one, before this one is done.
            if (Patiently(() => _device.HasRequests))
            {
                Wake();
            }

            Patiently(() =>
            {
                _device.Read(request);
                return true;
            });
            _device.Process(request);
            Patiently(() =>
            {
                _device.Complete(request);
                return true;
            });
            Patiently(() =>
            {
                _device.Interrupt();
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
            catch (MissingPageException missing)
            {
                missing.Await(PageWait);
            }
        }
    }
}
