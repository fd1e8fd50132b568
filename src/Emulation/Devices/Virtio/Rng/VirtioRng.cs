using Vmm.Emulation.Memory;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.Virtio.Rng;

/// <summary>The entropy device (Virtual I/O Device 1.2, section 5.4): it fills buffers with random bytes of the host.</summary>
public sealed class VirtioRng(IDmaMemory memory) : VirtioDevice(
    memory, (ulong)(VirtioFeatures.IndirectDescriptors | VirtioFeatures.EventIndex | VirtioFeatures.PackedRings), [QueueSize])
{
    /// <summary>As QEMU's device.</summary>
    private const int QueueSize = 8;

    // Of a buffer so much is filled; a driver takes less than it asked for (5.4.6.1).
    private const int MostBytes = 4096;

    private const int Requests = 0;

    // Owned by the thread that calls Serve, one at a time.
    private readonly DescriptorChain _chain = new();
    private readonly byte[] _bytes = new byte[MostBytes];
    private WorkBound _bound;
    private bool _holds;

    public override string Name => "virtio-rng";

    public override VirtioDeviceId DeviceId => VirtioDeviceId.Entropy;

    protected override Span<byte> Configuration => [];

    /// <summary>Fills buffers that the driver has made available, and interrupts it. One caller at a time.</summary>
    /// <returns>Whether there may be more to do.</returns>
    /// <exception cref="MissingPageException">A page has not arrived; to be called again.</exception>
    public bool Serve()
    {
        _bound.Begin();
        do
        {
            while (!_bound.IsReached && (_holds || TryTake(Requests, _chain)))
            {
                _bound.SpendChain();
                _holds = true;
                uint written = Fill();
                Give(Requests, _chain, written);
                _holds = false;
            }

            Interrupt(Requests);
        }
        while (!_bound.IsReached && AllowNotifications(Requests));
        return _bound.IsReached;
    }

    /// <summary>Power-on state. A buffer whose page has not arrived is given back as it is.</summary>
    public override void Reset()
    {
        if (_holds)
        {
            Give(Requests, _chain, 0);
            _holds = false;
        }

        base.Reset();
    }

    /// <summary>Another machine's state takes the place of this one's.</summary>
    protected override void LoadRegisters(StateReader reader) => _holds = false;

    private uint Fill()
    {
        uint written = 0;
        foreach (DescriptorChain.Buffer buffer in _chain.Writable)
        {
            Span<byte> bytes = _bytes.AsSpan(0, (int)Math.Min(buffer.Length, MostBytes - written));
            if (bytes.IsEmpty)
            {
                break;
            }

            HostRandom.Fill(bytes);
            if (!Memory.TryWrite(buffer.Address, bytes))
            {
                Fail("a buffer that is not RAM");
                break;
            }

            written += (uint)bytes.Length;
            if ((uint)bytes.Length < buffer.Length)
            {
                break;
            }
        }

        return written;
    }
}

/// <summary>An entropy device of the command line.</summary>
public sealed record VirtioRngConfig(string Id) : VirtioConfig(Id)
{
    public override string TypeName => "virtio-rng";

    public override VirtioDevice Make(IDmaMemory memory) => new VirtioRng(memory);
}
