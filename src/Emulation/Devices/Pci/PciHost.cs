using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Devices.Pci;

/// <summary>The windows of a host bridge on the physical bus.</summary>
/// <param name="Ecam">The bytes of configuration space: 1 MiB for each bus number.</param>
/// <param name="Memory">The bytes of memory below 4 GiB.</param>
/// <param name="Io">The bytes of I/O.</param>
/// <param name="HighMemory">The bytes of memory above 4 GiB; 0 for none.</param>
public sealed record PciWindows(ulong Ecam, ulong Memory, ulong Io, ulong HighMemory);

/// <summary>
/// A PCI Express host bridge as QEMU's <c>gpex-pcihost</c>: configuration space as memory (ECAM; PCIe 5.0, 7.2.2), windows of memory and
/// I/O in which the guest places base address registers, and four interrupts for INTA to INTD. Memory has the same addresses on the PCI bus
/// as on the physical bus; I/O begins at 0.
/// </summary>
/// <remarks>
/// <see cref="Lock"/> guards the configuration spaces of all functions, the buses, and the pins. No core is called under it. What is
/// decoded where (<see cref="PciDecoder"/>) is made anew when a header changes, and accesses to it take no lock of the host.
/// Lock order: device core → host → interrupt controller.
/// </remarks>
public sealed partial class PciHost
{
    private const int Pins = 4;

    private readonly InterruptLine[] _pins;
    private readonly PciWindows _windows;
    private readonly bool[] _levels = new bool[Pins];

    /// <param name="windows">The sizes of its windows.</param>
    /// <param name="pins">The interrupts of INTA to INTD of device 0; devices after it use them in turn.</param>
    public PciHost(PciWindows windows, params InterruptLine[] pins)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(pins.Length, Pins);
        _windows = windows;
        _pins = pins;
        Root = new PciBus(this, "pcie.0", bridge: null);
        Root.Add(_self = new PciHostFunction(), new PciSlot(0, 0));
    }

    /// <summary>Its path for firmware: QEMU's has no address of its own there.</summary>
    public const string FirmwarePath = "/pci@ffffffffffffffff";

    /// <summary>The root bus.</summary>
    public PciBus Root { get; }

    /// <summary>The controller that takes the messages of functions; null where there is none, and then they are lost.</summary>
    public IMsiTarget? Messages { get; init; }

    internal Lock Lock { get; } = new();

    /// <summary>The number of buses for which there is configuration space.</summary>
    public int BusCount => (int)(_windows.Ecam / PciSpec.BusSize);

    internal PciDecoder Memory { get; } = new();

    internal PciDecoder Io { get; } = new();

    /// <summary>The bus with a name; null where there is none.</summary>
    /// <param name="name">Null for the root bus.</param>
    public PciBus? FindBus(string? name)
    {
        lock (Lock)
        {
            return BusesLocked(Root).FirstOrDefault(b => name == null || b.Name == name);
        }
    }

    /// <summary>The header of a function has changed: decides anew what is decoded where, and which pins are asserted.</summary>
    internal void UpdateLocked()
    {
        Memory.Update(DecodedLocked(Root, io: false, [PciWindow.All]));
        Io.Update(DecodedLocked(Root, io: true, [PciWindow.All]));
        UpdatePinsLocked();
    }

    /// <summary>Drives the four interrupts by the pins of all functions.</summary>
    internal void UpdatePinsLocked()
    {
        Array.Clear(_levels);
        CollectPinsLocked(Root);
        for (int pin = 0; pin < Pins; pin++)
        {
            _pins[pin].Set(_levels[pin]);
        }
    }

    /// <summary>The function at a place; null where there is none.</summary>
    /// <param name="bus">The number of the bus, as the guest has given it.</param>
    /// <param name="number">Device and function.</param>
    internal PciFunction? FindLocked(int bus, int number)
    {
        PciBus at = Root;
        while (at.NumberLocked != bus)
        {
            PciBridge? next = null;
            foreach (PciFunction function in at.FunctionsLocked)
            {
                if (function is PciBridge bridge && bridge.LeadsToLocked(bus))
                {
                    next = bridge;
                    break;
                }
            }

            // Numbers must grow on the way down: else the guest has set up a circle.
            if (next == null || next.SecondaryLocked <= at.NumberLocked)
            {
                return null;
            }

            at = next.Secondary;
        }

        return at.FindLocked(number);
    }

    private static IEnumerable<PciBus> BusesLocked(PciBus bus) =>
        bus.FunctionsLocked.OfType<PciBridge>().SelectMany(b => BusesLocked(b.Secondary)).Prepend(bus);

    // What each base address register decodes, in the order of the places of functions.
    private static IEnumerable<PciDecoder.Range> DecodedLocked(PciBus bus, bool io, PciWindow[] windows)
    {
        ushort enable = io ? PciSpec.CommandIo : PciSpec.CommandMemory;
        foreach (PciFunction function in bus.FunctionsLocked)
        {
            if ((function.Config.Get16(PciSpec.Command) & enable) != 0)
            {
                foreach (PciBar bar in function.Bars)
                {
                    ulong first = bar.AddressIn(function.Config);
                    ulong last = first + (bar.Size - 1);
                    if (bar.IsIo == io && Array.Exists(windows, w => w.Contains(first, last)))
                    {
                        yield return new PciDecoder.Range(first, last, bar.Registers);
                    }
                }
            }

            if (function is PciBridge { PassesLocked: true } bridge)
            {
                // A window that reaches beyond one before it passes on what both have.
                PciWindow[] behind = io ? [bridge.IoWindowLocked] : [bridge.MemoryWindowLocked, bridge.PrefetchableWindowLocked];
                behind = [.. behind.Where(w => w != PciWindow.None && Array.Exists(windows, outer => outer.Contains(w.First, w.Last)))];
                foreach (PciDecoder.Range range in DecodedLocked(bridge.Secondary, io, behind))
                {
                    yield return range;
                }
            }
        }
    }

    // Each bridge turns the pins of a device behind it by the number of the device (PCI-to-PCI Bridge 1.2, 9.1); so does the host.
    private void CollectPinsLocked(PciBus bus)
    {
        foreach (PciFunction function in bus.FunctionsLocked)
        {
            if (function.InterruptPin > 0 && function.AssertsPinLocked)
            {
                int pin = function.InterruptPin - 1 + function.Slot.Device;
                for (PciBridge? bridge = bus.Bridge; bridge != null; bridge = bridge.Bus.Bridge)
                {
                    pin += bridge.Slot.Device;
                }

                _levels[pin % Pins] = true;
            }

            if (function is PciBridge next)
            {
                CollectPinsLocked(next.Secondary);
            }
        }
    }
}
