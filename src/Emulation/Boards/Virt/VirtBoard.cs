using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu.Timers;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.CfiFlash;
using Vmm.Emulation.Devices.CpuHotplug;
using Vmm.Emulation.Devices.FwCfg;
using Vmm.Emulation.Devices.Ged;
using Vmm.Emulation.Devices.InterruptController;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Pl011;
using Vmm.Emulation.Devices.Pl031;
using Vmm.Emulation.Devices.Pl061;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.VmGenId;
using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Interrupts.GicV3;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Boards.Virt;

/// <summary>
/// The devices of QEMU's <c>virt</c> on their bus, at QEMU's addresses and interrupts, without CPUs and RAM: <see cref="VirtMachine"/> adds
/// those. A board alone is enough to describe a machine that is to be made.
/// </summary>
public sealed class VirtBoard : IBoard, IDisposable
{
    /// <summary>The number of slots for virtio devices on the MMIO transport.</summary>
    public const int VirtioSlots = 32;

    // The SPIs of the GICv2m frame.
    private const int FirstMessageInterrupt = 80;
    private const int MessageInterrupts = 64;

    // INTA to INTD of the PCI host bridge.
    private static readonly IntId[] s_pciInterrupts = [new(35), new(36), new(37), new(38)];

    // Grows while the board is made. From then on a PCI device that comes or goes replaces the list as a whole, so that whoever iterates
    // one needs no lock; one thread at a time does it.
    private List<PlacedDevice> _devices = [];

    // How many devices that a person has asked for have no name.
    private int _anonymous;

    /// <exception cref="InsufficientMemoryException">The host refuses to reserve the flash.</exception>
    /// <exception cref="InvalidDataException">A PCI device has no place: one line.</exception>
    public VirtBoard(MachineConfig config)
    {
        Config = config;
        (GuestPhysicalAddress Address, int Count)[] redistributors = [.. Map.SpreadRedistributors(config.PossibleCpus)];
        Gic = new Gic([.. redistributors.Select(r => r.Count)])
        {
            Trace = config.Trace,
            LpiMemory = config.Msi == MsiController.Its ? Bus : null,
        };
        (string messagesId, Placement messagesAt, IMsiController? messages) = MakeMsiController(config.Msi);
        Its = (messages as ItsDevice)?.Its;
        Add("gic", new Placement([Map.Distributor, .. redistributors.Select(r => r.Address)], []), _ => new GicV3Device(Gic)
        {
            Messages = messages,
        });
        if (messages != null)
        {
            Add(messagesId, messagesAt, _ => messages, inTree: false);
        }

        Uart = Add("uart", Map.Uart, at => new Pl011(Line(at)));
        Add("rtc", Map.Rtc, at => new Pl031(Line(at), RtcTime.Create(config.Rtc, TimeProvider.System, Clock)));
        FwCfg = Add("fw_cfg", At(0x0902_0000), _ => new FwCfg(Bus), qomName: "fw_cfg");
        if (config.Firmware is { } firmware)
        {
            FlashBanks = [AddFlash(0, firmware.Code), AddFlash(1, firmware.Variables)];
        }

        // With ACPI the GED has the power button, and no description mentions the GPIO port.
        Add("gpio", At(0x0903_0000, 39), at => new Pl061(Line(at)), inTree: !config.Acpi);
        Ged = Add("ged", At(0x0908_0000, 41), at => new Ged(Line(at))
        {
            CpuScanMethod = CpuHotplugAml.ScanMethod,
            GenerationDevice = config.GenerationId == null ? null : VmGenId.Path,
        }, inQom: config.Acpi);
        CpuHotplug = Add("cpu_hotplug", At(0x090D_0000), _ => new CpuHotplugBlock(config.PossibleCpus) { FixedCpus = FixedCpus });
        (ulong[] windows, PciWindows sizes) = VirtMap.Pci(config.Pci);
        Pci = Add("pcie", new Placement([.. windows.Select(a => new GuestPhysicalAddress(a))], [.. s_pciInterrupts]), at =>
            new PciHost(sizes, [.. at.Interrupts.Select(Gic.SpiLine)]) 
            {
                Starts = windows,
                Messages = messages?.Target,
                MessageController = messages == null ? null : Fdt.MsiHandle,
            });
        if (config.GenerationId is { } generation)
        {
            GenerationId = Add("vmgenid", At(0x090E_0000), _ => new VmGenId(generation.Given));
        }

        AddVirtioSlots();
        foreach (PciDeviceConfig device in config.PciDevices)
        {
            AddPci(device);
        }
    }

    /// <summary>The VM generation ID; null without.</summary>
    public VmGenId? GenerationId { get; }

    /// <summary>What the board is made with; its CPUs at power-on may become those of a saved machine (<see cref="Adopt"/>).</summary>
    public MachineConfig Config { get; private set; }

    public BoardMap Map => VirtMap.Board;

    public IReadOnlyList<PlacedDevice> Devices => Volatile.Read(ref _devices);

    public PhysicalAddressSpace Bus { get; } = new();

    /// <summary>The guest's time.</summary>
    public VirtualClock Clock { get; } = new();

    public Gic Gic { get; }

    /// <summary>The ITS; null without.</summary>
    public Its? Its { get; }

    public Pl011 Uart { get; }

    public FwCfg FwCfg { get; }

    /// <summary>The banks of flash: two with firmware, otherwise none.</summary>
    public IReadOnlyList<CfiFlash> FlashBanks { get; } = [];

    public Ged Ged { get; }

    public CpuHotplugBlock CpuHotplug { get; }

    /// <summary>The PCI host bridge.</summary>
    public PciHost Pci { get; }

    // The first so many CPUs never leave.
    private int FixedCpus => Config.ColdPluggedCpusOnlineCapable ? 1 : Config.EnabledCpus;

    /// <summary>Takes the CPUs of power-on of another machine, whose state is loaded. No vCPU runs.</summary>
    internal void Adopt(PowerOnSet cpus)
    {
        Config = Config with
        {
            EnabledCpus = cpus.Enabled,
            DisabledCpus = cpus.Disabled,
            ColdPluggedCpusOnlineCapable = cpus.OnlineCapable,
            PluggedCpus = [],
        };
        CpuHotplug.FixedCpus = FixedCpus;
    }

    /// <summary>Frees the memory on the bus.</summary>
    public void Dispose()
    {
        foreach (GuestMemory memory in Bus.Memories)
        {
            memory.Dispose();
        }
    }

    /// <summary>
    /// Puts a device into the slot of a port while the machine runs. The guest does not hear of it before
    /// <see cref="PcieRootPort.Announce"/>.
    /// </summary>
    /// <exception cref="InvalidDataException">It cannot go there: one line, in QEMU's words.</exception>
    public PlacedDevice Plug(PciDeviceConfig device)
    {
        PciBus bus = BusOf(device);
        if (bus.Bridge is not PcieRootPort port)
        {
            throw new InvalidDataException($"Bus '{bus.Name}' does not support hotplugging");
        }

        if (!port.CanHotplug)
        {
            throw new InvalidDataException("Hot-plug failed: unsupported by the port device "
                + $"'{_devices.First(d => d.Device == port).QomPath!.Split('/')[^1]}'");
        }

        if (device is RootPortConfig)
        {
            throw new InvalidDataException("Device 'pcie-root-port' does not support hotplugging");
        }

        PlacedDevice placed = Place(device, bus, isHot: true);
        Volatile.Write(ref _devices, [.. _devices, placed]);
        return placed;
    }

    /// <summary>Forgets a device that is off its bus.</summary>
    public void Forget(PlacedDevice device) => Volatile.Write(ref _devices, [.. _devices.Where(d => d != device)]);

    // A PCI device is placed by the bus that it is on, and not by addresses.
    private void AddPci(PciDeviceConfig device) => _devices.Add(Place(device, BusOf(device), isHot: false));

    private PciBus BusOf(PciDeviceConfig device) =>
        Pci.FindBus(device.Bus) ?? throw new InvalidDataException($"Bus '{device.Bus}' not found");

    private PlacedDevice Place(PciDeviceConfig device, PciBus bus, bool isHot)
    {
        PciSlot slot = device.Slot ?? bus.FirstFree
            ?? throw new InvalidDataException($"PCI: no slot/function available for {device.Driver}, all in use or reserved");
        if (isHot && slot.Function != 0)
        {
            throw new InvalidDataException("not supported: hotplug of a function other than 0");
        }

        if (device.Id.Length > 0 && _devices.Any(d => d.QomPath == $"/machine/peripheral/{device.Id}"))
        {
            throw new InvalidDataException($"Duplicate device ID '{device.Id}'");
        }

        // Its saved state goes by the place, too.
        string place = $"{bus.Name}-{slot}";
        PciFunction function = device.Make(device.Id.Length > 0 ? $"pci-{device.Id}@{place}" : $"pci-{place}", bus, Bus);
        bus.Add(function, slot, isHot);
        return new PlacedDevice(function.Id, function, new Placement([], []))
        {
            InQom = false,
            QomPath = QomPathOf(device.Id),
            QomType = device.Driver,
            IsHotplugged = isHot,
            Config = device,
            Boot = BootOf(device.BootIndex, function.FirmwarePath + device.BootPath),
        };
    }

    // QEMU fills the slots from the last one on, in the order of the command line (hw/arm/virt.c, create_virtio_devices).
    private void AddVirtioSlots()
    {
        for (int i = 0; i < VirtioSlots; i++)
        {
            int slot = i;
            int order = VirtioSlots - 1 - slot;
            VirtioConfig? device = order < Config.VirtioMmio.Count ? Config.VirtioMmio[order] : null;
            ulong address = 0x0A00_0000 + ((ulong)slot * VirtioMmio.WindowSize);
            Add($"virtio-mmio{slot}", At(address, 48 + slot), at => new VirtioMmio(slot, Line(at), device?.Make(Bus)));
            _devices[^1] = _devices[^1] with { Boot = BootOf(device?.BootIndex, $"/virtio-mmio@{address:x16}{device?.BootPath}") };
        }

        // The order of their names is that of the command line.
        foreach (VirtioConfig device in Config.VirtioMmio.Take(VirtioSlots))
        {
            int at = _devices.FindLastIndex(d => d.Device is VirtioMmio { Device: not null } && d.QomPath == null);
            _devices[at] = _devices[at] with { QomPath = QomPathOf(device.Id), QomType = $"{device.TypeName}-device" };
        }
    }

    // QEMU numbers devices without a name of their own.
    private string QomPathOf(string id) =>
        id.Length > 0 ? $"/machine/peripheral/{id}" : $"/machine/peripheral-anon/device[{_anonymous++}]";

    private BootEntry? BootOf(int? index, string path) => index is not { } place ? null
        : _devices.Any(d => d.Boot?.Index == place) ? throw new InvalidDataException($"The bootindex {place} has already been used")
        : new BootEntry(place, path);

    private (string Id, Placement At, IMsiController? Device) MakeMsiController(MsiController kind)
    {
        Placement frame = At(0x0802_0000, FirstMessageInterrupt);
        Placement its = At(0x0808_0000);
        return kind switch
        {
            MsiController.Its => ("its", its, new ItsDevice(new Its(Gic, Bus) { Address = its.Addresses[0] })),
            MsiController.GicV2m => ("gicv2m", frame, new GicV2mFrame(
                frame.Addresses[0],
                Bus,
                frame.Interrupts[0],
                [.. Enumerable.Range(FirstMessageInterrupt, MessageInterrupts).Select(id => Gic.SpiLine(new IntId(id)))])),
            _ => ("", its, null),
        };
    }

    private InterruptLine Line(Placement at) => Gic.SpiLine(at.Interrupts[0]);

    private static Placement At(ulong address) => new(new GuestPhysicalAddress(address));

    private static Placement At(ulong address, int interrupt) => new(new GuestPhysicalAddress(address), new IntId(interrupt));

    private T Add<T>(
        string id, Placement at, Func<Placement, T> make, bool inTree = true, bool inQom = true, string? qomName = null)
        where T : class, IDevice
    {
        T device = make(at);
        _devices.Add(new PlacedDevice(id, device, at) { InTree = inTree, InQom = inQom, QomName = qomName });
        for (int i = 0; i < device.Regions.Count; i++)
        {
            DeviceRegion region = device.Regions[i];
            Bus.Map(region.Registers, at.Addresses[i], region.Size);
            if (region.Memory != null)
            {
                Bus.AddMemory(region.Memory);
            }
        }

        return device;
    }

    // Maps the array of a bank as memory, and behind it the chips, which take stores and commands. The machine fills in the contents.
    private CfiFlash AddFlash(int bank, FlashImage image)
    {
        GuestPhysicalAddress address = Map.FlashBanks[bank];
        var memory = new GuestMemory(address, Map.FlashBankSize, readOnly: true);
        var flash = new CfiFlash($"flash{bank}", memory, image.ReadOnly, image.File) { NodeOf = bank == 0 ? Map.FlashBanks : [] };
        return Add(flash.Name, new Placement(address), _ => flash, qomName: $"virt.{flash.Name}");
    }
}
