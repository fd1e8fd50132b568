using System.Buffers.Binary;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;
using static Vmm.Emulation.Devices.Virtio.Vsock.VsockSpec;

namespace Vmm.Emulation.Devices.Virtio.Vsock;

/// <summary>
/// The core of a socket device (Virtual I/O Device 1.2, section 5.10). The one thread of the backend takes the driver's packets
/// (<see cref="TryTransmit"/>) and gives it packets (<see cref="TryDeliver"/>); between these calls it has no chain. What a packet means,
/// <see cref="VsockConnections"/> knows.
/// </summary>
public sealed class VirtioVsock : VirtioDevice
{
    private readonly byte[] _space = new byte[ConfigurationSize];

    // The driver has reset the device, or another machine's state was loaded, and the backend has not seen it. Interlocked.
    private int _connectionsLost;

    // Under Registers: the driver is to be told that all connections are gone.
    private bool _owesReset;

    // Owned by the backend's thread.
    private readonly DescriptorChain _chain = new();

    public VirtioVsock(IDmaMemory memory, VirtioVsockConfig config)
        : base(memory, StreamSockets | (config.HasMessages ? MessageSockets : 0) | (ulong)config.Rings, [QueueSize, QueueSize, QueueSize])
    {
        Config = config;
        BinaryPrimitives.WriteUInt64LittleEndian(_space, config.GuestCid);
    }

    public override string Name => "virtio-vsock";

    public override VirtioDeviceId DeviceId => VirtioDeviceId.Socket;

    public VirtioVsockConfig Config { get; }

    /// <summary>Whether the driver knows connections of messages. Any thread.</summary>
    public bool HasMessages => Negotiated(MessageSockets);

    protected override Span<byte> Configuration => _space;

    protected override IReadOnlyList<(string Name, object Value)> OwnProperties =>
        [("guest-cid", (long)Config.GuestCid), ("uds_path", Config.Path), ("seqpacket", Config.HasMessages)];

    /// <summary>Whether, since this was last asked, the driver has reset the device or a state was loaded: no connection is left.</summary>
    public bool TakeConnectionsLost() => Interlocked.Exchange(ref _connectionsLost, 0) != 0;

    /// <summary>Takes the driver's next packet, and gives its buffers back.</summary>
    /// <param name="isPacket">False where the driver gave what is none.</param>
    /// <exception cref="MissingPageException">A page has not arrived; to be tried again.</exception>
    public bool TryTransmit(VsockPacket packet, out bool isPacket)
    {
        isPacket = false;
        if (!TryTake(FromDriver, _chain))
        {
            return false;
        }

        try
        {
            packet.Count = 0;
            if (_chain.TryRead(Memory, 0, packet.Header) && packet.SaidLength <= VsockPacket.MostData
                && packet.SaidLength <= _chain.ReadableLength - HeaderSize)
            {
                packet.Count = (int)packet.SaidLength;
                isPacket = packet.Count == 0 || _chain.TryRead(Memory, HeaderSize, packet.Data);
            }

            Give(FromDriver, _chain, 0);
            return true;
        }
        catch (MissingPageException)
        {
            Untake(FromDriver, new ReadOnlySpan<DescriptorChain>(in _chain));
            throw;
        }
    }

    /// <summary>Gives the driver a packet, with as much of its data as its next buffer has room for.</summary>
    /// <param name="from">How many bytes of the data it has already.</param>
    /// <returns>How many bytes it has got of the rest; -1 where it has no buffers now.</returns>
    /// <exception cref="MissingPageException">A page has not arrived; to be tried again.</exception>
    public int TryDeliver(VsockPacket packet, int from)
    {
        if (!TryTake(ToDriver, _chain))
        {
            return -1;
        }

        try
        {
            if (_chain.WritableLength < HeaderSize + (packet.Count > from ? 1u : 0))
            {
                Fail("a buffer that has no room for a packet");
                Untake(ToDriver, new ReadOnlySpan<DescriptorChain>(in _chain));
                return -1;
            }

            int part = (int)Math.Min((ulong)(packet.Count - from), _chain.WritableLength - HeaderSize);
            packet.SetPart(from, part);
            if (!TryScatter(packet.Header, packet.Data.Slice(from, part)))
            {
                Fail("a buffer that is not RAM");
            }

            Give(ToDriver, _chain, (uint)(HeaderSize + part));
            return part;
        }
        catch (MissingPageException)
        {
            Untake(ToDriver, new ReadOnlySpan<DescriptorChain>(in _chain));
            throw;
        }
    }

    /// <summary>Tells the driver that all connections are gone, if that is to be told and it has a buffer for it (5.10.6.7).</summary>
    /// <exception cref="MissingPageException">A page has not arrived; to be tried again.</exception>
    public void TellReset()
    {
        lock (Registers)
        {
            if (!_owesReset)
            {
                return;
            }
        }

        if (!TryTake(Events, _chain))
        {
            return;
        }

        try
        {
            Span<byte> reset = stackalloc byte[EventSize];
            BinaryPrimitives.WriteUInt32LittleEndian(reset, TransportReset);
            if (!_chain.TryWrite(Memory, reset))
            {
                Fail("a buffer that has no room for an event");
            }

            Give(Events, _chain, EventSize);
        }
        catch (MissingPageException)
        {
            Untake(Events, new ReadOnlySpan<DescriptorChain>(in _chain));
            throw;
        }

        lock (Registers)
        {
            _owesReset = false;
        }

        Interrupt(Events);
    }

    protected override void ResetRegisters()
    {
        _owesReset = false;
        Volatile.Write(ref _connectionsLost, 1);
    }

    protected override void SaveRegisters(StateWriter writer) => writer.Write("cid", Config.GuestCid);

    /// <summary>Connections are the host's, so none comes along: the driver is told so, and ends them.</summary>
    protected override void LoadRegisters(StateReader reader)
    {
        reader.Require(reader.Read<uint>("cid") == Config.GuestCid, "cid");
        _owesReset = (Status & VirtioStatus.DriverOk) != 0;
        Volatile.Write(ref _connectionsLost, 1);
    }

    private bool TryScatter(ReadOnlySpan<byte> header, ReadOnlySpan<byte> data)
    {
        foreach (DescriptorChain.Buffer buffer in _chain.Writable)
        {
            ulong at = buffer.Address;
            uint room = buffer.Length;
            while (room > 0 && header.Length + data.Length > 0)
            {
                ReadOnlySpan<byte> next = header.IsEmpty ? data : header;
                int part = (int)Math.Min(room, (uint)next.Length);
                if (!Memory.TryWrite(at, next[..part]))
                {
                    return false;
                }

                (at, room) = (at + (uint)part, room - (uint)part);
                if (header.IsEmpty)
                {
                    data = data[part..];
                }
                else
                {
                    header = header[part..];
                }
            }
        }

        return true;
    }
}

/// <summary>A socket device of the command line.</summary>
/// <param name="GuestCid">The guest's context identifier.</param>
/// <param name="Path">Of the Unix socket at which programs of the host connect; those that the guest connects to begin with it.</param>
public sealed record VirtioVsockConfig(string Id, uint GuestCid, string Path) : VirtioConfig(Id)
{
    /// <summary>The least and the largest identifier that a guest may have (5.10.4).</summary>
    public const uint LeastCid = 3;
    public const uint LargestCid = 0xFFFF_FFFE;

    public override string TypeName => "virtio-vsock";

    /// <summary>Whether it offers connections of messages (<c>seqpacket=</c>).</summary>
    public bool HasMessages { get; init; } = true;

    /// <summary>Of the Unix socket at which programs of the host connect for messages.</summary>
    public string MessagePath => Path + MessageSuffix;

    /// <summary>What is behind <see cref="Path"/> there.</summary>
    public const string MessageSuffix = "_seqpacket";

    /// <summary>What rings it offers.</summary>
    public VirtioFeatures Rings { get; init; } = VirtioFeatures.IndirectDescriptors | VirtioFeatures.EventIndex;

    public override VirtioDevice Make(IDmaMemory memory) => new VirtioVsock(memory, this);
}
