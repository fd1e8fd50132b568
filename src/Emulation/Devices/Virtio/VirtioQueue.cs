namespace Vmm.Emulation.Devices.Virtio;

/// <summary>
/// A queue of a device: what its driver has set up, and the ring in guest RAM. The lock of the device is over the former; the ring has a
/// lock of its own, so that the threads of a backend do not meet the accesses of the vCPUs. Lock order: device → ring.
/// </summary>
internal sealed class VirtioQueue(int maxSize)
{
    private readonly Lock _lock = new();

    // Under _lock. Chains that the backend has taken and not yet given back.
    private Virtqueue? _ring;
    private int _taken;

    // 1 from the driver's notification until the backend looks.
    private int _notified;

    public int MaxSize => maxSize;

    /// <summary>Under the lock of the device.</summary>
    public VirtqueueLayout Layout { get; set; } = new(maxSize, 0, 0, 0);

    /// <summary>Whether the driver has enabled it; under the lock of the device.</summary>
    public bool IsEnabled { get; set; }

    /// <summary>The driver notifies; any thread.</summary>
    public void Notify() => Volatile.Write(ref _notified, 1);

    /// <summary>Whether the driver has notified since this was last asked; any thread.</summary>
    public bool TakeNotified() => Volatile.Read(ref _notified) != 0 && Interlocked.Exchange(ref _notified, 0) != 0;

    /// <summary>Begins to use the ring.</summary>
    public void Open(Virtqueue ring)
    {
        lock (_lock)
        {
            _ring = ring;
        }
    }

    /// <summary>Takes and gives nothing any more.</summary>
    /// <returns>How many chains the backend still has.</returns>
    public int Close()
    {
        lock (_lock)
        {
            _ring = null;
            _notified = 0;
            return _taken;
        }
    }

    public bool TryTake(DescriptorChain chain, out string? fault)
    {
        lock (_lock)
        {
            fault = null;
            if (_ring == null)
            {
                return false;
            }

            bool taken = _ring.TryPop(chain);
            fault = _ring.Fault;
            _taken += taken ? 1 : 0;
            return taken;
        }
    }

    /// <summary>Gives chains back to the ring, or to nobody where that is closed.</summary>
    /// <returns>Whether those were the last chains of a queue that is closed.</returns>
    public bool Give(ReadOnlySpan<DescriptorChain> chains, ReadOnlySpan<uint> written, out string? fault)
    {
        lock (_lock)
        {
            _ring?.Push(chains, written);
            fault = _ring?.Fault;
            _taken -= chains.Length;
            return _taken == 0 && _ring == null;
        }
    }

    /// <summary>The chains that were taken last are available again.</summary>
    /// <returns>Whether those were the last chains of a queue that is closed.</returns>
    public bool Untake(ReadOnlySpan<DescriptorChain> chains)
    {
        lock (_lock)
        {
            _ring?.Unpop(chains);
            _taken -= chains.Length;
            return _taken == 0 && _ring == null;
        }
    }

    public bool TakeInterrupt()
    {
        lock (_lock)
        {
            return _ring != null && _ring.TakeNotification();
        }
    }

    public void Suppress()
    {
        lock (_lock)
        {
            _ring?.SuppressNotifications();
        }
    }

    public bool Allow()
    {
        lock (_lock)
        {
            return _ring != null && _ring.AllowNotifications();
        }
    }

    public bool HasAvailable
    {
        get
        {
            lock (_lock)
            {
                return _ring is { HasMore: true };
            }
        }
    }

    public int Taken
    {
        get
        {
            lock (_lock)
            {
                return _taken;
            }
        }
    }

    public VirtqueuePosition Position
    {
        get
        {
            lock (_lock)
            {
                return _ring?.Position ?? default;
            }
        }
    }

    /// <summary>The backend has a chain more, which it did not take from the ring.</summary>
    public void Adopt()
    {
        lock (_lock)
        {
            _taken++;
        }
    }

    /// <summary>Another machine's state takes the place of this one's: what the backend had is nobody's.</summary>
    public void Forget()
    {
        lock (_lock)
        {
            (_ring, _taken) = (null, 0);
        }

        Reset();
    }

    public void Reset()
    {
        _ = Close();
        Layout = new VirtqueueLayout(maxSize, 0, 0, 0);
        IsEnabled = false;
    }
}
