using System.Runtime.Versioning;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.NineP;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>What every device core must do, of a shared folder behind its slot.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class VirtioNinePFixtureTests : VirtioDeviceFixture
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-9p-");
    private readonly List<VirtioNineP> _made = [];

    public override void Dispose()
    {
        _made.ForEach(d => d.Config.Dispose());
        base.Dispose();
        _folder.Delete(recursive: true);
    }

    internal override Subject Create()
    {
        VirtioNineP device = VirtioNinePTests.Make(_folder.FullName, false, Ram, out VirtioMmio slot);
        _made.Add(device);
        return new Subject(device, [slot], [0x200], slot.Reset, device);
    }

    internal override void Disturb(Subject subject)
    {
        var client = new NinePDriver((VirtioNineP)subject.Device, subject.Frames[0], Ram, false, true, true);
        client.Mount();
        client.Ok(120, 0u);
        client.Slot.Interrupts();
    }
}
