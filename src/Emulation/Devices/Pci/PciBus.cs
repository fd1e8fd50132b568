namespace Vmm.Emulation.Devices.Pci;

/// <summary>A bus: the functions on it by their places. The lock of the <see cref="PciHost"/> guards it.</summary>
/// <param name="host">The host bridge.</param>
/// <param name="name">The name that <c>-device bus=</c> uses.</param>
/// <param name="bridge">The bridge that leads to it; null for the root bus.</param>
public sealed class PciBus(PciHost host, string name, PciBridge? bridge)
{
    private readonly PciFunction?[] _functions = new PciFunction?[PciSpec.FunctionsOfBus];

    public PciHost Host => host;

    public string Name => name;

    public PciBridge? Bridge => bridge;

    /// <summary>Its number: that of the root bus is 0, others have those that the guest gives them.</summary>
    internal int NumberLocked => bridge == null ? 0 : bridge.SecondaryLocked;

    /// <summary>The functions in the order of their places.</summary>
    internal IEnumerable<PciFunction> FunctionsLocked => _functions.OfType<PciFunction>();

    internal PciFunction? FindLocked(int number) => _functions[number];

    /// <summary>Puts a function on the bus.</summary>
    /// <exception cref="ArgumentException">The place is taken.</exception>
    public void Add(PciFunction function, PciSlot slot)
    {
        lock (host.Lock)
        {
            if (_functions[slot.Number] is { } there)
            {
                throw new ArgumentException($"slot {slot} of {name} has {there.Id} already");
            }

            (function.Bus, function.Slot) = (this, slot);
            _functions[slot.Number] = function;
            host.UpdateLocked();
        }
    }
}
