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

    // Chains that were ever taken, those of them by threads of vCPUs, and interrupts.
    private long _chains;
    private long _chainsOnVcpus;
    private long _interrupts;

    // 1 from the driver's notification until the backend looks; how often it notified.
    private int _notified;
    private long _notifications;

    public int MaxSize => maxSize;

    /// <summary>Under the lock of the device.</summary>
    public VirtqueueLayout Layout { get; set; } = new(maxSize, 0, 0, 0);

    /// <summary>Whether the driver has enabled it; under the lock of the device.</summary>
    public bool IsEnabled { get; set; }

    /// <summary>The driver notifies; any thread.</summary>
    public void Notify()
    {
        Interlocked.Increment(ref _notifications);
        Volatile.Write(ref _notified, 1);
    }

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
            if (taken)
            {
                _taken++;
                _chains++;
                _chainsOnVcpus += HostThread.IsVcpu ? 1 : 0;
            }

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
            bool interrupts = _ring != null && _ring.TakeNotification();
            _interrupts += interrupts ? 1 : 0;
            return interrupts;
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

    /// <summary>What was done since the machine was made. Any thread.</summary>
    public VirtioQueueWork Work
    {
        get
        {
            lock (_lock)
            {
                return new VirtioQueueWork(Volatile.Read(ref _notifications), _chains, _chainsOnVcpus, _interrupts);
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

/// <summary>What the driver and the backend of a queue have done.</summary>
/// <param name="Notifications">How often the driver notified.</param>
/// <param name="Chains">Descriptor chains that were taken.</param>
/// <param name="ChainsOnVcpus">Those of them that a vCPU's thread took, which the guest waited for. There should be none.</param>
/// <param name="Interrupts">How often the driver was interrupted.</param>
public readonly record struct VirtioQueueWork(long Notifications, long Chains, long ChainsOnVcpus, long Interrupts);
