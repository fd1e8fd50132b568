using System.Buffers.Binary;
using System.Text;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.NineP;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>
/// A client of a shared folder on virtio-mmio, written from the protocol (diod, protocol.md; Linux, net/9p), with the test as the backend
/// of the device: one request at a time, in several buffers.
/// </summary>
internal sealed class NinePDriver
{
    public const uint NoFid = uint.MaxValue;
    private const ulong Request = RingDriver.Base + 0x8_0000;
    private const ulong Answer = RingDriver.Base + 0xC_0000;
    private const int Room = 0x3_0000;

    private readonly PhysicalAddressSpace _ram;
    private readonly VirtioNineP _device;
    private readonly NinePRequest _request = new();
    private readonly bool _indirect;
    private readonly Func<RingDriver, (int Id, uint Written)?> _wait;
    private ushort _tag;

    /// <param name="wait">Waits for the next answer in the ring; null where the test is the backend.</param>
    public NinePDriver(
        VirtioNineP device, IMmioDevice slot, PhysicalAddressSpace ram, bool packed, bool indirect, bool eventIndex,
        Func<RingDriver, (int Id, uint Written)?>? wait = null)
    {
        (_device, _ram, _indirect) = (device, ram, indirect);
        _wait = wait ?? Serve;
        Slot = new MmioDriver(slot);
        Assert.True(Slot.Negotiate(
            MmioDriver.Version1 | 1 | (packed ? 1ul << 34 : 0) | (indirect ? 1ul << 28 : 0) | (eventIndex ? 1ul << 29 : 0)));
        Ring = RingDriver.Create(ram, packed, 16, new VirtqueueFeatures(indirect, eventIndex));
        Slot.Enable(0, Ring.Layout);
        Slot.Go();
    }

    public MmioDriver Slot { get; }

    public RingDriver Ring { get; }

    /// <summary>Sends a request: fields of 1, 2, 4 and 8 bytes, strings, bytes.</summary>
    /// <returns>The answer behind its header, and 0; or nothing and the error.</returns>
    public (byte[] Body, int Error) Call(byte type, params object[] fields)
    {
        byte[] answer = Raw([.. Message(type, ++_tag, fields)]);
        Assert.Equal(answer.Length, BinaryPrimitives.ReadInt32LittleEndian(answer));
        Assert.Equal(_tag, BinaryPrimitives.ReadUInt16LittleEndian(answer.AsSpan(5)));
        if (answer[4] == 7)
        {
            return ([], BinaryPrimitives.ReadInt32LittleEndian(answer.AsSpan(7)));
        }

        Assert.Equal(type + 1, answer[4]);
        return (answer[7..], 0);
    }

    public byte[] Ok(byte type, params object[] fields)
    {
        (byte[] body, int error) = Call(type, fields);
        Assert.True(error == 0, $"request {type}: {error}");
        return body;
    }

    public int Error(byte type, params object[] fields) => Call(type, fields).Error;

    /// <summary>Begins a session and makes fid 0 the root.</summary>
    public void Mount(uint user = NoFid)
    {
        Assert.Equal((uint)0x2_0000, BinaryPrimitives.ReadUInt32LittleEndian(Ok(100, 0x2_0000u, "9P2000.L")));
        Ok(104, 0u, NoFid, "root", "/", user);
    }

    /// <summary>Walks from a fid to another; the number of steps, or minus the error.</summary>
    public int Walk(uint from, uint to, params string[] names)
    {
        (byte[] body, int error) = Call(110, [from, to, (ushort)names.Length, .. names]);
        return error != 0 ? -error : BinaryPrimitives.ReadUInt16LittleEndian(body);
    }

    /// <summary>All entries of a folder that a fid has open, by as many requests as it takes.</summary>
    public List<string> List(uint fid, uint count)
    {
        var names = new List<string>();
        ulong offset = 0;
        while (true)
        {
            byte[] body = Ok(40, fid, offset, count);
            int length = BinaryPrimitives.ReadInt32LittleEndian(body);
            if (length == 0)
            {
                return names;
            }

            for (int at = 4; at < body.Length;)
            {
                offset = BinaryPrimitives.ReadUInt64LittleEndian(body.AsSpan(at + 13));
                int name = BinaryPrimitives.ReadUInt16LittleEndian(body.AsSpan(at + 22));
                names.Add(Encoding.UTF8.GetString(body, at + 24, name));
                at += 24 + name;
            }
        }
    }

    /// <summary>A message, as it is sent.</summary>
    public static IEnumerable<byte> Message(byte type, ushort tag, params object[] fields)
    {
        byte[] body = [.. fields.SelectMany(Bytes)];
        return [.. BitConverter.GetBytes(body.Length + 7), type, .. BitConverter.GetBytes(tag), .. body];
    }

    /// <summary>Sends bytes, whatever they are; what came back.</summary>
    public byte[] Raw(byte[] message, uint room = Room)
    {
        Assert.True(_ram.TryWrite(Request, message));
        uint half = (uint)message.Length / 2;
        var parts = new List<RingDriver.Part>
        {
            new(Request, half, false), new(Request + half, (uint)message.Length - half, false),
            new(Answer, room / 3, true), new(Answer + (room / 3), room - (room / 3), true),
        };
        parts.RemoveAll(p => p.Length == 0);
        Ring.Add([.. parts], _indirect);
        Slot.Notify(0);
        byte[] answer = new byte[_wait(Ring)?.Written ?? 0];
        Assert.True(_ram.TryRead(Answer, answer));
        return answer;
    }

    /// <summary>Makes a request available that nobody serves yet.</summary>
    /// <param name="slot">Requests that are there at once have different ones.</param>
    public void Post(int slot, byte type, ushort tag, params object[] fields)
    {
        byte[] message = [.. Message(type, tag, fields)];
        ulong at = Request + ((ulong)slot * 0x100);
        Assert.True(_ram.TryWrite(at, message));
        Assert.NotNull(Ring.Add(
            [new(at, (uint)message.Length, false), new(Answer + ((ulong)slot * 0x100), 0x100, true)], _indirect));
        Slot.Notify(0);
    }

    private (int Id, uint Written)? Serve(RingDriver ring)
    {
        while (_device.TryTake(_request))
        {
            _device.Read(_request);
            _device.Process(_request);
            _device.Complete(_request);
            _device.Interrupt();
        }

        return ring.Take();
    }

    private static byte[] Bytes(object field) => field switch
    {
        byte value => [value],
        ushort value => BitConverter.GetBytes(value),
        uint value => BitConverter.GetBytes(value),
        ulong value => BitConverter.GetBytes(value),
        string text => [.. BitConverter.GetBytes((ushort)Encoding.UTF8.GetByteCount(text)), .. Encoding.UTF8.GetBytes(text)],
        byte[] bytes => bytes,
        _ => throw new ArgumentException($"{field.GetType()}"),
    };
}
