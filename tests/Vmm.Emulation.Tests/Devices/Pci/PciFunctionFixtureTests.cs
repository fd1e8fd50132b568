using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Rng;
using Vmm.Emulation.Memory;
using static Vmm.Emulation.Devices.Pci.PciSpec;

namespace Vmm.Emulation.Tests.Devices.Pci;

/// <summary>What every device core must do, of a PCI function: its frame is its configuration space.</summary>
public abstract class PciFunctionFixture : DeviceFixture
{
    private const int Device = 2;

    private protected abstract PciFunction Make(PciHarness pci);

    internal override Subject Create()
    {
        var pci = new PciHarness();
        PciFunction function = Make(pci);
        pci.Host.Root.Add(function, new PciSlot(Device, 0));
        return new Subject(new AllUnits(function.StateUnits), [new ConfigurationOf(pci)], [ConfigurationSize], function.Reset, function);
    }

    internal override void Disturb(Subject subject)
    {
        subject.Frames[0].Write(Command, 2, CommandMaster | CommandMemory);
        subject.Frames[0].Write(InterruptLine, 1, 0x5A);
    }

    private sealed class ConfigurationOf(PciHarness pci) : IMmioDevice
    {
        public string Name => "configuration";

        public ulong Read(ulong offset, int size) => pci.Host.Regions[0].Registers.Read((Device << 15) + offset, size);

        public void Write(ulong offset, int size, ulong value) =>
            pci.Host.Regions[0].Registers.Write((Device << 15) + offset, size, value);
    }
}

public sealed class VirtioPciFixtureTests : PciFunctionFixture
{
    private protected override PciFunction Make(PciHarness pci) => new VirtioPci("rng", pci.Host.Root, new VirtioRng(pci.Bus));
}

public sealed class PcieRootPortFixtureTests : PciFunctionFixture
{
    private protected override PciFunction Make(PciHarness pci) => new PcieRootPort("port", "bus", pci.Host, port: 1);
}
