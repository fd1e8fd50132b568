using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Devices.Virtio;

/// <summary>
/// The core of a virtio device, for every transport (Virtual I/O Device 1.2, chapters 2 and 3): identity, features, status, configuration
/// space and queues.
/// <para>
/// The transport calls it on the threads of vCPUs; nothing here waits. A notification rings <see cref="Notified"/>: one message to the
/// device's actor, whose backend takes chains (<see cref="TryTake"/>), does the work, gives them back (<see cref="Give"/>) and then
/// interrupts once for all of them (<see cref="Interrupt"/>). Those may be called by any thread, any number at once.
/// </para>
/// <para>
/// A reset ends when the backend has given back what it has taken: the status reads 0 from then on, as a driver waits for it (2.4.2). No
/// chain is taken meanwhile, and what is given back does not reach the guest.
/// </para>
/// </summary>
public abstract partial class VirtioDevice
{
    /// <summary>The largest number of descriptors of a queue, as QEMU has it (VIRTQUEUE_MAX_SIZE).</summary>
    public const int MaxQueueSize = 1024;

    /// <summary>The largest number of queues, as QEMU has it (VIRTIO_QUEUE_MAX).</summary>
    public const int MaxQueues = 1024;

    private readonly Lock _lock = new();
    private readonly IDmaMemory _memory;
    private readonly VirtioQueue[] _queues;

    // Set once, before a vCPU runs.
    private IVirtioTransport? _transport;

    // Under _lock. The features are those that the driver has written; they count from FEATURES_OK on.
    private ulong _driverFeatures;
    private VirtioStatus _status;
    private uint _generation;
    private bool _resetting;

    /// <param name="memory">Guest RAM.</param>
    /// <param name="features">What it offers, of its type and of <see cref="VirtioFeatures"/>, beside VIRTIO_F_VERSION_1.</param>
    /// <param name="queueSizes">The largest number of descriptors of each queue; powers of two.</param>
    protected VirtioDevice(IDmaMemory memory, ulong features, IReadOnlyList<int> queueSizes)
    {
        _memory = memory;
        OfferedFeatures = features | (ulong)VirtioFeatures.Version1;
        _queues = [.. queueSizes.Select(size => new VirtioQueue(size))];
    }

    /// <summary>The name in traces and saved state, such as <c>virtio-blk</c>.</summary>
    public abstract string Name { get; }

    /// <summary>The type of the device.</summary>
    public abstract VirtioDeviceId DeviceId { get; }

    public ulong OfferedFeatures { get; }

    public int QueueCount => _queues.Length;

    /// <summary>Rings when a driver has notified of a queue (<see cref="TakeNotified"/>), and when a reset has begun.</summary>
    public Doorbell Notified { get; } = new();

    /// <summary>What the driver did wrong since the last reset, as one line; null for nothing. Any thread.</summary>
    public string? Fault { get; private set; }

    protected IDmaMemory Memory => _memory;

    /// <summary>The lock over the registers: short, and nothing waits under it.</summary>
    protected Lock Registers => _lock;

    /// <summary>The device-specific configuration space (2.5); under <see cref="Registers"/>.</summary>
    protected abstract Span<byte> Configuration { get; }

    /// <summary>Its properties as <c>-device</c> has them, for people: bool, integers or text. Any thread.</summary>
    public IReadOnlyList<(string Name, object Value)> Properties =>
    [
        .. OwnProperties, ("indirect_desc", Offers(VirtioFeatures.IndirectDescriptors)), ("event_idx", Offers(VirtioFeatures.EventIndex)),
        ("packed", Offers(VirtioFeatures.PackedRings)),
    ];

    /// <summary>Those of the type.</summary>
    protected virtual IReadOnlyList<(string Name, object Value)> OwnProperties => [];

    /// <summary>The device as text for people: its status, and what was done in each queue. Any thread.</summary>
    public string Describe()
    {
        var text = new StringBuilder();
        ulong features = ((ulong)ReadDriverFeatures(1) << 32) | ReadDriverFeatures(0);
        text.Append(CultureInfo.InvariantCulture, $"{Name}: status {Status}, features 0x{features:x}");
        for (int i = 0; i < _queues.Length; i++)
        {
            VirtioQueueWork work = _queues[i].Work;
            if (IsQueueEnabled((uint)i) || work.Chains > 0)
            {
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"\n    queue {i}: {work.Notifications} notifications, {work.Chains} chains, "
                    + $"{work.ChainsOnVcpus} of them on vCPUs' threads, {work.Interrupts} interrupts");
            }
        }

        return text.ToString();
    }

    /// <summary>Connects the transport, once, before anything runs.</summary>
    public void Connect(IVirtioTransport transport) => _transport = transport;

    // ── The transport's calls, on the threads of vCPUs ──

    /// <summary>Reads 32 bits of the offered features (2.2).</summary>
    /// <param name="word">0 for bits 0 to 31, 1 for bits 32 to 63; others have none.</param>
    public uint ReadFeatures(uint word) => word < 2 ? (uint)(OfferedFeatures >> (int)(word * 32)) : 0;

    /// <summary>Reads 32 bits of what the driver takes.</summary>
    public uint ReadDriverFeatures(uint word)
    {
        lock (_lock)
        {
            return word < 2 ? (uint)(_driverFeatures >> (int)(word * 32)) : 0;
        }
    }

    /// <summary>Takes 32 bits of what the driver takes; ignored once FEATURES_OK is set (3.1.1).</summary>
    public void WriteDriverFeatures(uint word, uint value)
    {
        lock (_lock)
        {
            if (word < 2 && !_resetting && (_status & VirtioStatus.FeaturesOk) == 0)
            {
                int shift = (int)(word * 32);
                _driverFeatures = (_driverFeatures & ~((ulong)uint.MaxValue << shift)) | ((ulong)value << shift);
            }
        }
    }

    public VirtioStatus Status
    {
        get
        {
            lock (_lock)
            {
                return _status;
            }
        }
    }

    /// <summary>
    /// Takes a device status (2.1). 0 resets the device. FEATURES_OK stays clear when the features are not a subset of the offered ones, or
    /// make no sense together. DRIVER_OK starts the queues that are enabled.
    /// </summary>
    public void WriteStatus(VirtioStatus value)
    {
        bool ring = false;
        lock (_lock)
        {
            if (value == VirtioStatus.None)
            {
                ring = BeginReset();
            }
            else if (!_resetting)
            {
                VirtioStatus before = _status;
                _status = value | (before & VirtioStatus.NeedsReset);
                if ((before & VirtioStatus.FeaturesOk) == 0 && !AcceptsFeatures())
                {
                    _status &= ~VirtioStatus.FeaturesOk;
                }
                else if ((_status & ~before & VirtioStatus.FeaturesOk) != 0)
                {
                    FeaturesAccepted();
                }

                if ((_status & ~before & VirtioStatus.DriverOk) != 0)
                {
                    ring = OpenQueues();
                    FailOn((_status & VirtioStatus.FeaturesOk) == 0 ? "DRIVER_OK without FEATURES_OK" : null);
                }
            }
        }

        if (ring)
        {
            Notified.Ring();
        }
    }

    /// <summary>Grows with each change of the configuration space that is not the driver's own (2.5.1).</summary>
    public uint ConfigurationGeneration
    {
        get
        {
            lock (_lock)
            {
                return _generation;
            }
        }
    }

    /// <summary>Reads the configuration space; all ones behind its end, as QEMU has it.</summary>
    /// <param name="size">1, 2, 4 or 8 bytes.</param>
    public ulong ReadConfiguration(ulong offset, int size)
    {
        Span<byte> bytes = stackalloc byte[8];
        lock (_lock)
        {
            Span<byte> space = Configuration;
            if (offset > (ulong)space.Length || (ulong)size > (ulong)space.Length - offset)
            {
                return MmioAccess.Truncate(ulong.MaxValue, size);
            }

            space.Slice((int)offset, size).CopyTo(bytes);
        }

        return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
    }

    /// <summary>Writes the configuration space, of which most is read-only.</summary>
    public void WriteConfiguration(ulong offset, int size, ulong value)
    {
        lock (_lock)
        {
            if (offset < (ulong)Configuration.Length && !_resetting)
            {
                AcceptConfiguration((int)offset, size, value);
            }
        }
    }

    /// <summary>The largest number of descriptors of a queue; 0 for a queue that there is not.</summary>
    public int MaxSizeOf(uint queue) => queue < _queues.Length ? _queues[queue].MaxSize : 0;

    /// <summary>Where the driver has put a queue.</summary>
    public VirtqueueLayout LayoutOf(uint queue)
    {
        lock (_lock)
        {
            return queue < _queues.Length ? _queues[queue].Layout : default;
        }
    }

    /// <summary>Puts a queue somewhere; ignored while it is enabled.</summary>
    public void PlaceQueue(uint queue, VirtqueueLayout layout)
    {
        lock (_lock)
        {
            if (queue < _queues.Length && !_queues[queue].IsEnabled && !_resetting)
            {
                _queues[queue].Layout = layout;
            }
        }
    }

    public bool IsQueueEnabled(uint queue)
    {
        lock (_lock)
        {
            return queue < _queues.Length && _queues[queue].IsEnabled;
        }
    }

    /// <summary>The driver has set a queue up. A queue is disabled by a reset alone.</summary>
    public void EnableQueue(uint queue)
    {
        bool ring = false;
        lock (_lock)
        {
            if (queue < _queues.Length && !_queues[queue].IsEnabled && !_resetting)
            {
                _queues[queue].IsEnabled = true;
                ring = (_status & VirtioStatus.DriverOk) != 0 && Open((int)queue, null);
            }
        }

        if (ring)
        {
            Notified.Ring();
        }
    }

    /// <summary>The driver has made chains available (2.7.13, 2.8.21); ignored before DRIVER_OK.</summary>
    public void NotifyQueue(uint queue)
    {
        if (queue < _queues.Length)
        {
            _queues[queue].Notify();
            Notified.Ring();
        }
    }

    // ── The backend's calls, on any thread ──

    /// <summary>Whether the driver has notified of a queue since this was last asked.</summary>
    public bool TakeNotified(int queue) => _queues[queue].TakeNotified();

    /// <summary>Takes the next available chain of a queue.</summary>
    /// <exception cref="MissingPageException">A page has not arrived; to be tried again.</exception>
    public bool TryTake(int queue, DescriptorChain chain)
    {
        if (Fault != null)
        {
            return false;
        }

        bool taken = _queues[queue].TryTake(chain, out string? fault);
        FailOn(fault);
        return taken;
    }

    /// <summary>Gives a chain back. The driver learns of it by <see cref="Interrupt"/>.</summary>
    /// <param name="written">Bytes at the start of the writable buffers that were written.</param>
    /// <exception cref="MissingPageException">A page has not arrived; to be tried again.</exception>
    public void Give(int queue, DescriptorChain chain, uint written) =>
        Give(queue, new ReadOnlySpan<DescriptorChain>(in chain), new ReadOnlySpan<uint>(in written));

    /// <summary>Gives chains back, of which the driver sees either none or all.</summary>
    /// <param name="written">Bytes at the start of the writable buffers of each that were written.</param>
    /// <exception cref="MissingPageException">A page has not arrived; to be tried again.</exception>
    public void Give(int queue, ReadOnlySpan<DescriptorChain> chains, ReadOnlySpan<uint> written)
    {
        bool last = _queues[queue].Give(chains, written, out string? fault);
        FailOn(fault);
        EndResetIf(last);
    }

    /// <summary>The chains that were taken last are available again, as if they had not been taken.</summary>
    public void Untake(int queue, ReadOnlySpan<DescriptorChain> chains) => EndResetIf(_queues[queue].Untake(chains));

    /// <summary>Interrupts the driver for the chains that were given back, if it wants to be.</summary>
    /// <exception cref="MissingPageException">A page has not arrived; to be tried again.</exception>
    public void Interrupt(int queue)
    {
        if (_queues[queue].TakeInterrupt())
        {
            _transport?.InterruptQueue(queue);
        }
    }

    /// <summary>The driver need not notify: the backend looks by itself.</summary>
    public void SuppressNotifications(int queue) => _queues[queue].Suppress();

    /// <summary>Whether a chain is available, without taking it.</summary>
    public bool HasAvailable(int queue) => Fault == null && _queues[queue].HasAvailable;

    /// <summary>The driver is to notify of the next chain; true when one is available already.</summary>
    public bool AllowNotifications(int queue) => Fault == null && _queues[queue].Allow();

    /// <summary>A chain that a saved machine's backend had taken is this one's: as if it had been taken now.</summary>
    public void Adopt(int queue) => _queues[queue].Adopt();

    /// <summary>Whether a reset waits for the backend to give back what it has.</summary>
    public bool IsResetting
    {
        get
        {
            lock (_lock)
            {
                return _resetting;
            }
        }
    }

    /// <summary>Whether the backend has chains of any queue.</summary>
    public bool HasTaken => Array.Exists(_queues, q => q.Taken > 0);

    /// <summary>
    /// The driver broke a rule: the device does nothing until it is reset, and says so (DEVICE_NEEDS_RESET, 2.1.2).
    /// </summary>
    public void Fail(string what)
    {
        lock (_lock)
        {
            if (_resetting || (_status & VirtioStatus.NeedsReset) != 0)
            {
                return;
            }

            Fault = what;
            _status |= VirtioStatus.NeedsReset;
            if ((_status & VirtioStatus.DriverOk) != 0)
            {
                _transport?.InterruptConfiguration();
            }
        }
    }

    /// <summary>Power-on state. The backend does nothing, and what it may still have is nobody's.</summary>
    public virtual void Reset()
    {
        lock (_lock)
        {
            Array.ForEach(_queues, q => q.Forget());
            _resetting = true;
            EndReset();
        }
    }

    // ── The device type's ──

    /// <summary>Features of the type that the driver took; none before FEATURES_OK. Under <see cref="Registers"/>.</summary>
    protected ulong NegotiatedFeatures => (_status & VirtioStatus.FeaturesOk) != 0 ? _driverFeatures : 0;

    /// <summary>Whether the driver has taken a feature. Any thread.</summary>
    protected bool Negotiated(ulong feature)
    {
        lock (_lock)
        {
            return (NegotiatedFeatures & feature) != 0;
        }
    }

    /// <summary>Takes what the driver writes to the configuration space, under <see cref="Registers"/>.</summary>
    protected virtual void AcceptConfiguration(int offset, int size, ulong value)
    {
    }

    /// <summary>What of the type goes back to its value at power-on, under <see cref="Registers"/>.</summary>
    protected virtual void ResetRegisters()
    {
    }

    /// <summary>The driver has taken its features, under <see cref="Registers"/>.</summary>
    protected virtual void FeaturesAccepted()
    {
    }

    /// <summary>Whether the features that the driver took make sense together, under <see cref="Registers"/>.</summary>
    protected virtual bool MakeSense(ulong features) => true;

    /// <summary>Changes the configuration space, and tells the driver.</summary>
    protected void ChangeConfiguration(Action change)
    {
        lock (_lock)
        {
            change();
            _generation++;
            if ((_status & VirtioStatus.DriverOk) != 0)
            {
                _transport?.InterruptConfiguration();
            }
        }
    }

    private bool Offers(VirtioFeatures feature) => (OfferedFeatures & (ulong)feature) != 0;

    private bool AcceptsFeatures() =>
        (_driverFeatures & ~OfferedFeatures) == 0 && (_driverFeatures & (ulong)VirtioFeatures.Version1) != 0 && MakeSense(_driverFeatures);

    // Whether the backend has something to look at.
    private bool OpenQueues()
    {
        bool any = false;
        for (int i = 0; i < _queues.Length; i++)
        {
            any |= _queues[i].IsEnabled && Open(i, null);
        }

        return any;
    }

    // A driver may have made chains available before, and need not notify of them again.
    private bool Open(int queue, VirtqueuePosition? position)
    {
        var has = (VirtioFeatures)NegotiatedFeatures;
        bool packed = has.HasFlag(VirtioFeatures.PackedRings);
        var ring = Virtqueue.Create(_memory, packed, _queues[queue].Layout, new VirtqueueFeatures(
            has.HasFlag(VirtioFeatures.IndirectDescriptors), has.HasFlag(VirtioFeatures.EventIndex)));
        if (position is { } at)
        {
            ring.Position = at;
        }

        FailOn(ring.Fault);
        _queues[queue].Open(ring);
        _queues[queue].Notify();
        return true;
    }

    // Whether the backend is to be told, because it has chains.
    private bool BeginReset()
    {
        bool waits = false;
        foreach (VirtioQueue queue in _queues)
        {
            waits |= queue.Close() > 0;
        }

        _resetting = true;
        if (!waits)
        {
            EndReset();
        }

        return waits;
    }

    private void EndResetIf(bool last)
    {
        if (last)
        {
            lock (_lock)
            {
                EndReset();
            }
        }
    }

    private void EndReset()
    {
        if (!_resetting || HasTaken)
        {
            return;
        }

        foreach (VirtioQueue queue in _queues)
        {
            queue.Reset();
        }

        (_resetting, _status, _driverFeatures, Fault) = (false, VirtioStatus.None, 0, null);
        ResetRegisters();
    }

    private void FailOn(string? fault)
    {
        if (fault != null)
        {
            Fail(fault);
        }
    }
}
