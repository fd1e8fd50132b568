namespace Vmm.Emulation.Devices.Pci;

/// <summary>A function at a moment.</summary>
/// <param name="Bus">The number of its bus, as the guest has given it.</param>
/// <param name="Header">The first bytes of configuration space.</param>
/// <param name="Regions">The base address registers, with the address of each, or -1 for one that is not placed.</param>
public sealed record PciFunctionReport(PciFunction Function, int Bus, byte[] Header, (PciBar Bar, long Address)[] Regions);

/// <content>What people are told.</content>
public sealed partial class PciHost
{
    private const int HeaderSize = 64;

    /// <summary>All functions, those of a bus before those behind its bridges. Any thread.</summary>
    public PciFunctionReport[] Report()
    {
        lock (Lock)
        {
            return
            [
                .. BusesLocked(Root).SelectMany(bus => bus.FunctionsLocked.Select(f => new PciFunctionReport(
                    f, bus.NumberLocked, f.Config.Bytes[..HeaderSize].ToArray(), [.. f.Bars.Select(b => (b, AddressLocked(f, b)))]))),
            ];
        }
    }

    private static long AddressLocked(PciFunction function, PciBar bar)
    {
        ushort enable = bar.IsIo ? PciSpec.CommandIo : PciSpec.CommandMemory;
        return (function.Config.Get16(PciSpec.Command) & enable) != 0 && bar.AddressIn(function.Config) is var at and not 0 ? (long)at : -1;
    }
}
