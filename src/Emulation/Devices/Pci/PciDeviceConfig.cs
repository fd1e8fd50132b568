using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Devices.Pci;

/// <summary>A PCI device of the command line.</summary>
/// <param name="Id">The name that the user gave it; empty for none.</param>
/// <param name="Bus">The name of its bus; null for the root bus.</param>
/// <param name="Slot">Its place there; null for the first that is free.</param>
public abstract record PciDeviceConfig(string Id, string? Bus, PciSlot? Slot) : IDisposable
{
    /// <summary>The name of its type, as in <c>-device</c>.</summary>
    public abstract string Driver { get; }

    /// <summary>Properties of <c>-device</c> for people: bool, integers or text.</summary>
    public virtual IReadOnlyList<(string Name, object Value)> Properties => [];

    /// <summary>Makes the function for a bus.</summary>
    /// <param name="id">The name on the board.</param>
    public abstract PciFunction Make(string id, PciBus bus, IDmaMemory memory);

    /// <summary><c>bootindex=</c>: the place among what firmware is to boot from; null for none.</summary>
    public virtual int? BootIndex => null;

    /// <summary>The end of its path for firmware, behind the function's.</summary>
    public virtual string BootPath => "";

    /// <summary>Closes what the host has of the device, after the machine.</summary>
    public virtual void Dispose() => GC.SuppressFinalize(this);
}

/// <summary>A root port (<c>-device pcie-root-port</c>).</summary>
/// <param name="Port">The number of its link.</param>
/// <param name="Number">The number of its slot (<c>slot=</c>).</param>
/// <param name="Hotplug">Whether devices may come and go.</param>
public sealed record RootPortConfig(string Id, string? Bus, PciSlot? Slot, byte Port, int Number = 0, bool Hotplug = true)
    : PciDeviceConfig(Id, Bus, Slot)
{
    public override string Driver => "pcie-root-port";

    public override IReadOnlyList<(string Name, object Value)> Properties =>
        [("slot", Number), ("hotplug", Hotplug), ("port", (int)Port)];

    /// <summary>The largest number of a slot.</summary>
    public const int MostNumber = PcieSlotSpec.MostNumber;

    public override PciFunction Make(string id, PciBus bus, IDmaMemory memory) =>
        new PcieRootPort(id, Id.Length > 0 ? Id : id, bus.Host, Port, Number, Hotplug);
}
