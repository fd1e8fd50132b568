using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu.Timers;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.CfiFlash;
using Vmm.Emulation.Devices.CpuHotplug;
using Vmm.Emulation.Devices.FwCfg;
using Vmm.Emulation.Devices.Ged;
using Vmm.Emulation.Devices.InterruptController;
using Vmm.Emulation.Devices.Pl011;
using Vmm.Emulation.Devices.Pl031;
using Vmm.Emulation.Devices.Pl061;
using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Interrupts.GicV3;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Boards.Virt;

/// <summary>
/// The devices of QEMU's <c>virt</c> on their bus, without CPUs and RAM: <see cref="VirtMachine"/> adds those. A board alone is enough to
/// describe a machine that is to be made.
/// </summary>
public sealed class VirtBoard : IBoard, IDisposable
{
    private readonly List<PlacedDevice> _devices = [];

    /// <exception cref="InsufficientMemoryException">The host refuses to reserve the flash.</exception>
    public VirtBoard(MachineConfig config)
    {
        Config = config;
        (GuestPhysicalAddress Address, int Count)[] redistributors = [.. Map.SpreadRedistributors(config.PossibleCpus)];
        Gic = new Gic([.. redistributors.Select(r => r.Count)]) { Trace = config.Trace };
        var gicAt = new Placement([Map.Distributor, .. redistributors.Select(r => r.Address)], []);
        Add(new PlacedDevice("gic", new GicV3Device(Gic), gicAt));
        Uart = new Pl011(Line(Map.Uart));
        Add(new PlacedDevice("uart", Uart, Map.Uart));
        Add(new PlacedDevice("rtc", new Pl031(Line(Map.Rtc), RtcTime.Create(config.Rtc, TimeProvider.System, Clock)), Map.Rtc));
        FwCfg = new FwCfg(Bus);
        Add(new PlacedDevice("fw_cfg", FwCfg, VirtMap.FwCfg) { QomName = "fw_cfg" });
        if (config.Firmware is { } firmware)
        {
            FlashBanks = [AddFlash(0, firmware.Code), AddFlash(1, firmware.Variables)];
        }

        // With ACPI the GED has the power button, and no description mentions the GPIO port.
        Add(new PlacedDevice("gpio", new Pl061(Line(VirtMap.Gpio)), VirtMap.Gpio) { InTree = !config.Acpi });
        Ged = new Ged(Line(VirtMap.Ged)) { CpuScanMethod = CpuHotplugAml.ScanMethod };
        Add(new PlacedDevice("ged", Ged, VirtMap.Ged) { InQom = config.Acpi });
        CpuHotplug = new CpuHotplugBlock(config.PossibleCpus) { FixedCpus = config.ColdPluggedCpusOnlineCapable ? 1 : config.EnabledCpus };
        Add(new PlacedDevice("cpu_hotplug", CpuHotplug, VirtMap.CpuHotplug));
    }

    public MachineConfig Config { get; }

    public BoardMap Map => VirtMap.Board;

    public IReadOnlyList<PlacedDevice> Devices => _devices;

    public PhysicalAddressSpace Bus { get; } = new();

    /// <summary>The guest's time.</summary>
    public VirtualClock Clock { get; } = new();

    public Gic Gic { get; }

    public Pl011 Uart { get; }

    public FwCfg FwCfg { get; }

    /// <summary>The banks of flash: two with firmware, otherwise none.</summary>
    public IReadOnlyList<CfiFlash> FlashBanks { get; } = [];

    public Ged Ged { get; }

    public CpuHotplugBlock CpuHotplug { get; }

    /// <summary>Frees the memory on the bus.</summary>
    public void Dispose()
    {
        foreach (GuestMemory memory in Bus.Memories)
        {
            memory.Dispose();
        }
    }

    private InterruptLine Line(Placement at) => Gic.SpiLine(at.Interrupts[0]);

    private void Add(PlacedDevice placed)
    {
        _devices.Add(placed);
        foreach ((DeviceRegion region, GuestPhysicalAddress address) in placed.Device.Regions.Zip(placed.At.Addresses))
        {
            Bus.Map(region.Registers, address, region.Size);
            if (region.Memory != null)
            {
                Bus.AddMemory(region.Memory);
            }
        }
    }

    // Maps the array of a bank as memory, and behind it the chips, which take stores and commands. The machine fills in the contents.
    private CfiFlash AddFlash(int bank, FlashImage image)
    {
        GuestPhysicalAddress address = Map.FlashBanks[bank];
        var memory = new GuestMemory(address, Map.FlashBankSize, readOnly: true);
        var flash = new CfiFlash($"flash{bank}", memory, image.ReadOnly, image.File) { NodeOf = bank == 0 ? Map.FlashBanks : [] };
        Add(new PlacedDevice(flash.Name, flash, new Placement(address)) { QomName = $"virt.{flash.Name}" });
        return flash;
    }
}
