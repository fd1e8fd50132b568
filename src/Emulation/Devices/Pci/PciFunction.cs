using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.Pci;

/// <summary>What a function says that it is (PCI 3.0, 6.2.1).</summary>
/// <param name="ClassCode">Base class, subclass and programming interface: 24 bits.</param>
public sealed record PciIdentity(
    ushort Vendor, ushort Device, uint ClassCode, byte Revision = 0, ushort SubsystemVendor = 0, ushort Subsystem = 0);

/// <summary>
/// A function of a PCI device: its configuration space, what its base address registers place, and its interrupts. The lock of the
/// <see cref="PciHost"/> guards all of it; who raises an interrupt may hold the lock of his own core. The host never calls a core under the
/// lock.
/// </summary>
/// <param name="id">The name on the board.</param>
/// <param name="config">The configuration space, with the header.</param>
/// <param name="interruptPin">1 to 4 for INTA to INTD; 0 for a function that has none.</param>
public abstract partial class PciFunction(string id, PciConfigSpace config, int interruptPin = 0) : IDevice
{
    private readonly List<PciBar> _bars = [];
    private bool _interrupt;
    private bool _isOnBus;

    /// <summary>The name on the board.</summary>
    public string Id => id;

    /// <summary>The bus that it is on, and its place there. Set by <see cref="PciBus.Add"/>.</summary>
    public PciBus Bus { get; internal set; } = null!;

    public PciSlot Slot { get; internal set; }

    /// <summary>Whether it is on the bus; false for one that has been taken off, and is to be cleared away. Any thread.</summary>
    public bool IsOnBus
    {
        get => Volatile.Read(ref _isOnBus);
        internal set => Volatile.Write(ref _isOnBus, value);
    }

    public IReadOnlyList<PciBar> Bars => _bars;

    /// <summary>Its path for firmware, from the host bridge on (QEMU, pcibus_get_fw_dev_path).</summary>
    public string FirmwarePath
    {
        get
        {
            string name = ((uint)config.Get(PciSpec.ClassCode, 3) >> 8) switch
            {
                PciSpec.ScsiClass => "scsi",
                PciSpec.EthernetClass => "ethernet",
                PciSpec.BridgeClass => "pci-bridge",
                _ => $"pci{config.Get16(PciSpec.VendorId):x4},{config.Get16(PciSpec.DeviceId):x4}",
            };
            string at = Slot.Function == 0 ? $"{Slot.Device:x}" : $"{Slot.Device:x},{Slot.Function:x}";
            return $"{Bus.Bridge?.FirmwarePath ?? PciHost.FirmwarePath}/{name}@{at}";
        }
    }

    /// <summary>1 to 4 for INTA to INTD; 0 for a function that has none.</summary>
    public int InterruptPin => interruptPin;

    /// <summary>The host places what the base address registers have; the board places nothing.</summary>
    public IReadOnlyList<DeviceRegion> Regions => [];

    public virtual IReadOnlyList<IStateUnit> StateUnits => [this];

    /// <summary>The configuration space. The lock of the host guards it.</summary>
    internal PciConfigSpace Config => config;

    /// <summary>Whether the function asserts its pin, and the guest has not forbidden it.</summary>
    internal bool AssertsPinLocked => _interrupt && (config.Get16(PciSpec.Command) & PciSpec.CommandInterruptDisable) == 0;

    /// <summary>Whether the function may access memory and send messages.</summary>
    internal bool IsMasterLocked => IsOnBus && (config.Get16(PciSpec.Command) & PciSpec.CommandMaster) != 0;

    /// <summary>The lock of the host, which guards configuration space.</summary>
    protected Lock ConfigLock => Bus.Host.Lock;

    /// <summary>Sets the registers to their values at power-on, and lowers the interrupt.</summary>
    public virtual void Reset()
    {
        lock (ConfigLock)
        {
            config.Reset();
            _interrupt = false;
            ConfigChangedLocked();
            Bus.Host.UpdateLocked();
        }
    }

    /// <summary>
    /// A reset by the guest: of the bus, of the function alone, or by taking its power. What the function's backend has under way ends
    /// meanwhile. Any thread, without a lock.
    /// </summary>
    internal virtual void ResetByBus()
    {
        lock (ConfigLock)
        {
            config.Reset();
            _interrupt = false;
            ConfigChangedLocked();
            Bus.Host.UpdateLocked();
        }
    }

    /// <summary>Asserts or deasserts the interrupt pin. Any thread.</summary>
    public void SetInterrupt(bool level)
    {
        lock (ConfigLock)
        {
            if (_interrupt != level)
            {
                _interrupt = level;
                config.SetBits(PciSpec.Status, PciSpec.StatusInterrupt, level);
                Bus.Host.UpdatePinsLocked();
            }
        }
    }

    /// <summary>Sends a message to the interrupt controller, as a write of the function.</summary>
    internal void SendLocked(MsiMessage message) =>
        Bus.Host.Messages?.Send(message, ((uint)Bus.NumberLocked * PciSpec.FunctionsOfBus) + (uint)Slot.Number);

    /// <summary>A read of configuration space by the guest.</summary>
    internal virtual ulong ReadConfig(int offset, int size)
    {
        lock (ConfigLock)
        {
            // Where there is no extended space, nothing answers.
            return offset < config.Bytes.Length ? config.Get(offset, size) : MmioAccess.Truncate(ulong.MaxValue, size);
        }
    }

    /// <summary>A write to configuration space by the guest.</summary>
    internal virtual void WriteConfig(int offset, int size, ulong value)
    {
        lock (ConfigLock)
        {
            config.Write(offset, size, value);
            ConfigChangedLocked();

            // The header alone says what is decoded where.
            if (offset < PciSpec.FirstCapability)
            {
                Bus.Host.UpdateLocked();
            }
        }
    }

    /// <summary>The guest, a reset or a load has changed configuration space.</summary>
    protected virtual void ConfigChangedLocked()
    {
    }

    /// <summary>Adds a base address register; before anything runs.</summary>
    protected void AddBar(PciBar bar)
    {
        _bars.Add(bar);
        config.Add([bar.Register]);
    }

    /// <summary>The registers of the header that each function has.</summary>
    /// <param name="headerType">0, or <see cref="PciSpec.HeaderBridge"/>.</param>
    protected static IEnumerable<PciRegister> CommonHeader(PciIdentity identity, byte headerType, int interruptPin) =>
    [
        new(PciSpec.VendorId, 2, identity.Vendor),
        new(PciSpec.DeviceId, 2, identity.Device),
        new(PciSpec.Command, 2, 0, Writable: PciSpec.CommandIo | PciSpec.CommandMemory | PciSpec.CommandMaster | PciSpec.CommandSystemError
            | PciSpec.CommandInterruptDisable),
        new(PciSpec.Status, 2, 0, Clearable: PciSpec.StatusErrors),
        new(PciSpec.RevisionId, 1, identity.Revision),
        new(PciSpec.ClassCode, 3, identity.ClassCode),
        new(PciSpec.CacheLineSize, 1, 0, Writable: 0xFF),
        new(PciSpec.HeaderType, 1, headerType),
        new(PciSpec.InterruptLine, 1, 0, Writable: 0xFF),
        new(PciSpec.InterruptPin, 1, (byte)interruptPin),
    ];

    /// <summary>The header of a function that is no bridge.</summary>
    protected static IEnumerable<PciRegister> EndpointHeader(PciIdentity identity, int interruptPin = 0) =>
    [
        .. CommonHeader(identity, 0, interruptPin),
        new(PciSpec.SubsystemVendorId, 2, identity.SubsystemVendor),
        new(PciSpec.SubsystemId, 2, identity.Subsystem),
    ];
}
