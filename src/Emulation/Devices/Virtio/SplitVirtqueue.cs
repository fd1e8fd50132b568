using System.Buffers.Binary;
using Vmm.Emulation.Memory;
using static Vmm.Emulation.Devices.Virtio.VirtqueueSpec;

namespace Vmm.Emulation.Devices.Virtio;

/// <summary>A split ring (Virtual I/O Device 1.2, section 2.7).</summary>
internal sealed class SplitVirtqueue : Virtqueue
{
    private readonly ushort _mask;

    // Both count on without end, modulo 2^16: the next chain to take, and the next element to give back.
    private ushort _available;
    private ushort _used;

    public SplitVirtqueue(IDmaMemory memory, VirtqueueLayout layout, VirtqueueFeatures features)
        : base(memory, layout, features)
    {
        if (layout.Size is < 1 or > MaxSize || (layout.Size & (layout.Size - 1)) != 0)
        {
            Fail($"a split ring of {layout.Size} descriptors; a power of two up to {MaxSize} is valid");
            return;
        }

        // The last word of either ring is the other side's event index.
        _mask = (ushort)(layout.Size - 1);
        ulong size = (ulong)layout.Size;
        ulong events = features.EventIndex ? 2u : 0;
        Check("descriptor table", layout.Descriptors, size * DescriptorSize, DescriptorSize);
        Check("available ring", layout.Driver, RingHeader + (size * AvailableElement) + events, 2);
        Check("used ring", layout.Device, RingHeader + (size * UsedElement) + events, 4);
    }

    public override VirtqueuePosition Position
    {
        get => new(_available, _used);
        set => (_available, _used) = (value.Available, value.Used);
    }

    private ulong UsedEvent => Layout.Driver + RingHeader + ((ulong)Layout.Size * AvailableElement);

    private ulong AvailableEvent => Layout.Device + RingHeader + ((ulong)Layout.Size * UsedElement);

    protected override bool HasAvailable() => Load(Layout.Driver + RingIndex) != _available;

    protected override bool Take(DescriptorChain chain)
    {
        ushort end = Load(Layout.Driver + RingIndex);
        ushort waiting = (ushort)(end - _available);
        if (waiting == 0 || Fault != null)
        {
            return false;
        }

        if (waiting > Layout.Size)
        {
            return Fail($"{waiting} available chains in a ring of {Layout.Size} descriptors");
        }

        // The elements up to the index are there when the index is.
        Volatile.ReadBarrier();
        ushort head = Load(Layout.Driver + RingHeader + ((ulong)(_available & _mask) * AvailableElement));
        chain.Clear();
        chain.Id = head;
        if (!Walk(chain, Layout.Descriptors, head, Layout.Size, isIndirect: false))
        {
            return false;
        }

        _available++;
        return true;
    }

    protected override bool Give(ReadOnlySpan<DescriptorChain> chains, ReadOnlySpan<uint> written)
    {
        Span<byte> element = stackalloc byte[UsedElement];
        for (int i = 0; i < chains.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(element, chains[i].Id);
            BinaryPrimitives.WriteUInt32LittleEndian(element[4..], written[i]);
            if (!Memory.TryWrite(Layout.Device + RingHeader + ((ulong)((_used + i) & _mask) * UsedElement), element))
            {
                return Fail("the used ring is no RAM any more");
            }
        }

        // The elements, and the device's data, come before the index (the store releases).
        ushort end = (ushort)(_used + chains.Length);
        Store(Layout.Device + RingIndex, end);
        _used = end;
        return Fault == null;
    }

    protected override void Untake(ReadOnlySpan<DescriptorChain> chains) => _available -= (ushort)chains.Length;

    protected override bool WantsInterrupt(int given) =>
        HasEventIndex ? given > Layout.Size || (ushort)(_used - Load(UsedEvent) - 1) < given
        : (Load(Layout.Driver) & NoInterrupt) == 0;

    protected override void WriteSuppression(bool suppress)
    {
        if (!HasEventIndex)
        {
            Store(Layout.Device, suppress ? NoNotify : (ushort)0);
        }
        else if (!suppress)
        {
            // An index that the driver has passed notifies of nothing, so there is no need to write one for that.
            Store(AvailableEvent, _available);
        }
    }

    // Follows a chain through a table. No descriptor comes twice in a chain that ends, so one that is longer than the table is a loop.
    private bool Walk(DescriptorChain chain, ulong table, ushort first, int size, bool isIndirect)
    {
        ushort index = first;
        for (int i = 0; i < size; i++)
        {
            if (index >= size)
            {
                return Fail($"descriptor {index} in a table of {size}");
            }

            if (!TryRead(table + ((ulong)index * DescriptorSize), out Descriptor descriptor))
            {
                return false;
            }

            ushort flags = descriptor.Third;
            if ((flags & Indirect) != 0)
            {
                if (isIndirect)
                {
                    return Fail("an indirect descriptor in an indirect table");
                }

                int count = IndirectCount(descriptor, flags);
                return count > 0 && Walk(chain, descriptor.Address, 0, count, isIndirect: true);
            }

            if (!Add(chain, descriptor, flags))
            {
                return false;
            }

            if ((flags & Next) == 0)
            {
                return true;
            }

            index = descriptor.Fourth;
        }

        return Fail($"a loop in a chain of {size} descriptors");
    }
}
