using System.Buffers.Binary;
using Vmm.Emulation.Memory;
using static Vmm.Emulation.Devices.Virtio.VirtqueueSpec;

namespace Vmm.Emulation.Devices.Virtio;

/// <summary>A packed ring (Virtual I/O Device 1.2, section 2.8).</summary>
internal sealed class PackedVirtqueue : Virtqueue
{
    private const int FlagsOfDescriptor = 14;

    // The next descriptor to take and the next one to give back, each with its wrap counter.
    private Place _available = new(0, true);
    private Place _used = new(0, true);

    // Descriptors that were given back since the driver's wish was last read.
    private int _givenDescriptors;

    public PackedVirtqueue(IDmaMemory memory, VirtqueueLayout layout, VirtqueueFeatures features)
        : base(memory, layout, features)
    {
        if (layout.Size is < 1 or > MaxSize)
        {
            Fail($"a packed ring of {layout.Size} descriptors; 1 to {MaxSize} are valid");
            return;
        }

        Check("descriptor ring", layout.Descriptors, (ulong)layout.Size * DescriptorSize, DescriptorSize);
        Check("driver's event suppression", layout.Driver, 4, 4);
        Check("device's event suppression", layout.Device, 4, 4);
    }

    // An index into the ring and the counter that changes each time it begins anew.
    private readonly record struct Place(int Index, bool Wrap)
    {
        public ushort Word => (ushort)(Index | (Wrap ? EventWrap : 0));

        public static Place Of(ushort word) => new(word & ~EventWrap, (word & EventWrap) != 0);

        public Place Plus(int count, int size) => Index + count < size ? new(Index + count, Wrap) : new(Index + count - size, !Wrap);

        public Place Minus(int count, int size) => Index >= count ? new(Index - count, Wrap) : new(Index - count + size, !Wrap);
    }

    public override VirtqueuePosition Position
    {
        get => new(_available.Word, _used.Word);
        set
        {
            (_available, _used) = (Place.Of(value.Available), Place.Of(value.Used));
            if (_available.Index >= Layout.Size || _used.Index >= Layout.Size)
            {
                Fail($"a position of {_available.Index} and {_used.Index} in a ring of {Layout.Size} descriptors");
            }
        }
    }

    protected override bool HasAvailable()
    {
        ushort flags = Load(At(_available) + FlagsOfDescriptor);
        return Fault == null && (flags & Available) != 0 == _available.Wrap && (flags & Used) != 0 != _available.Wrap;
    }

    protected override bool Take(DescriptorChain chain)
    {
        if (!HasAvailable())
        {
            return false;
        }

        // The flags of the first descriptor are written last.
        Volatile.ReadBarrier();
        chain.Clear();
        Place place = _available;
        for (int i = 1; i <= Layout.Size; i++)
        {
            if (!TryRead(At(place), out Descriptor descriptor))
            {
                return false;
            }

            place = place.Plus(1, Layout.Size);
            ushort flags = descriptor.Fourth;
            if ((flags & Indirect) != 0 ? !AddTable(chain, descriptor, flags) : !Add(chain, descriptor, flags))
            {
                return false;
            }

            if ((flags & Next) == 0)
            {
                // The last one has the id.
                (chain.Id, chain.Descriptors) = (descriptor.Third, i);
                _available = place;
                return true;
            }
        }

        return Fail($"a chain of more than the {Layout.Size} descriptors of the ring");
    }

    protected override bool Give(ReadOnlySpan<DescriptorChain> chains, ReadOnlySpan<uint> written)
    {
        Span<byte> element = stackalloc byte[6];
        Place place = _used;
        int descriptors = 0;
        for (int i = 0; i < chains.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(element, written[i]);
            BinaryPrimitives.WriteUInt16LittleEndian(element[4..], chains[i].Id);
            if (!Memory.TryWrite(At(place) + 8, element))
            {
                return Fail("the descriptor ring is no RAM any more");
            }

            // The driver comes by the first one, whose flags are written last.
            if (i > 0)
            {
                StoreUsed(place, written[i]);
            }

            place = place.Plus(chains[i].Descriptors, Layout.Size);
            descriptors += chains[i].Descriptors;
        }

        // The rest, and the device's data, come before the flags (the store releases).
        StoreUsed(_used, written[0]);
        _used = place;
        _givenDescriptors += descriptors;
        return Fault == null;
    }

    protected override void Untake(ReadOnlySpan<DescriptorChain> chains)
    {
        foreach (DescriptorChain chain in chains)
        {
            _available = _available.Minus(chain.Descriptors, Layout.Size);
        }
    }

    protected override bool WantsInterrupt(int given)
    {
        bool wanted = WantsInterrupt();
        _givenDescriptors = 0;
        return wanted;
    }

    private bool WantsInterrupt()
    {
        ushort flags = (ushort)(Load(Layout.Driver + EventFlags) & 3);
        if (flags != EventDescriptor || !HasEventIndex)
        {
            return flags != EventDisable;
        }

        // How many descriptors ago the one was given back that the driver waits for.
        Volatile.ReadBarrier();
        Place wanted = Place.Of(Load(Layout.Driver));
        int behind = _used.Index - wanted.Index + (wanted.Wrap == _used.Wrap ? 0 : Layout.Size);
        return behind > 0 && behind <= _givenDescriptors;
    }

    protected override void WriteSuppression(bool suppress)
    {
        if (suppress || !HasEventIndex)
        {
            Store(Layout.Device + EventFlags, suppress ? EventDisable : EventEnable);
            return;
        }

        Store(Layout.Device, _available.Word);
        Store(Layout.Device + EventFlags, EventDescriptor);
    }

    private void StoreUsed(Place place, uint written) =>
        Store(At(place) + FlagsOfDescriptor, (ushort)((place.Wrap ? Available | Used : 0) | (written > 0 ? Write : 0)));

    private ulong At(Place place) => Layout.Descriptors + ((ulong)place.Index * DescriptorSize);

    // All descriptors of a table, one after another; their other flags mean nothing.
    private bool AddTable(DescriptorChain chain, in Descriptor descriptor, ushort flags)
    {
        int count = IndirectCount(descriptor, flags);
        for (int i = 0; i < count; i++)
        {
            if (!TryRead(descriptor.Address + ((ulong)i * DescriptorSize), out Descriptor entry))
            {
                return false;
            }

            if ((entry.Fourth & Indirect) != 0)
            {
                return Fail("an indirect descriptor in an indirect table");
            }

            if (!Add(chain, entry, entry.Fourth))
            {
                return false;
            }
        }

        return count > 0;
    }
}
