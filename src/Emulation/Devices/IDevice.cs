using Vmm.Emulation.Memory;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices;

/// <summary>
/// The core of a device, as a board lists it. The board gives it addresses and interrupt lines. The bus, the descriptions of the machine,
/// reset, saved state and the actors iterate the board's list, and know nothing else about the device.
/// </summary>
public interface IDevice
{
    /// <summary>The windows through which the guest accesses it, in the order of <see cref="Placement.Addresses"/>.</summary>
    IReadOnlyList<DeviceRegion> Regions { get; }

    /// <summary>The state that is saved; none for a device that has nothing to save, reset or do by itself, and so no actor.</summary>
    IReadOnlyList<IStateUnit> StateUnits { get; }

    /// <summary>Sets the registers to their values at power-on. Inputs that other parts drive keep their levels.</summary>
    void Reset();

    /// <summary>Adds the description of the device to the ACPI tables, if they have one.</summary>
    /// <param name="at">The addresses and interrupts that the board has given it.</param>
    void Describe(IAmlSink acpi, Placement at)
    {
    }

    /// <summary>Adds the device's nodes to the root of a device tree, if it has any.</summary>
    /// <param name="at">The addresses and interrupts that the board has given it.</param>
    void Describe(Fdt tree, Placement at)
    {
    }
}

/// <summary>A window of a device.</summary>
/// <param name="Registers">The code that handles accesses.</param>
/// <param name="Size">The size in bytes.</param>
/// <param name="Memory">Memory at the same addresses, which the guest reads directly while the device allows it (flash); null for
/// none.</param>
public sealed record DeviceRegion(IMmioDevice Registers, ulong Size, GuestMemory? Memory = null);

/// <summary>The addresses and interrupts that a board has given to a device.</summary>
/// <param name="Addresses">The addresses of its regions on the physical bus.</param>
/// <param name="Interrupts">The interrupts to which its lines are connected; empty for a device without lines.</param>
public sealed record Placement(IReadOnlyList<GuestPhysicalAddress> Addresses, IReadOnlyList<IntId> Interrupts)
{
    public Placement(GuestPhysicalAddress address, params IntId[] interrupts)
        : this([address], interrupts)
    {
    }

    /// <summary>The guest physical address of the first region.</summary>
    public ulong Address => Addresses[0].Value;

    /// <summary>The GSIV of the first line, which is its INTID (ACPI 6.5, 5.2.12.14).</summary>
    public uint Gsiv => (uint)Interrupts[0].Value;

    /// <summary>
    /// The first line in the form of a device tree: a level-high SPI (Linux, bindings/interrupt-controller/arm,gic-v3.yaml).
    /// </summary>
    public uint[] InterruptCells => [Fdt.Spi, Gsiv - Fdt.FirstSpi, Fdt.LevelHigh];
}
