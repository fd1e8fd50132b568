using System.Buffers.Binary;
using System.Globalization;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Net;
using Vmm.Emulation.State;
using static Vmm.Emulation.Devices.Virtio.Net.VirtioNetSpec;

namespace Vmm.Emulation.Devices.Virtio.Net;

/// <summary>What became of a frame for the driver.</summary>
public enum NetDelivery
{
    Delivered,

    /// <summary>The driver has too few buffers for it now, and notifies of the next one.</summary>
    NoBuffers,

    /// <summary>The driver does not want it, is not there, or has buffers that are too small.</summary>
    Dropped,
}

/// <summary>What the driver of a network device wants of frames.</summary>
/// <param name="Fields">
/// 0 or 1: promiscuous, too many unicast addresses, too many multicast addresses, broadcast; 0 for none, 1 for those of the table, 2 for
/// all: unicast, multicast, VLANs.
/// </param>
/// <param name="Unicast">Addresses as 48 bits.</param>
public sealed record NetRxModes(int[] Fields, ulong[] Unicast, ulong[] Multicast, int[] Vlans);

/// <summary>
/// The core of a network device on virtio (Virtual I/O Device 1.2, section 5.1). The one thread of the backend takes the driver's frames
/// (<see cref="TryTransmit"/>), gives it frames (<see cref="TryReceive"/>), does the commands of the control queue
/// (<see cref="ServeControl"/>), and then interrupts. Between these calls the backend has no chain.
/// <para>
/// Receive queue N is queue 2N, transmit queue N is 2N + 1. The control queue is the last one, but queue 2 for a driver that does not take
/// several pairs (5.1.2).
/// </para>
/// </summary>
public sealed partial class VirtioNet : VirtioDevice
{
    // A frame in more buffers than this is dropped: no driver has such small ones.
    private const int MostMerged = 128;

    private readonly VirtioNetConfig _config;
    private readonly byte[] _space = new byte[ConfigurationSize];

    // Under Registers.
    private readonly NetRxFilter _filter = new();
    private VirtioNetFeatures _offloads;
    private int _activePairs = 1;

    // Owned by the backend's thread.
    private readonly DescriptorChain _chain = new();
    private readonly List<DescriptorChain> _merged = [new()];
    private readonly uint[] _written = new uint[MostMerged];

    public VirtioNet(IDmaMemory memory, VirtioNetConfig config)
        : base(memory, (ulong)FeaturesOf(config) | (ulong)config.Rings, SizesOf(config))
    {
        _config = config;
        BinaryPrimitives.WriteUInt16LittleEndian(_space.AsSpan(StatusField), LinkUp);
        BinaryPrimitives.WriteUInt16LittleEndian(_space.AsSpan(MaxPairs), (ushort)config.Pairs);
        BinaryPrimitives.WriteUInt16LittleEndian(_space.AsSpan(MtuField), (ushort)config.HostMtu);
        BinaryPrimitives.WriteInt32LittleEndian(_space.AsSpan(VirtioNetSpec.Speed), config.Speed);
        _space[VirtioNetSpec.Duplex] = config.Duplex;
        ResetRegisters();
    }

    public override string Name => "virtio-net";

    public override VirtioDeviceId DeviceId => VirtioDeviceId.Network;

    public VirtioNetConfig Config => _config;

    /// <summary>The address of the device now, as 48 bits.</summary>
    public ulong Mac
    {
        get
        {
            lock (Registers)
            {
                return NetRxFilter.AddressOf(_space);
            }
        }
    }

    /// <summary>What the driver wants of frames. Any thread.</summary>
    public NetRxModes RxModes
    {
        get
        {
            lock (Registers)
            {
                bool hasVlans = (NegotiatedFeatures & (ulong)VirtioNetFeatures.ControlVlan) != 0;
                return new NetRxModes(_filter.ModeFields(hasVlans), [.. _filter.Unicast], [.. _filter.Multicast], [.. _filter.VlanNumbers]);
            }
        }
    }

    /// <summary>How many pairs of queues the driver uses. Any thread.</summary>
    public int ActivePairs
    {
        get
        {
            lock (Registers)
            {
                return _activePairs;
            }
        }
    }

    /// <summary>The queue of commands.</summary>
    public int ControlQueue => Negotiated((ulong)VirtioNetFeatures.MultipleQueues) ? 2 * _config.Pairs : 2;

    public static int RxQueue(int pair) => 2 * pair;

    public static int TxQueue(int pair) => (2 * pair) + 1;

    /// <summary>An address as text: pairs of hexadecimal digits with colons.</summary>
    public static string MacText(ulong mac) =>
        string.Join(':', Enumerable.Range(0, 6).Select(i => ((mac >> (40 - (8 * i))) & 0xFF).ToString("x2", CultureInfo.InvariantCulture)));

    protected override Span<byte> Configuration => _space;

    protected override IReadOnlyList<(string Name, object Value)> OwnProperties =>
    [
        ("mq", Config.Pairs > 1), ("mac", MacText(_config.Mac)), ("netdev", Config.Netdev), ("rx_queue_size", Config.RxQueueSize),
        ("tx_queue_size", Config.TxQueueSize), ("host_mtu", Config.HostMtu), ("speed", Config.Speed),
    ];

    /// <summary>Tells the driver whether there is a link.</summary>
    public void SetLink(bool isUp)
    {
        ushort status;
        lock (Registers)
        {
            status = BinaryPrimitives.ReadUInt16LittleEndian(_space.AsSpan(StatusField));
        }

        if ((status & LinkUp) != 0 != isUp)
        {
            ChangeConfiguration(() => SetStatus(LinkUp, isUp));
        }
    }

    /// <summary>Asks the driver to tell the network where it is (5.1.6.5.4); false where it takes no such request.</summary>
    public bool AskToAnnounce()
    {
        const ulong Needed = (ulong)(VirtioNetFeatures.GuestAnnounce | VirtioNetFeatures.ControlQueue);
        lock (Registers)
        {
            if ((NegotiatedFeatures & Needed) != Needed)
            {
                return false;
            }
        }

        ChangeConfiguration(() => SetStatus(Announce, true));
        return true;
    }

    /// <summary>Whether the driver cuts a frame that is larger than the link's by itself.</summary>
    public bool TakesWhole(NetFrame frame)
    {
        VirtioNetFeatures needed = frame.Gso switch
        {
            GsoType.None => VirtioNetFeatures.None,
            GsoType.Tcp4 => VirtioNetFeatures.GuestTso4,
            GsoType.Tcp6 => VirtioNetFeatures.GuestTso6,
            _ => VirtioNetFeatures.GuestUfo,
        };
        lock (Registers)
        {
            return (_offloads & needed) == needed;
        }
    }

    /// <summary>Takes the driver's next frame, and gives its buffers back.</summary>
    /// <param name="frame">Its length is 0 where the driver gave what is no frame.</param>
    /// <exception cref="MissingPageException">A page has not arrived; to be tried again.</exception>
    public bool TryTransmit(int pair, NetFrame frame)
    {
        int queue = TxQueue(pair);
        if (!TryTake(queue, _chain))
        {
            return false;
        }

        try
        {
            frame.Length = 0;
            frame.ClearHeader();
            ulong length = _chain.ReadableLength;
            if (length < NetFrame.HeaderSize)
            {
                Fail("virtio-net header incorrect");
            }
            else if (length is >= NetFrame.HeaderSize + NetFrame.EthernetSize and <= NetFrame.HeaderSize + NetFrame.MostBytes)
            {
                Gather(frame, (int)length);
            }

            Give(queue, _chain, 0);
            return true;
        }
        catch (MissingPageException)
        {
            Untake(queue, new ReadOnlySpan<DescriptorChain>(in _chain));
            throw;
        }
    }

    /// <summary>Gives the driver a frame, which it takes whole (<see cref="TakesWhole"/>).</summary>
    /// <exception cref="MissingPageException">A page has not arrived; to be tried again.</exception>
    public NetDelivery TryReceive(int pair, NetFrame frame)
    {
        bool isMergeable;
        lock (Registers)
        {
            if ((Status & (VirtioStatus.DriverOk | VirtioStatus.NeedsReset)) != VirtioStatus.DriverOk || IsResetting
                || frame.Length < NetFrame.EthernetSize || !_filter.Wants(frame.Bytes, NetRxFilter.AddressOf(_space)))
            {
                return NetDelivery.Dropped;
            }

            var features = (VirtioNetFeatures)NegotiatedFeatures;
            isMergeable = features.HasFlag(VirtioNetFeatures.MergeableBuffers);
            if (!_offloads.HasFlag(VirtioNetFeatures.GuestChecksum))
            {
                InternetChecksum.Complete(frame);
                frame.Flags = 0;
            }
        }

        int queue = RxQueue(pair);
        int count = 0;
        ulong room = 0;
        ulong total = (ulong)frame.Message.Length;
        try
        {
            while (room < total && count < (isMergeable ? MostMerged : 1))
            {
                if (count == _merged.Count)
                {
                    _merged.Add(new DescriptorChain());
                }

                // The driver is asked behind the last buffer that there is, so that it notifies of the next one.
                if (!TryTake(queue, _merged[count]) && !(AllowNotifications(queue) && TryTake(queue, _merged[count])))
                {
                    Untake(queue, Merged(count));
                    return Fault == null ? NetDelivery.NoBuffers : NetDelivery.Dropped;
                }

                room += _merged[count++].WritableLength;
                if (_merged[count - 1].WritableLength == 0)
                {
                    Fail("virtio-net receive queue contains no in buffers");
                    break;
                }
            }

            if (room < total || Fault != null)
            {
                Untake(queue, Merged(count));
                return NetDelivery.Dropped;
            }

            frame.Buffers = count;
            Scatter(frame, count);
            Give(queue, Merged(count), _written.AsSpan(0, count));
            return NetDelivery.Delivered;
        }
        catch (MissingPageException)
        {
            Untake(queue, Merged(count));
            throw;
        }
    }

    protected override void ResetRegisters()
    {
        BinaryPrimitives.WriteUInt32BigEndian(_space, (uint)(_config.Mac >> 16));
        BinaryPrimitives.WriteUInt16BigEndian(_space.AsSpan(4), (ushort)_config.Mac);
        SetStatus(Announce, false);
        (_offloads, _activePairs) = (VirtioNetFeatures.None, 1);
        _filter.Reset(vlans: true);
    }

    /// <summary>What the driver takes is on until it says otherwise, and VLANs are filtered if it has a filter for them.</summary>
    protected override void FeaturesAccepted()
    {
        var features = (VirtioNetFeatures)NegotiatedFeatures;
        _offloads = features & VirtioNetFeatures.GuestOffloads;
        _filter.SetAllVlans(!features.HasFlag(VirtioNetFeatures.ControlVlan));
    }

    protected override void SaveRegisters(StateWriter writer)
    {
        writer.Write<byte>("mac", _space.AsSpan(Mac0, MacSize));
        writer.Write("link-status", BinaryPrimitives.ReadUInt16LittleEndian(_space.AsSpan(StatusField)));
        writer.Write("offloads", (ulong)_offloads);
        writer.Write("pairs", _activePairs);
        _filter.Save(writer);
    }

    protected override void LoadRegisters(StateReader reader)
    {
        reader.Read("mac", _space.AsSpan(Mac0, MacSize));

        // Whether there is a link is this machine's.
        SetStatus(Announce, (reader.Read<ushort>("link-status") & Announce) != 0);
        _offloads = (VirtioNetFeatures)reader.Read<ulong>("offloads");
        reader.Require((_offloads & ~(VirtioNetFeatures)NegotiatedFeatures) == 0, "offloads");
        _activePairs = reader.Read<int>("pairs");
        reader.Require(_activePairs >= 1 && _activePairs <= _config.Pairs, "pairs");
        _filter.Load(reader);
    }

    private const int Mac0 = VirtioNetSpec.Mac;

    private static VirtioNetFeatures FeaturesOf(VirtioNetConfig config) => config.Features
        | (config.Pairs > 1 ? VirtioNetFeatures.MultipleQueues : 0)
        | (config.HostMtu > 0 ? VirtioNetFeatures.Mtu : 0)
        | (config.Speed >= 0 || config.Duplex != byte.MaxValue ? VirtioNetFeatures.SpeedDuplex : 0);

    private static int[] SizesOf(VirtioNetConfig config) =>
        [.. Enumerable.Range(0, 2 * config.Pairs).Select(i => i % 2 == 0 ? config.RxQueueSize : config.TxQueueSize), ControlQueueSize];

    // Under Registers, or before anything runs.
    private void SetStatus(ushort bit, bool isSet)
    {
        Span<byte> field = _space.AsSpan(StatusField);
        int status = BinaryPrimitives.ReadUInt16LittleEndian(field);
        BinaryPrimitives.WriteUInt16LittleEndian(field, (ushort)(isSet ? status | bit : status & ~bit));
    }

    private ReadOnlySpan<DescriptorChain> Merged(int count) =>
        System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_merged)[..count];

    private void Gather(NetFrame frame, int length)
    {
        Span<byte> room = frame.Room;
        int at = 0;
        foreach (DescriptorChain.Buffer buffer in _chain.Readable)
        {
            if (!Memory.TryRead(buffer.Address, room.Slice(at, (int)buffer.Length)))
            {
                Fail("a buffer that is not RAM");
                return;
            }

            at += (int)buffer.Length;
        }

        frame.Length = length - NetFrame.HeaderSize;
    }

    private void Scatter(NetFrame frame, int count)
    {
        ReadOnlySpan<byte> left = frame.Message;
        for (int i = 0; i < count; i++)
        {
            int before = left.Length;
            foreach (DescriptorChain.Buffer buffer in _merged[i].Writable)
            {
                int part = (int)Math.Min(buffer.Length, (uint)left.Length);
                if (!Memory.TryWrite(buffer.Address, left[..part]))
                {
                    Fail("a buffer that is not RAM");
                    return;
                }

                left = left[part..];
            }

            _written[i] = (uint)(before - left.Length);
        }
    }
}
