using System.Buffers.Binary;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Devices.Virtio;

/// <summary>Where the three areas of a queue are in guest RAM, and how many descriptors it has.</summary>
/// <param name="Size">Descriptors; a power of two in a split ring.</param>
/// <param name="Descriptors">Address of the descriptor table or ring; a multiple of 16.</param>
/// <param name="Driver">Address of the available ring (a multiple of 2) or of the driver's event suppression area (4).</param>
/// <param name="Device">Address of the used ring or of the device's event suppression area; a multiple of 4.</param>
public readonly record struct VirtqueueLayout(int Size, ulong Descriptors, ulong Driver, ulong Device);

/// <summary>The features that a queue is used with (Virtual I/O Device 1.2, section 6).</summary>
/// <param name="Indirect">VIRTIO_F_INDIRECT_DESC: a descriptor may name a table of descriptors.</param>
/// <param name="EventIndex">VIRTIO_F_EVENT_IDX: either side says at which buffer it wants to be notified.</param>
public readonly record struct VirtqueueFeatures(bool Indirect, bool EventIndex);

/// <summary>How far the device is in a queue: what of it is saved. In a packed ring bit 15 is the wrap counter.</summary>
public readonly record struct VirtqueuePosition(ushort Available, ushort Used);

/// <summary>
/// The device's side of a queue: takes chains of buffers that the driver made available and gives them back used. It belongs to one thread
/// at a time, that of the device's backend; the driver is any vCPU, at the same time.
/// <para>
/// What the driver writes is not to be trusted: an address outside RAM, a loop or a flag that makes no sense stops the queue with a line
/// in <see cref="Fault"/>, and the device then asks for a reset. When a page of RAM has not arrived after a migration, a call passes on
/// <see cref="MissingPageException"/> and has changed nothing that a second call would not do again.
/// </para>
/// </summary>
public abstract class Virtqueue
{
    private readonly bool _hasIndirect;
    private int _notified;

    protected Virtqueue(IDmaMemory memory, VirtqueueLayout layout, VirtqueueFeatures features)
    {
        Memory = memory;
        Layout = layout;
        HasEventIndex = features.EventIndex;
        _hasIndirect = features.Indirect;
    }

    /// <summary>What the driver did wrong; null for nothing. No chain is taken or given back from then on.</summary>
    public string? Fault { get; private set; }

    /// <summary>How far the device is; set before the first call.</summary>
    public abstract VirtqueuePosition Position { get; set; }

    protected IDmaMemory Memory { get; }

    protected VirtqueueLayout Layout { get; }

    protected bool HasEventIndex { get; }

    /// <summary>Makes a queue whose areas are looked at once: all in RAM and aligned, else it has a fault from the start.</summary>
    public static Virtqueue Create(IDmaMemory memory, bool packed, VirtqueueLayout layout, VirtqueueFeatures features) =>
        packed ? new PackedVirtqueue(memory, layout, features) : new SplitVirtqueue(memory, layout, features);

    /// <summary>Whether a chain is available.</summary>
    public bool HasMore => Fault == null && HasAvailable();

    /// <summary>Takes the next chain that is available; false when there is none, or with a fault.</summary>
    public bool TryPop(DescriptorChain chain) => Fault == null && Take(chain);

    /// <summary>Gives a chain back. Chains may be given back in another order than they were taken.</summary>
    /// <param name="written">Bytes at the start of the writable buffers that the device wrote.</param>
    public void Push(DescriptorChain chain, uint written) =>
        Push(new ReadOnlySpan<DescriptorChain>(in chain), new ReadOnlySpan<uint>(in written));

    /// <summary>Gives chains back, of which the driver sees either none or all.</summary>
    /// <param name="written">Bytes at the start of the writable buffers of each that the device wrote.</param>
    public void Push(ReadOnlySpan<DescriptorChain> chains, ReadOnlySpan<uint> written)
    {
        if (Fault == null && Give(chains, written))
        {
            _notified += chains.Length;
        }
    }

    /// <summary>The chains that were taken last are available again, as if they had not been taken.</summary>
    public void Unpop(ReadOnlySpan<DescriptorChain> chains)
    {
        if (Fault == null)
        {
            Untake(chains);
        }
    }

    /// <summary>Whether the driver is to be interrupted for the chains that were given back since this was last asked.</summary>
    public bool TakeNotification()
    {
        int given = _notified;
        if (given == 0 || Fault != null)
        {
            return false;
        }

        // What was given back is visible before the driver's wish is read: the driver writes its wish and then looks at the ring.
        Interlocked.MemoryBarrier();
        bool wanted = WantsInterrupt(given);
        _notified = 0;
        return wanted;
    }

    /// <summary>The driver need not notify: the device looks by itself.</summary>
    public void SuppressNotifications()
    {
        if (Fault == null)
        {
            WriteSuppression(true);
        }
    }

    /// <summary>
    /// The driver is to notify of the next chain. True when one has become available meanwhile, which the driver may not have notified of:
    /// the device takes it before it waits.
    /// </summary>
    public bool AllowNotifications()
    {
        if (Fault != null)
        {
            return false;
        }

        WriteSuppression(false);
        Interlocked.MemoryBarrier();
        return Fault == null && HasAvailable();
    }

    protected abstract bool Take(DescriptorChain chain);

    protected abstract bool Give(ReadOnlySpan<DescriptorChain> chains, ReadOnlySpan<uint> written);

    protected abstract void Untake(ReadOnlySpan<DescriptorChain> chains);

    protected abstract bool WantsInterrupt(int given);

    protected abstract void WriteSuppression(bool suppress);

    protected abstract bool HasAvailable();

    /// <summary>Stops the queue.</summary>
    /// <returns>False.</returns>
    protected bool Fail(string what)
    {
        Fault ??= what;
        return false;
    }

    protected void Check(string name, ulong address, ulong length, uint alignment)
    {
        if (address % alignment != 0 || !Memory.IsRam(address, length))
        {
            Fail($"the {name} at 0x{address:x} is not {length} bytes of RAM at a multiple of {alignment}");
        }
    }

    protected ushort Load(ulong address)
    {
        if (!Memory.TryLoad(address, out ushort value))
        {
            Fail($"the ring at 0x{address:x} is no RAM any more");
        }

        return value;
    }

    protected void Store(ulong address, ushort value)
    {
        if (!Memory.TryStore(address, value))
        {
            Fail($"the ring at 0x{address:x} is no RAM any more");
        }
    }

    protected readonly record struct Descriptor(ulong Address, uint Length, ushort Third, ushort Fourth)
    {
        public static Descriptor Parse(ReadOnlySpan<byte> bytes) => new(
            BinaryPrimitives.ReadUInt64LittleEndian(bytes), BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]),
            BinaryPrimitives.ReadUInt16LittleEndian(bytes[12..]), BinaryPrimitives.ReadUInt16LittleEndian(bytes[14..]));
    }

    protected bool TryRead(ulong address, out Descriptor descriptor)
    {
        Span<byte> bytes = stackalloc byte[VirtqueueSpec.DescriptorSize];
        bool read = Memory.TryRead(address, bytes);
        descriptor = Descriptor.Parse(bytes);
        return read || Fail($"a descriptor at 0x{address:x} is no RAM");
    }

    /// <summary>Adds the buffer of a descriptor to a chain.</summary>
    protected bool Add(DescriptorChain chain, in Descriptor descriptor, ushort flags)
    {
        if (descriptor.Length > 0 && !Memory.IsRam(descriptor.Address, descriptor.Length))
        {
            return Fail($"a buffer of {descriptor.Length} bytes at 0x{descriptor.Address:x} is no RAM");
        }

        string? wrong = chain.Add(descriptor.Address, descriptor.Length, (flags & VirtqueueSpec.Write) != 0);
        return wrong == null || Fail(wrong);
    }

    /// <summary>The number of descriptors in the table that an indirect descriptor names; 0 with a fault.</summary>
    protected int IndirectCount(in Descriptor descriptor, ushort flags)
    {
        uint count = descriptor.Length / VirtqueueSpec.DescriptorSize;
        if (!_hasIndirect || (flags & VirtqueueSpec.Next) != 0)
        {
            Fail(_hasIndirect ? "an indirect descriptor with a next one" : "an indirect descriptor, which was not negotiated");
            return 0;
        }

        if (descriptor.Length % VirtqueueSpec.DescriptorSize != 0 || count is 0 or > ushort.MaxValue + 1
            || !Memory.IsRam(descriptor.Address, descriptor.Length))
        {
            Fail($"a table of indirect descriptors of {descriptor.Length} bytes at 0x{descriptor.Address:x}");
            return 0;
        }

        return (int)count;
    }
}
