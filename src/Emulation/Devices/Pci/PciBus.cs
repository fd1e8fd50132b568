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

    /// <summary>The first device number that is free, as a function 0; null where there is none. A link has device 0 alone.</summary>
    public PciSlot? FirstFree
    {
        get
        {
            lock (host.Lock)
            {
                int count = bridge == null ? PciSpec.SlotsOfBus : 1;
                int device = Enumerable.Range(0, count).FirstOrDefault(
                    d => !Array.Exists(_functions, f => f?.Slot.Device == d), -1);
                return device < 0 ? null : new PciSlot(device, 0);
            }
        }
    }

    /// <summary>Puts a function on the bus.</summary>
    /// <param name="isHot">While the machine runs: the guest is told of it by the port, and by nothing else.</param>
    /// <exception cref="InvalidDataException">There is no such place, or it is taken: one line.</exception>
    public void Add(PciFunction function, PciSlot slot, bool isHot = false)
    {
        lock (host.Lock)
        {
            if (_functions[slot.Number] is { } there)
            {
                throw new InvalidDataException(
                    $"PCI: slot {slot.Device} function {slot.Function} not available for {function.Id}, in use by {there.Id}");
            }

            if (bridge != null && slot.Device != 0)
            {
                throw new InvalidDataException(
                    $"PCI: slot {slot.Device} is not valid for {function.Id}, parent device only allows plugging into slot 0.");
            }

            // Who looks for functions looks at function 0 first, and at others where its header says that there are some.
            if (slot.Function != 0)
            {
                if (_functions[slot.Number - slot.Function] is not { } first)
                {
                    throw new InvalidDataException($"PCI: {function.Id} is function {slot.Function} of a slot without a function 0");
                }

                first.Config.Add([new(PciSpec.HeaderType, 1, first.Config.Get(PciSpec.HeaderType, 1) | PciSpec.HeaderMultifunction)]);
            }

            (function.Bus, function.Slot, function.IsOnBus) = (this, slot, true);
            _functions[slot.Number] = function;
            if (!isHot)
            {
                bridge?.BusChangedLocked();
            }

            host.UpdateLocked();
        }
    }

    /// <summary>Takes a function off the bus, which neither interrupts nor is heard from then on.</summary>
    internal void RemoveLocked(PciFunction function)
    {
        _functions[function.Slot.Number] = null;
        function.IsOnBus = false;
        host.UpdateLocked();
    }
}
