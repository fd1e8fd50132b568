using System.Runtime.Versioning;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.NineP;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>What every device core must do, of a shared folder behind its slot.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class VirtioNinePFixtureTests : DeviceFixture, IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-9p-");
    private readonly GuestMemory _memory = new(new GuestPhysicalAddress(RingDriver.Base), RingDriver.RamSize);
    private readonly PhysicalAddressSpace _ram = new();
    private readonly List<VirtioNineP> _made = [];

    public VirtioNinePFixtureTests() => _ram.AddMemory(_memory);

    public void Dispose()
    {
        _made.ForEach(d => d.Config.Dispose());
        _memory.Dispose();
        _folder.Delete(recursive: true);
    }

    internal override Subject Create()
    {
        VirtioNineP device = VirtioNinePTests.Make(_folder.FullName, false, _ram, out VirtioMmio slot);
        _made.Add(device);
        return new Subject(device, [slot], [0x200], slot.Reset, device);
    }

    internal override void Disturb(Subject subject)
    {
        var client = new NinePDriver((VirtioNineP)subject.Device, subject.Frames[0], _ram, false, true, true);
        client.Mount();
        client.Ok(120, 0u);
        client.Slot.Interrupts();
    }
}
