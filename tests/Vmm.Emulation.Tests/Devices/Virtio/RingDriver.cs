using System.Buffers.Binary;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>
/// The driver's side of a queue in guest RAM, written from the specification (Virtual I/O Device 1.2, sections 2.7 and 2.8) and not from
/// the device's side.
/// </summary>
/// <param name="number">Of several rings in RAM each has another number, and at most 16 descriptors.</param>
internal abstract class RingDriver(IDmaMemory ram, int size, VirtqueueFeatures features, uint number)
{
    public const ulong Base = 0x4000_0000;
    public const ulong RamSize = 1 << 20;
    private const ulong Tables = Base + 0x4_0000;

    public VirtqueueLayout Layout { get; } =
        new(size, Base + 0x1000 + (number * 0x800), Base + 0x2_0000 + (number * 0x800), Base + 0x3_0000 + (number * 0x800));

    protected IDmaMemory Ram => ram;

    protected int Size => size;

    protected VirtqueueFeatures Features => features;

    public static RingDriver Create(IDmaMemory ram, bool packed, int size, VirtqueueFeatures features, uint number = 0) =>
        packed ? new PackedDriver(ram, size, features, number) : new SplitDriver(ram, size, features, number);

    /// <summary>A buffer of a request.</summary>
    public record struct Part(ulong Address, uint Length, bool IsWritable);

    /// <summary>Makes a chain available; its id, or null where the ring is full.</summary>
    public abstract int? Add(Part[] parts, bool indirect);

    /// <summary>The id of the next chain that came back, and the bytes that were written; null for none.</summary>
    public abstract (int Id, uint Written)? Take();

    /// <summary>The device is to interrupt for the next chain that comes back.</summary>
    public abstract void AllowInterrupts();

    public abstract void SuppressInterrupts();

    /// <summary>Whether the device wants to be told of the chains that were made available since this was last asked.</summary>
    public abstract bool MustNotify();

    protected ulong WriteTable(Part[] parts, int slot)
    {
        ulong table = Tables + (number * 0x4000) + ((ulong)slot * 1024);
        for (int i = 0; i < parts.Length; i++)
        {
            Write(table + ((ulong)i * 16), parts[i], i + 1 < parts.Length, (ushort)(i + 1));
        }

        return table;
    }

    protected abstract void Write(ulong at, Part part, bool next, ushort index);

    protected void U64(ulong at, ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        Assert.True(ram.TryWrite(at, bytes));
    }

    protected void U32(ulong at, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        Assert.True(ram.TryWrite(at, bytes));
    }

    protected void U16(ulong at, int value) => Assert.True(ram.TryStore(at, (ushort)value));

    protected ushort U16(ulong at)
    {
        Assert.True(ram.TryLoad(at, out ushort value));
        return value;
    }

    protected uint U32(ulong at) => (uint)(U16(at) | (U16(at + 2) << 16));
}

internal sealed class SplitDriver : RingDriver
{
    private readonly Stack<ushort> _free;
    private readonly Dictionary<int, ushort[]> _chains = [];
    private ushort _available;
    private ushort _told;
    private ushort _seen;

    public SplitDriver(IDmaMemory ram, int size, VirtqueueFeatures features, uint number)
        : base(ram, size, features, number) => _free = new Stack<ushort>(Enumerable.Range(0, size).Select(i => (ushort)i));

    public override int? Add(Part[] parts, bool indirect)
    {
        int needed = indirect ? 1 : parts.Length;
        if (_free.Count < needed)
        {
            return null;
        }

        ushort[] own = [.. Enumerable.Range(0, needed).Select(_ => _free.Pop())];
        if (indirect)
        {
            U64(At(own[0]), WriteTable(parts, own[0]));
            U32(At(own[0]) + 8, (uint)parts.Length * 16);
            U16(At(own[0]) + 12, 4);
        }

        for (int i = 0; i < needed && !indirect; i++)
        {
            Write(At(own[i]), parts[i], i + 1 < needed, i + 1 < needed ? own[i + 1] : (ushort)0);
        }

        _chains[own[0]] = own;
        U16(Layout.Driver + 4 + ((ulong)(_available % Size) * 2), own[0]);
        U16(Layout.Driver + 2, ++_available);
        return own[0];
    }

    public override (int Id, uint Written)? Take()
    {
        if (U16(Layout.Device + 2) == _seen)
        {
            return null;
        }

        ulong at = Layout.Device + 4 + ((ulong)(_seen++ % Size) * 8);
        int id = (int)U32(at);
        Assert.True(_chains.Remove(id, out ushort[]? own), $"{id} came back and is not out");
        Array.ForEach(own, _free.Push);
        return (id, U32(at + 4));
    }

    public override void AllowInterrupts()
    {
        U16(Layout.Driver, 0);
        if (Features.EventIndex)
        {
            U16(Layout.Driver + 4 + ((ulong)Size * 2), _seen);
        }
    }

    public override void SuppressInterrupts()
    {
        U16(Layout.Driver, 1);
        if (Features.EventIndex)
        {
            // Half the numbers away.
            U16(Layout.Driver + 4 + ((ulong)Size * 2), (ushort)(_seen + 0x8000));
        }
    }

    public override bool MustNotify()
    {
        ushort old = _told;
        _told = _available;
        ushort wanted = U16(Layout.Device + 4 + ((ulong)Size * 8));
        return Features.EventIndex ? (ushort)(_available - wanted - 1) < (ushort)(_available - old)
            : _available != old && (U16(Layout.Device) & 1) == 0;
    }

    protected override void Write(ulong at, Part part, bool next, ushort index)
    {
        U64(at, part.Address);
        U32(at + 8, part.Length);
        U16(at + 12, (part.IsWritable ? 2 : 0) | (next ? 1 : 0));
        U16(at + 14, index);
    }

    private ulong At(int index) => Layout.Descriptors + ((ulong)index * 16);
}

internal sealed class PackedDriver : RingDriver
{
    private readonly Stack<ushort> _ids;
    private readonly Dictionary<int, int> _chains = [];
    private int _free;
    private int _next;
    private bool _wrap = true;
    private int _seen;
    private bool _seenWrap = true;

    // Positions without end, for what was told.
    private long _added;
    private long _told;

    public PackedDriver(IDmaMemory ram, int size, VirtqueueFeatures features, uint number)
        : base(ram, size, features, number)
    {
        _free = size;
        _ids = new Stack<ushort>(Enumerable.Range(0, size).Select(i => (ushort)i));
    }

    public override int? Add(Part[] parts, bool indirect)
    {
        int needed = indirect ? 1 : parts.Length;
        if (_free < needed)
        {
            return null;
        }

        ushort id = _ids.Pop();
        int first = _next;
        int firstFlags = 0;
        for (int i = 0; i < needed; i++)
        {
            ulong at = Layout.Descriptors + ((ulong)_next * 16);
            int flags = (_wrap ? 0x80 : 0x8000) | (i + 1 < needed ? 1 : 0);
            if (indirect)
            {
                U64(at, WriteTable(parts, id));
                U32(at + 8, (uint)parts.Length * 16);
                flags |= 4;
            }
            else
            {
                U64(at, parts[i].Address);
                U32(at + 8, parts[i].Length);
                flags |= parts[i].IsWritable ? 2 : 0;
            }

            U16(at + 12, id);
            if (i == 0)
            {
                firstFlags = flags;
            }
            else
            {
                U16(at + 14, flags);
            }

            _next++;
            if (_next == Size)
            {
                (_next, _wrap) = (0, !_wrap);
            }
        }

        U16(Layout.Descriptors + ((ulong)first * 16) + 14, firstFlags);
        _chains[id] = needed;
        _free -= needed;
        _added += needed;
        return id;
    }

    public override (int Id, uint Written)? Take()
    {
        ulong at = Layout.Descriptors + ((ulong)_seen * 16);
        int flags = U16(at + 14);
        if ((flags & 0x80) != 0 != _seenWrap || (flags & 0x8000) != 0 != _seenWrap)
        {
            return null;
        }

        int id = U16(at + 12);
        Assert.True(_chains.Remove(id, out int own), $"{id} came back and is not out");
        Assert.Equal(U32(at + 8) > 0, (flags & 2) != 0);
        _ids.Push((ushort)id);
        _free += own;
        _seen += own;
        if (_seen >= Size)
        {
            (_seen, _seenWrap) = (_seen - Size, !_seenWrap);
        }

        return (id, U32(at + 8));
    }

    public override void AllowInterrupts()
    {
        U16(Layout.Driver, _seen | (_seenWrap ? 0x8000 : 0));
        U16(Layout.Driver + 2, Features.EventIndex ? 2 : 0);
    }

    public override void SuppressInterrupts() => U16(Layout.Driver + 2, 1);

    public override bool MustNotify()
    {
        long old = _told;
        _told = _added;
        int flags = U16(Layout.Device + 2);
        if (flags != 2)
        {
            return _added != old && flags == 0;
        }

        // The position of the event that is nearest before the end.
        int word = U16(Layout.Device);
        long wanted = (_added / (2 * Size) * 2 * Size) + (word & 0x7FFF) + ((word & 0x8000) != 0 ? 0 : Size);
        wanted -= wanted >= _added ? 2 * Size : 0;
        return wanted >= old;
    }

    protected override void Write(ulong at, Part part, bool next, ushort index)
    {
        U64(at, part.Address);
        U32(at + 8, part.Length);
        U16(at + 12, 0);
        U16(at + 14, part.IsWritable ? 2 : 0);
    }
}
