using Vmm.Emulation.Memory;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices;

/// <summary>
/// A device core as a board lists it. The board gives it its place and its interrupt lines; the bus, the descriptions of the machine,
/// reset, saved state and the actors iterate the board's list and know nothing else of it.
/// </summary>
public interface IDevice
{
    /// <summary>The name in traces, in <c>info mtree</c> and in saved state; unique on a board.</summary>
    string Name { get; }

    /// <summary>The windows that the guest reaches it through, in the order of <see cref="Placement.Addresses"/>.</summary>
    IReadOnlyList<DeviceRegion> Regions { get; }

    /// <summary>What is saved of it.</summary>
    IStateUnit StateUnit { get; }

    /// <summary>Brings the registers to their values at power-on. The levels of inputs that other parts drive stay.</summary>
    void Reset();

    /// <summary>Adds what the ACPI tables say of the device; nothing where they say nothing.</summary>
    /// <param name="at">Where the board has put it.</param>
    void Describe(IAmlSink acpi, Placement at)
    {
    }

    /// <summary>Adds the device's nodes to the root of a device tree; nothing where it has none.</summary>
    /// <param name="at">Where the board has put it.</param>
    void Describe(Fdt tree, Placement at)
    {
    }
}

/// <summary>A window of a device.</summary>
/// <param name="Registers">What answers accesses.</param>
/// <param name="Size">In bytes.</param>
/// <param name="Memory">Memory at the same addresses, which the guest reads directly while it may (flash); null for none.</param>
public sealed record DeviceRegion(IMmioDevice Registers, ulong Size, GuestMemory? Memory = null);

/// <summary>Where a board has put a device.</summary>
/// <param name="Addresses">Of its regions, on the physical bus.</param>
/// <param name="Interrupts">What its lines are connected to; empty for a device without.</param>
public sealed record Placement(IReadOnlyList<GuestPhysicalAddress> Addresses, IReadOnlyList<IntId> Interrupts)
{
    public Placement(GuestPhysicalAddress address, params IntId[] interrupts)
        : this([address], interrupts)
    {
    }

    /// <summary>Guest physical address of the first region.</summary>
    public ulong Address => Addresses[0].Value;

    /// <summary>The GSIV of the first line, which is its INTID (ACPI 6.5, 5.2.12.14).</summary>
    public uint Gsiv => (uint)Interrupts[0].Value;

    /// <summary>The first line as a device tree has it: a level-high SPI (Linux, bindings/interrupt-controller/arm,gic-v3.yaml).</summary>
    public uint[] InterruptCells => [Fdt.Spi, Gsiv - Fdt.FirstSpi, Fdt.LevelHigh];
}
