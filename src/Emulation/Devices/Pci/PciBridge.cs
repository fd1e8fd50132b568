using static Vmm.Emulation.Devices.Pci.PciSpec;

namespace Vmm.Emulation.Devices.Pci;

/// <summary>
/// A bridge to another bus (PCI-to-PCI Bridge Architecture Specification 1.2): it passes accesses on whose addresses lie in its windows.
/// </summary>
public abstract class PciBridge : PciFunction
{
    private const uint IoGranularity = 0x1000;
    private const uint MemoryGranularity = 0x10_0000;

    // The lowest bits of I/O and prefetchable registers say how long addresses are: 32 bits of I/O, 64 bits of memory.
    private const byte Io32 = 0x1;
    private const ushort Prefetchable64 = 0x1;

    /// <param name="id">The name on the board.</param>
    /// <param name="bus">The name of the bus behind the bridge.</param>
    protected PciBridge(string id, string bus, PciHost host, PciIdentity identity, int interruptPin)
        : base(id, new PciConfigSpace(express: true, [.. CommonHeader(identity, HeaderBridge, interruptPin), .. s_header]), interruptPin) =>
        Secondary = new PciBus(host, bus, this);

    private static readonly PciRegister[] s_header =
    [
        new(PrimaryBus, 1, 0, Writable: 0xFF),
        new(SecondaryBus, 1, 0, Writable: 0xFF),
        new(SubordinateBus, 1, 0, Writable: 0xFF),
        new(IoBase, 1, Io32, Writable: 0xF0),
        new(IoLimit, 1, Io32, Writable: 0xF0),
        new(SecondaryStatus, 2, 0, Clearable: StatusErrors),
        new(MemoryBase, 2, 0, Writable: 0xFFF0),
        new(MemoryLimit, 2, 0, Writable: 0xFFF0),
        new(PrefetchableBase, 2, Prefetchable64, Writable: 0xFFF0),
        new(PrefetchableLimit, 2, Prefetchable64, Writable: 0xFFF0),
        new(PrefetchableBaseUpper, 4, 0, Writable: uint.MaxValue),
        new(PrefetchableLimitUpper, 4, 0, Writable: uint.MaxValue),
        new(IoBaseUpper, 2, 0, Writable: 0xFFFF),
        new(IoLimitUpper, 2, 0, Writable: 0xFFFF),
        new(BridgeControl, 2, 0, Writable: BridgeParity | BridgeSystemError | BridgeIsa | BridgeVga | BridgeReset),
    ];

    /// <summary>The bus behind the bridge.</summary>
    public PciBus Secondary { get; }

    /// <summary>Whether the bridge passes anything on.</summary>
    internal virtual bool PassesLocked => true;

    /// <summary>A device has been put on the bus behind it before the machine runs.</summary>
    internal virtual void BusChangedLocked()
    {
    }

    internal int SecondaryLocked => (int)Config.Get(SecondaryBus, 1);

    /// <summary>Whether the bridge leads to a bus with this number, directly or over others.</summary>
    internal bool LeadsToLocked(int bus) =>
        PassesLocked && SecondaryLocked is > 0 and var first && bus >= first && bus <= (int)Config.Get(SubordinateBus, 1);

    /// <summary>The addresses of I/O that are passed on.</summary>
    internal PciWindow IoWindowLocked => Window(
        CommandIo,
        ((Config.Get(IoBase, 1) & 0xF0) << 8) | (Config.Get(IoBaseUpper, 2) << 16),
        ((Config.Get(IoLimit, 1) & 0xF0) << 8) | (Config.Get(IoLimitUpper, 2) << 16),
        IoGranularity);

    /// <summary>The addresses of memory without side effects of reads that are passed on.</summary>
    internal PciWindow PrefetchableWindowLocked => Window(
        CommandMemory,
        ((Config.Get(PrefetchableBase, 2) & 0xFFF0) << 16) | (Config.Get(PrefetchableBaseUpper, 4) << 32),
        ((Config.Get(PrefetchableLimit, 2) & 0xFFF0) << 16) | (Config.Get(PrefetchableLimitUpper, 4) << 32),
        MemoryGranularity);

    /// <summary>The other addresses of memory that are passed on.</summary>
    internal PciWindow MemoryWindowLocked => Window(
        CommandMemory,
        (Config.Get(MemoryBase, 2) & 0xFFF0) << 16,
        (Config.Get(MemoryLimit, 2) & 0xFFF0) << 16,
        MemoryGranularity);

    /// <summary>A reset of the bus behind the bridge begins when the guest sets its bit.</summary>
    internal override void WriteConfig(int offset, int size, ulong value)
    {
        PciFunction[] reset;
        lock (ConfigLock)
        {
            bool before = IsResettingLocked;
            base.WriteConfig(offset, size, value);
            reset = !before && IsResettingLocked ? [.. Secondary.FunctionsLocked] : [];
        }

        Array.ForEach(reset, function => function.ResetByBus());
    }

    internal override void ResetByBus()
    {
        PciFunction[] behind;
        lock (ConfigLock)
        {
            behind = [.. Secondary.FunctionsLocked];
        }

        Array.ForEach(behind, function => function.ResetByBus());
        base.ResetByBus();
    }

    private bool IsResettingLocked => (Config.Get16(BridgeControl) & BridgeReset) != 0;

    // A window is open while the bridge takes part in accesses of its kind, and its end is not before its beginning.
    private PciWindow Window(ushort enable, ulong first, ulong lastUnit, uint granularity) =>
        (Config.Get16(Command) & enable) != 0 && first <= lastUnit
            ? new PciWindow(first, lastUnit + (granularity - 1))
            : PciWindow.None;
}

/// <summary>Addresses from the first to the last.</summary>
internal readonly record struct PciWindow(ulong First, ulong Last)
{
    public static PciWindow None { get; } = new(1, 0);

    public static PciWindow All { get; } = new(0, ulong.MaxValue);

    public bool Contains(ulong first, ulong last) => first >= First && last <= Last;
}
