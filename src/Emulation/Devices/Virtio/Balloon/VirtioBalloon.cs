using System.Buffers.Binary;
using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.Virtio.Balloon;

/// <summary>
/// The core of a balloon (Virtual I/O Device 1.2, section 5.5): pages that the guest's driver gives up go back to the host, until it takes
/// them again. One caller of <see cref="Serve"/> at a time, the device's actor.
/// <para>
/// A page that is given up reads as zeros from then on, is marked as written, and takes no memory of the host: a save or a migration has it
/// right without knowing of the balloon.
/// </para>
/// </summary>
public sealed class VirtioBalloon : VirtioDevice
{
    // Features (5.5.3).
    private const ulong StatisticsQueue = 1 << 1;
    private const ulong DeflateOnOutOfMemory = 1 << 2;
    private const ulong PageReporting = 1 << 5;

    // The configuration space: pages that the host wants[4] pages that the driver has given up[4].
    private const int Wanted = 0;
    private const int Actual = 4;
    private const int ConfigurationSize = 8;

    // Queues, and what a page is, whatever pages the guest has.
    private const int Inflate = 0;
    private const int Deflate = 1;
    private const int Statistics = 2;
    private const int Report = 3;
    private const int QueueCountWithReports = 4;
    private const int QueueSize = 128;
    private const int PageShift = 12;
    private const int PageNumberSize = 4;

    // A statistic (5.5.6.4): tag[2] value[8]. Of more than so many the rest is not looked at.
    private const int StatisticSize = 10;
    private const int MostStatistics = 64;

    // Page numbers that are read at once, and bytes of a range that are given back at once: a huge page of the host.
    private const int PieceSize = 1024;
    private const int RangePieceSize = 2 << 20;

    private readonly VirtioBalloonConfig _config;
    private readonly byte[] _space = new byte[ConfigurationSize];
    private readonly byte[] _piece = new byte[PieceSize];
    private readonly DescriptorChain[] _chains = [new(), new(), new(), new()];

    // Of each queue: whether its chain was taken, and how much of it is done. Owned by the caller of Serve.
    private readonly (bool Is, ulong Done)[] _held = new (bool, ulong)[QueueCountWithReports];
    private WorkBound _bound;

    // What the driver has told last, by the tags, and when. The caller of Serve owns both.
    private readonly ulong[] _statistics = new ulong[Enum.GetValues<BalloonStatistic>().Length];
    private DateTimeOffset _toldAt = DateTimeOffset.UnixEpoch;

    public VirtioBalloon(IDmaMemory memory, VirtioBalloonConfig config)
        : base(memory, FeaturesOf(config), [.. Enumerable.Repeat(QueueSize, config.FreePageReporting ? QueueCountWithReports : Report)])
    {
        _config = config;
        Array.Fill(_statistics, NotTold);
    }

    /// <summary>The value of a statistic that the driver has not told.</summary>
    public const ulong NotTold = ulong.MaxValue;

    public override string Name => "virtio-balloon";

    public override VirtioDeviceId DeviceId => VirtioDeviceId.Balloon;

    public VirtioBalloonConfig Config => _config;

    /// <summary>Bytes that the driver has given up. Any thread.</summary>
    public ulong GivenUp
    {
        get
        {
            lock (Registers)
            {
                return (ulong)BinaryPrimitives.ReadUInt32LittleEndian(_space.AsSpan(Actual)) << PageShift;
            }
        }
    }

    /// <summary>Rings when <see cref="GivenUp"/> has changed.</summary>
    public Doorbell Changed { get; } = new();

    protected override Span<byte> Configuration => _space;

    protected override IReadOnlyList<(string Name, object Value)> OwnProperties =>
        [("deflate-on-oom", _config.DeflateOnOutOfMemory), ("free-page-reporting", _config.FreePageReporting)];

    /// <summary>Asks the driver to give up so many bytes, or to take pages again until it has given up no more.</summary>
    public void Ask(ulong bytes) => ChangeConfiguration(() =>
        BinaryPrimitives.WriteUInt32LittleEndian(_space.AsSpan(Wanted), (uint)(bytes >> PageShift)));

    /// <summary>
    /// What the driver has told last, in the order of <see cref="BalloonStatistic"/>. By whoever calls <see cref="Serve"/>.
    /// </summary>
    public IReadOnlyList<ulong> LastStatistics => _statistics;

    /// <summary>When that was; the epoch of Unix for never.</summary>
    public DateTimeOffset ToldAt => _toldAt;

    /// <summary>
    /// Asks the driver to tell its statistics anew, if it can and is not about to. By whoever calls <see cref="Serve"/>.
    /// </summary>
    /// <exception cref="MissingPageException">A page has not arrived; to be called again.</exception>
    public void AskForStatistics()
    {
        if (_held[Statistics].Is)
        {
            Give(Statistics, _chains[Statistics], 0);
            _held[Statistics].Is = false;
            Interrupt(Statistics);
        }
    }

    /// <summary>Takes some of what the driver gives up, and interrupts it.</summary>
    /// <returns>Whether there may be more to do.</returns>
    /// <exception cref="MissingPageException">A page has not arrived; to be called again.</exception>
    public bool Serve()
    {
        if (IsResetting)
        {
            Drop();
        }

        bool more = false;
        for (int queue = 0; queue < QueueCount; queue++)
        {
            if (queue == Statistics)
            {
                TakeStatistics();
                continue;
            }

            _bound.Begin();
            do
            {
                while (!_bound.IsReached && Next(queue) && Take(queue))
                {
                    Give(queue, _chains[queue], 0);
                    _held[queue].Is = false;
                    Interrupt(queue);
                }
            }
            while (!_bound.IsReached && AllowNotifications(queue));
            more |= _bound.IsReached;
        }

        return more;
    }

    public override void Reset()
    {
        Array.Clear(_held);
        Array.Fill(_statistics, NotTold);
        _toldAt = DateTimeOffset.UnixEpoch;
        base.Reset();
        lock (Registers)
        {
            _space.AsSpan().Clear();
        }
    }

    protected override void AcceptConfiguration(int offset, int size, ulong value)
    {
        if (offset >= Actual && offset + size <= ConfigurationSize)
        {
            Span<byte> bytes = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
            bytes[..size].CopyTo(_space.AsSpan(offset));
            Changed.Ring();
        }
    }

    // The second version has the chains that are taken and not done, and the queue of statistics.
    protected override int SchemaVersion => 2;

    protected override void SaveRegisters(StateWriter writer)
    {
        writer.Write<byte>("space", _space);
        for (int queue = 0; queue < QueueCount; queue++)
        {
            writer.Write($"holds{queue}", (byte)(_held[queue].Is ? 1 : 0));
            writer.Write($"done{queue}", _held[queue].Done);
            if (_held[queue].Is)
            {
                _chains[queue].Save(writer, queue);
            }
        }
    }

    protected override void LoadRegisters(StateReader reader)
    {
        Array.Clear(_held);
        reader.Read("space", _space.AsSpan());
        for (int queue = 0; queue < QueueCount && reader.Version > 1; queue++)
        {
            bool holds = reader.Read<byte>($"holds{queue}") != 0;
            _held[queue] = (holds, reader.Read<ulong>($"done{queue}"));
            if (holds)
            {
                _chains[queue].Load(reader, queue, Memory.IsRam);
                Adopt(queue);
            }
        }
    }

    // A driver that begins anew has given up nothing; the host still wants what it wanted.
    protected override void ResetRegisters() => _space.AsSpan(Actual).Clear();

    private static ulong FeaturesOf(VirtioBalloonConfig config) =>
        (ulong)config.Rings | StatisticsQueue | (config.DeflateOnOutOfMemory ? DeflateOnOutOfMemory : 0)
            | (config.FreePageReporting ? PageReporting : 0);

    private bool Next(int queue)
    {
        if (!_held[queue].Is && TryTake(queue, _chains[queue]))
        {
            _held[queue] = (true, 0);
        }

        return _held[queue].Is;
    }

    private void Drop()
    {
        for (int queue = 0; queue < QueueCount; queue++)
        {
            if (_held[queue].Is)
            {
                _held[queue].Is = false;
                Give(queue, _chains[queue], 0);
            }
        }
    }

    // Does some of what a chain asks for; whether that was all.
    private bool Take(int queue)
    {
        _bound.SpendChain();
        return queue switch
        {
            Inflate => GiveBackPages(),
            Report => GiveBackRanges(),
            _ => true,
        };
    }

    // The driver's buffer of statistics is kept until they are asked for anew: by giving it back.
    private void TakeStatistics()
    {
        if (!Next(Statistics) || _held[Statistics].Done > 0)
        {
            _ = AllowNotifications(Statistics);
            return;
        }

        Span<byte> one = stackalloc byte[StatisticSize];
        ulong count = Math.Min(_chains[Statistics].ReadableLength / StatisticSize, MostStatistics);
        Array.Fill(_statistics, NotTold);
        for (ulong i = 0; i < count && _chains[Statistics].TryRead(Memory, i * StatisticSize, one); i++)
        {
            ushort tag = BinaryPrimitives.ReadUInt16LittleEndian(one);
            if (tag < _statistics.Length)
            {
                _statistics[tag] = BinaryPrimitives.ReadUInt64LittleEndian(one[2..]);
            }
        }

        _held[Statistics].Done = 1;
        _toldAt = DateTimeOffset.UtcNow;
    }

    // A list of page numbers. One that is no RAM is passed over, as QEMU does.
    private bool GiveBackPages()
    {
        DescriptorChain chain = _chains[Inflate];
        ulong end = chain.ReadableLength / PageNumberSize * PageNumberSize;
        while (_held[Inflate].Done < end)
        {
            if (_bound.IsReached)
            {
                return false;
            }

            int count = (int)Math.Min(PieceSize, end - _held[Inflate].Done);
            if (!chain.TryRead(Memory, _held[Inflate].Done, _piece.AsSpan(0, count)))
            {
                Fail("a buffer that is not RAM");
                return true;
            }

            for (int at = 0; at < count; at += PageNumberSize)
            {
                Memory.TryZero((ulong)BinaryPrimitives.ReadUInt32LittleEndian(_piece.AsSpan(at)) << PageShift, 1 << PageShift);
            }

            _held[Inflate].Done += (ulong)count;
            _bound.Spend(count / PageNumberSize << PageShift);
        }

        return true;
    }

    // The buffers themselves are what the guest does not use; it takes them again without a word.
    private bool GiveBackRanges()
    {
        ulong at = 0;
        foreach (DescriptorChain.Buffer range in _chains[Report].Writable)
        {
            for (ulong done = _held[Report].Done - Math.Min(_held[Report].Done, at); done < range.Length;)
            {
                if (_bound.IsReached)
                {
                    return false;
                }

                int count = (int)Math.Min(RangePieceSize, range.Length - done);
                Memory.TryZero(range.Address + done, (ulong)count);
                _bound.Spend(count);
                done += (ulong)count;
                _held[Report].Done = at + done;
            }

            at += range.Length;
        }

        return true;
    }
}

/// <summary>What a balloon's driver tells of the guest's memory (5.5.6.4), by its tag: bytes of memory, else counts of events.</summary>
public enum BalloonStatistic
{
    SwapIn,
    SwapOut,
    MajorFaults,
    MinorFaults,
    FreeMemory,
    TotalMemory,
    AvailableMemory,
    DiskCaches,
    HugePagesAllocated,
    HugePagesRefused,
    OutOfMemoryKills,
    AllocationStalls,
    AsynchronousScans,
    DirectScans,
    AsynchronousReclaims,
    DirectReclaims,
}

/// <summary>A balloon of the command line.</summary>
public sealed record VirtioBalloonConfig(string Id) : VirtioConfig(Id)
{
    public override string TypeName => "virtio-balloon";

    /// <summary>The driver may take pages again when the guest has none left (<c>deflate-on-oom=</c>).</summary>
    public bool DeflateOnOutOfMemory { get; init; }

    /// <summary>The driver tells which pages it does not use (<c>free-page-reporting=</c>).</summary>
    public bool FreePageReporting { get; init; }

    /// <summary>What rings it offers.</summary>
    public VirtioFeatures Rings { get; init; } = VirtioFeatures.IndirectDescriptors | VirtioFeatures.EventIndex;

    public override VirtioDevice Make(IDmaMemory memory) => new VirtioBalloon(memory, this);
}
