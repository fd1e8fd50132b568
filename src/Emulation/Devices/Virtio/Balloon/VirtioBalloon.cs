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
    private const ulong DeflateOnOutOfMemory = 1 << 2;
    private const ulong PageReporting = 1 << 5;

    // The configuration space: pages that the host wants[4] pages that the driver has given up[4].
    private const int Wanted = 0;
    private const int Actual = 4;
    private const int ConfigurationSize = 8;

    // Queues, and what a page is, whatever pages the guest has.
    private const int Inflate = 0;
    private const int Deflate = 1;
    private const int Report = 2;
    private const int QueueSize = 128;
    private const int PageShift = 12;
    private const int PageNumberSize = 4;

    // Page numbers that are read at once.
    private const int PieceSize = 1024;

    private readonly VirtioBalloonConfig _config;
    private readonly byte[] _space = new byte[ConfigurationSize];
    private readonly byte[] _piece = new byte[PieceSize];
    private readonly DescriptorChain[] _chains = [new(), new(), new()];

    // Of each queue: whether its chain was taken, and how much of it is done. Owned by the caller of Serve.
    private readonly (bool Is, ulong Done)[] _held = new (bool, ulong)[3];

    public VirtioBalloon(IDmaMemory memory, VirtioBalloonConfig config)
        : base(memory, FeaturesOf(config), [.. Enumerable.Repeat(QueueSize, config.FreePageReporting ? 3 : 2)]) => _config = config;

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

    /// <summary>Asks the driver to give up so many bytes, or to take pages again until it has given up no more.</summary>
    public void Ask(ulong bytes) => ChangeConfiguration(() =>
        BinaryPrimitives.WriteUInt32LittleEndian(_space.AsSpan(Wanted), (uint)(bytes >> PageShift)));

    /// <summary>Takes what the driver gives up, and interrupts it.</summary>
    /// <exception cref="MissingPageException">A page has not arrived; to be called again.</exception>
    public void Serve()
    {
        if (IsResetting)
        {
            Drop();
        }

        for (int queue = 0; queue < QueueCount; queue++)
        {
            do
            {
                while (Next(queue))
                {
                    if (queue == Report)
                    {
                        GiveBackRanges();
                    }
                    else if (queue == Inflate)
                    {
                        GiveBackPages();
                    }

                    Give(queue, _chains[queue], 0);
                    _held[queue].Is = false;
                    Interrupt(queue);
                }
            }
            while (AllowNotifications(queue));
        }
    }

    public override void Reset()
    {
        Array.Clear(_held);
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

    protected override void SaveRegisters(StateWriter writer) => writer.Write<byte>("space", _space);

    protected override void LoadRegisters(StateReader reader)
    {
        Array.Clear(_held);
        reader.Read("space", _space.AsSpan());
    }

    // A driver that begins anew has given up nothing; the host still wants what it wanted.
    protected override void ResetRegisters() => _space.AsSpan(Actual).Clear();

    private static ulong FeaturesOf(VirtioBalloonConfig config) =>
        (ulong)config.Rings | (config.DeflateOnOutOfMemory ? DeflateOnOutOfMemory : 0) | (config.FreePageReporting ? PageReporting : 0);

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

    // A list of page numbers. One that is no RAM is passed over, as QEMU does.
    private void GiveBackPages()
    {
        DescriptorChain chain = _chains[Inflate];
        ulong end = chain.ReadableLength / PageNumberSize * PageNumberSize;
        while (_held[Inflate].Done < end)
        {
            int count = (int)Math.Min(PieceSize, end - _held[Inflate].Done);
            if (!chain.TryRead(Memory, _held[Inflate].Done, _piece.AsSpan(0, count)))
            {
                Fail("a buffer that is not RAM");
                return;
            }

            for (int at = 0; at < count; at += PageNumberSize)
            {
                Memory.TryZero((ulong)BinaryPrimitives.ReadUInt32LittleEndian(_piece.AsSpan(at)) << PageShift, 1 << PageShift);
            }

            _held[Inflate].Done += (ulong)count;
        }
    }

    // The buffers themselves are what the guest does not use; it takes them again without a word.
    private void GiveBackRanges()
    {
        foreach (DescriptorChain.Buffer range in _chains[Report].Writable)
        {
            Memory.TryZero(range.Address, range.Length);
        }
    }
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
