using System.Buffers.Binary;
using System.Text;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Serial;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>The driver's side of a console with ports (Virtual I/O Device 1.2, section 5.3): control, port 0 and port 1.</summary>
internal sealed class SerialDriver
{
    private const int Size = 16;
    private const uint BufferSize = 4096;
    private const int Buffers = 8;
    private const uint ControlIn = 2;
    private const uint ControlOut = 3;

    private readonly PhysicalAddressSpace _ram;
    private readonly RingDriver[] _rings = new RingDriver[6];
    private readonly Dictionary<(uint Queue, int Id), ulong> _buffers = [];
    private readonly bool _indirect;
    private readonly bool _serves;
    private VirtioSerial _device;
    private int _next;

    /// <param name="serves">Whether the test is the backend of the device.</param>
    public SerialDriver(
        VirtioSerial device, IMmioDevice slot, PhysicalAddressSpace ram, bool packed, bool indirect, bool eventIndex, bool serves = true)
    {
        (_device, _ram, _indirect, _serves) = (device, ram, indirect, serves);
        Slot = new MmioDriver(slot);
        Assert.True(Slot.Negotiate(
            MmioDriver.Version1 | 2 | (packed ? 1ul << 34 : 0) | (indirect ? 1ul << 28 : 0) | (eventIndex ? 1ul << 29 : 0)));
        for (uint queue = 0; queue < _rings.Length; queue++)
        {
            _rings[queue] = RingDriver.Create(ram, packed, Size, new VirtqueueFeatures(indirect, eventIndex), queue);
            Slot.Enable(queue, _rings[queue].Layout);
        }

        Slot.Go();
        foreach (uint queue in (uint[])[0, ControlIn, 4])
        {
            for (int i = 0; i < Buffers; i++)
            {
                Offer(queue, RingDriver.Base + 0xA_0000 + (queue * 0x8000) + ((ulong)i * BufferSize));
            }
        }

        Notify(ControlIn);
    }

    public MmioDriver Slot { get; private set; }

    public void MoveTo(VirtioSerial device, IMmioDevice slot) => (_device, Slot) = (device, new MmioDriver(slot));

    /// <summary>Says something by the control queue.</summary>
    public void Say(uint port, ushort what, ushort value)
    {
        byte[] message = new byte[8];
        BinaryPrimitives.WriteUInt32LittleEndian(message, port);
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(4), what);
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(6), value);
        ulong at = RingDriver.Base + 0x9_8000 + ((ulong)(_next++ % 64) * 8);
        Assert.True(_ram.TryWrite(at, message));
        if (_rings[ControlOut].Add([new RingDriver.Part(at, 8, false)], _indirect) != null)
        {
            Notify(ControlOut);
        }

        while (_rings[ControlOut].Take() != null)
        {
        }
    }

    /// <summary>What the device has said: port, event, value and the text behind them.</summary>
    public List<(uint Port, int What, int Value, string More)> Heard() => [.. Taken(ControlIn).Select(m => (
        BinaryPrimitives.ReadUInt32LittleEndian(m), (int)BinaryPrimitives.ReadUInt16LittleEndian(m.AsSpan(4)),
        (int)BinaryPrimitives.ReadUInt16LittleEndian(m.AsSpan(6)), Encoding.UTF8.GetString(m.AsSpan(8))))];

    /// <summary>All that has come for a port.</summary>
    public byte[] Receive(int port)
    {
        var all = new List<byte>();
        while (Taken(port == 0 ? 0u : 4u) is { Count: > 0 } taken)
        {
            all.AddRange(taken.SelectMany(t => t));
        }

        return [.. all];
    }

    /// <summary>Sends bytes by a port, in two buffers.</summary>
    public void Send(int port, byte[] bytes)
    {
        Reclaim(port == 0 ? 1u : 5u);
        ulong at = RingDriver.Base + 0xD_0000 + ((ulong)(_next++ % 8) * 0x5000);
        Assert.True(_ram.TryWrite(at, bytes));
        uint half = (uint)bytes.Length / 2;
        RingDriver.Part[] parts = [new(at, half, false), new(at + half, (uint)bytes.Length - half, false)];
        Send(port, parts);
    }

    /// <summary>Sends what is in RAM.</summary>
    public void Send(int port, RingDriver.Part[] parts)
    {
        uint queue = port == 0 ? 1u : 5u;
        if (_rings[queue].Add(parts, _indirect) is { } id)
        {
            _buffers[(queue, id)] = parts[0].Address;
            Notify(queue);
        }
    }

    /// <summary>How many buffers of a port's output the device has.</summary>
    public int Out(int port)
    {
        Reclaim(port == 0 ? 1u : 5u);
        return _buffers.Keys.Count(k => k.Queue == (port == 0 ? 1u : 5u));
    }

    private void Reclaim(uint queue)
    {
        while (_rings[queue].Take() is { } back)
        {
            _buffers.Remove((queue, back.Id));
        }
    }

    private List<byte[]> Taken(uint queue)
    {
        var taken = new List<byte[]>();
        while (_rings[queue].Take() is { } back)
        {
            Assert.True(_buffers.Remove((queue, back.Id), out ulong at));
            byte[] bytes = new byte[back.Written];
            Assert.True(_ram.TryRead(at, bytes));
            taken.Add(bytes);
            Offer(queue, at);
        }

        Notify(queue);
        return taken;
    }

    private void Offer(uint queue, ulong at)
    {
        if (_rings[queue].Add([new RingDriver.Part(at, BufferSize, true)], _indirect) is { } id)
        {
            _buffers[(queue, id)] = at;
        }
    }

    // As a driver does it: only if the device wants to be told.
    private void Notify(uint queue)
    {
        if (_rings[queue].MustNotify())
        {
            Slot.Notify(queue);
            if (_serves)
            {
                _device.Notified.Acknowledge();
                while (_device.Serve())
                {
                }
            }
        }
    }
}
