using Vmm.Emulation.Block;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Block;
using Vmm.Emulation.Devices.Virtio.Net;
using Vmm.Emulation.Devices.Virtio.Rng;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>What every device core must do, of virtio devices whose driver has begun to work.</summary>
public abstract class NegotiatedVirtioFixture : VirtioDeviceFixture
{
    private protected abstract VirtioConfig Config { get; }

    internal override Subject Create()
    {
        VirtioDevice device = Config.Make(Ram);
        var slot = new VirtioMmio(31, UnconnectedLine.New(), device);
        return new Subject(device, [slot], [0x200], slot.Reset, device);
    }

    internal override void Disturb(Subject subject) =>
        Assert.True(new MmioDriver(subject.Frames[0]).Negotiate(MmioDriver.Version1 | (1ul << 28)));
}

public sealed class VirtioRngFixtureTests : NegotiatedVirtioFixture
{
    private protected override VirtioConfig Config => new VirtioRngConfig("");
}

public sealed class VirtioNetFixtureTests : NegotiatedVirtioFixture
{
    private protected override VirtioConfig Config => new VirtioNetConfig("net", 0x5254_0012_3456);
}

public sealed class VirtioBlkFixtureTests : NegotiatedVirtioFixture
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-blk-");
    private readonly VirtioBlkConfig _config;

    public VirtioBlkFixtureTests()
    {
        string disk = Path.Combine(_folder.FullName, "disk");
        File.WriteAllBytes(disk, new byte[1 << 20]);
        var backend = new BlockBackend("disk", false, () => BlockImage.Open(disk, "raw", true, new ImageOptions()));
        backend.Open();
        _config = new VirtioBlkConfig("", backend);
    }

    private protected override VirtioConfig Config => _config;

    public override void Dispose()
    {
        _config.Dispose();
        base.Dispose();
        _folder.Delete(recursive: true);
    }
}
