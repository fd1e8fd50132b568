using System.Buffers.Binary;
using System.Text;
using Vmm.Emulation.Block;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;
using static Vmm.Emulation.Devices.Virtio.Block.VirtioBlkSpec;

namespace Vmm.Emulation.Devices.Virtio.Block;

/// <summary>How an attempt at a request ended.</summary>
public enum VirtioBlkOutcome
{
    Done,

    /// <summary>The host could not do it (<see cref="VirtioBlkRequest.Error"/>): the device's policy says what happens.</summary>
    Failed,

    /// <summary>The guest asked for what cannot be, and is told of an error.</summary>
    Invalid,

    /// <summary>The guest asked for what the device has not.</summary>
    Unsupported,

    /// <summary>It is no request at all: the device has failed (<see cref="VirtioDevice.Fault"/>).</summary>
    Broken,
}

/// <summary>
/// The core of a disk on virtio (Virtual I/O Device 1.2, section 5.2). A thread of the backend takes a request (<see cref="TryTake"/>),
/// attempts it (<see cref="Attempt"/>) and completes it (<see cref="Complete"/>). Guest data go between the host's file and guest RAM
/// without a copy where the disk's node can.
/// </summary>
public sealed partial class VirtioBlk : VirtioDevice
{
    // As QEMU has it (BDRV_REQUEST_MAX_SECTORS).
    private const uint SectorsMax = int.MaxValue >> 9;

    private readonly VirtioBlkConfig _config;
    private readonly byte[] _space = new byte[ConfigurationSize];
    private readonly byte[] _id = new byte[IdSize];

    public VirtioBlk(IDmaMemory memory, VirtioBlkConfig config)
        : base(memory, FeaturesOf(config), [.. Enumerable.Repeat(config.QueueSize, config.Queues)])
    {
        _config = config;
        byte[] serial = Encoding.UTF8.GetBytes(config.Serial);
        serial.AsSpan(0, Math.Min(serial.Length, IdSize)).CopyTo(_id);
        DescribeDisk();
        DescribeLimits();
    }

    public override string Name => "virtio-blk";

    public override VirtioDeviceId DeviceId => VirtioDeviceId.Block;

    public VirtioBlkConfig Config => _config;

    public BlockBackend Disk => _config.Disk;

    protected override Span<byte> Configuration => _space;

    protected override IReadOnlyList<(string Name, object Value)> OwnProperties =>
    [
        ("drive", _config.Disk.Name), ("serial", _config.Serial), ("num-queues", _config.Queues), ("queue-size", _config.QueueSize),
        ("logical_block_size", _config.LogicalBlockSize), ("physical_block_size", _config.PhysicalBlockSize),
        ("min_io_size", _config.MinimumIoSize), ("opt_io_size", _config.OptimalIoSize), ("config-wce", _config.ConfigurableWriteCache),
        ("discard", _config.Discard), ("write-zeroes", _config.WriteZeroes),
    ];

    // Without the feature to turn it off, the cache is on if the driver can flush it (5.2.5.2).
    private bool HasWriteCache
    {
        get
        {
            lock (Registers)
            {
                return (NegotiatedFeatures & ConfigurableWriteCache) != 0 ? _space[WriteBack] != 0
                    : (NegotiatedFeatures & VirtioBlkSpec.Flush) != 0 && _config.Disk.WriteCache;
            }
        }
    }

    /// <summary>Takes the next request of a queue.</summary>
    /// <exception cref="MissingPageException">A page has not arrived; to be tried again.</exception>
    public bool TryTake(int queue, VirtioBlkRequest request)
    {
        request.Queue = queue;
        return TryTake(queue, request.Chain);
    }

    /// <summary>Does what a request asks for.</summary>
    /// <exception cref="MissingPageException">A page has not arrived; to be tried again.</exception>
    public VirtioBlkOutcome Attempt(VirtioBlkRequest request)
    {
        Span<byte> header = stackalloc byte[HeaderSize];
        DescriptorChain chain = request.Chain;
        request.Written = 0;
        if (chain.ReadableLength < HeaderSize || chain.WritableLength < 1 || !chain.TryRead(Memory, 0, header))
        {
            Fail("virtio-blk missing headers");
            return VirtioBlkOutcome.Broken;
        }

        request.Type = BinaryPrimitives.ReadUInt32LittleEndian(header);
        request.Sector = BinaryPrimitives.ReadUInt64LittleEndian(header[HeaderSector..]);
        long begun = TimeProvider.System.GetTimestamp();
        ulong bytes = request.Type == In ? chain.WritableLength - 1 : chain.ReadableLength - HeaderSize;
        BlockOperation kind;
        VirtioBlkOutcome outcome;
        switch (request.Type)
        {
            case In:
                (kind, outcome) = (BlockOperation.Read, Transfer(request, bytes));
                break;
            case Out:
                (kind, outcome) = (BlockOperation.Write, _config.Disk.IsReadOnly ? VirtioBlkOutcome.Invalid : Transfer(request, bytes));
                break;
            case FlushRequest:
                (kind, outcome, bytes) = (BlockOperation.Flush, Result(request, Root(request)?.Flush() ?? Errno.EIO), 0);
                break;
            case DiscardRequest or WriteZeroesRequest:
                kind = request.Type == DiscardRequest ? BlockOperation.Unmap : BlockOperation.Write;
                outcome = Erase(request, out bytes);
                break;
            case GetId:
                return WriteId(request);
            default:
                return VirtioBlkOutcome.Unsupported;
        }

        if (outcome is VirtioBlkOutcome.Done or VirtioBlkOutcome.Failed)
        {
            _config.Disk.Statistics.Count(
                kind, outcome == VirtioBlkOutcome.Failed, (long)bytes, TimeProvider.System.GetElapsedTime(begun));
        }
        else
        {
            _config.Disk.Statistics.CountInvalid(kind);
        }

        return outcome;
    }

    /// <summary>Gives a request back with its outcome; <see cref="VirtioDevice.Interrupt"/> then tells the driver.</summary>
    /// <exception cref="MissingPageException">A page has not arrived; to be tried again.</exception>
    public void Complete(VirtioBlkRequest request, VirtioBlkOutcome outcome)
    {
        byte status = outcome switch
        {
            VirtioBlkOutcome.Done => Ok,
            VirtioBlkOutcome.Unsupported => Unsupported,
            _ => IoError,
        };
        if (outcome != VirtioBlkOutcome.Broken && !IsResetting)
        {
            DescriptorChain.Buffer last = LastWritable(request.Chain);
            Memory.TryWrite(last.Address + last.Length - 1, [status]);
        }

        // A driver counts on bytes from the first one on (2.7.8.2): after an error it is told of none but the status.
        ulong written = outcome == VirtioBlkOutcome.Done ? request.Written + 1ul
            : request.Chain.WritableLength == 1 ? 1ul : 0;
        Give(request.Queue, request.Chain, (uint)written);
    }

    /// <summary>The disk has another size: the driver is told.</summary>
    public void SizeChanged() => ChangeConfiguration(DescribeDisk);

    /// <summary>The disk was opened: the driver is told if it has another size than the one that it knows.</summary>
    public void Opened()
    {
        bool isSame;
        lock (Registers)
        {
            isSame = BinaryPrimitives.ReadInt64LittleEndian(_space.AsSpan(Capacity)) == _config.Disk.Size / SectorSize;
        }

        if (!isSame)
        {
            SizeChanged();
        }
    }

    /// <summary>Whether a range is RAM of the guest.</summary>
    internal bool IsRam(ulong address, ulong length) => Memory.IsRam(address, length);

    protected override void AcceptConfiguration(int offset, int size, ulong value)
    {
        if (offset == WriteBack && size == 1 && _config.ConfigurableWriteCache)
        {
            _space[WriteBack] = (byte)(value & 1);
        }
    }

    protected override void ResetRegisters() => _space[WriteBack] = (byte)(_config.Disk.WriteCache ? 1 : 0);

    protected override void SaveRegisters(StateWriter writer)
    {
        writer.Write("writeback", _space[WriteBack]);
        writer.Write("capacity", BinaryPrimitives.ReadInt64LittleEndian(_space.AsSpan(Capacity)));
    }

    protected override void LoadRegisters(StateReader reader)
    {
        byte writeBack = reader.Read<byte>("writeback");
        reader.Require(writeBack <= 1, "writeback");
        _space[WriteBack] = writeBack;
        BinaryPrimitives.WriteInt64LittleEndian(_space.AsSpan(Capacity), reader.Read<long>("capacity"));
    }

    private static ulong FeaturesOf(VirtioBlkConfig config)
    {
        bool writable = !config.Disk.IsReadOnly;
        return (ulong)config.Rings | SegmentsMax | Geometry | BlockSize | VirtioBlkSpec.Flush | Topology
            | (writable ? 0 : ReadOnly)
            | (config.ConfigurableWriteCache ? ConfigurableWriteCache : 0)
            | (config.Queues > 1 ? ManyQueues : 0)
            | (writable && config.Discard ? VirtioBlkSpec.Discard : 0)
            | (writable && config.WriteZeroes ? VirtioBlkSpec.WriteZeroes : 0);
    }

    private void DescribeDisk()
    {
        const int MostCylinders = 16383;
        const int HeadsOfDisk = 16;
        const int SectorsOfTrack = 63;
        long sectors = _config.Disk.Size / SectorSize;
        BinaryPrimitives.WriteInt64LittleEndian(_space.AsSpan(Capacity), sectors);
        BinaryPrimitives.WriteUInt16LittleEndian(
            _space.AsSpan(Cylinders), (ushort)Math.Clamp(sectors / (HeadsOfDisk * SectorsOfTrack), 2, MostCylinders));
        (_space[Heads], _space[Sectors]) = (HeadsOfDisk, SectorsOfTrack);
    }

    private void DescribeLimits()
    {
        void Word(int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(_space.AsSpan(at), value);
        void Half(int at, int value) => BinaryPrimitives.WriteUInt16LittleEndian(_space.AsSpan(at), (ushort)value);
        int block = _config.LogicalBlockSize;

        // A request has a header and a status beside its data.
        Word(SegmentsMaxAt, (uint)Math.Max(_config.QueueSize - 2, 1));
        Word(BlockSizeAt, (uint)block);
        _space[PhysicalBlockExponent] = (byte)int.Log2(_config.PhysicalBlockSize / block);
        Half(MinimumIoSize, _config.MinimumIoSize / block);
        Word(OptimalIoSize, (uint)(_config.OptimalIoSize / block));
        Half(VirtioBlkSpec.Queues, _config.Queues);
        if (!_config.Disk.IsReadOnly && _config.Discard)
        {
            Word(DiscardSectorsMax, SectorsMax);
            Word(DiscardSegmentsMax, 1);
            Word(DiscardAlignment, (uint)(block / SectorSize));
        }

        if (!_config.Disk.IsReadOnly && _config.WriteZeroes)
        {
            Word(WriteZeroesSectorsMax, SectorsMax);
            Word(WriteZeroesSegmentsMax, 1);
            _space[WriteZeroesMayUnmap] = 1;
        }

        lock (Registers)
        {
            ResetRegisters();
        }
    }
}
