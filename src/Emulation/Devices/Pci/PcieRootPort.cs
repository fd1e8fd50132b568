using Vmm.Emulation.Interrupts;
using Vmm.Emulation.State;
using static Vmm.Emulation.Devices.Pci.PcieSlotSpec;

namespace Vmm.Emulation.Devices.Pci;

/// <summary>What the power indicator of a slot shows (PCIe 5.0, 6.7.1.1.2): the guest says with it what it does.</summary>
public enum SlotIndicator
{
    /// <summary>The slot has power, and its device is the guest's.</summary>
    On,

    /// <summary>The guest is about to give the slot power, or to take it away.</summary>
    Blinks,

    /// <summary>A device may be put in or taken out.</summary>
    Off,
}

/// <summary>What was asked of the guest for a slot, and has not ended.</summary>
public enum SlotRequest
{
    None,

    /// <summary>To take the device that has come.</summary>
    Insert,

    /// <summary>To let the device go.</summary>
    Remove,
}

/// <summary>
/// A root port: the bridge to one slot, with native hotplug (PCIe 5.0, 6.7), as QEMU's <c>pcie-root-port</c>. A device that comes is
/// announced by its presence and the attention button; a device that is to leave, by the button. The guest lets a device go when it turns
/// power and the power indicator off: it is off the bus in that very write, and whoever hears <see cref="Changed"/> clears it away.
/// </summary>
/// <remarks>The lock of the <see cref="PciHost"/> guards all of it. Commands of the guest are completed at once.</remarks>
public sealed class PcieRootPort : PciBridge
{
    private const ushort Device = 0x000C;
    private const uint Bridge = 0x06_0400;
    private const int IntA = 1;
    private const int MsixBar = 0;
    private const ushort OffByGuest = PowerOff | IndicatorOff;

    private readonly PciMsix _msix;
    private readonly int _express;

    // What Slot Control had before the write that is looked at, and whether an event is told of to the guest.
    private ushort _control;
    private bool _notified;
    private SlotRequest _request;

    /// <param name="id">The name on the board.</param>
    /// <param name="bus">The name of the bus behind the port.</param>
    /// <param name="port">The number of its link.</param>
    /// <param name="slot">The number of its slot, from 0 to 8191.</param>
    /// <param name="hotplug">Whether devices may come and go while the machine runs.</param>
    public PcieRootPort(string id, string bus, PciHost host, byte port, int slot = 0, bool hotplug = true)
        : base(id, bus, host, new PciIdentity(PciSpec.RedHat, Device, Bridge), IntA)
    {
        CanHotplug = hotplug;
        _express = PciExpress.AddCapability(
            Config,
            PciExpress.RootPort,
            new PciRegister(PciExpress.Flags, 2, (ulong)PciExpress.FlagsOf(PciExpress.RootPort) | PciExpress.HasSlot),
            new PciRegister(PciExpress.LinkCapabilities, 3, 0x411 | PciExpress.ReportsLink),
            new PciRegister(PciExpress.PortNumber, 1, port),
            new PciRegister(PciExpress.LinkStatus, 2, 0x11, Changing: PciExpress.LinkActive),
            new PciRegister(
                PciExpress.SlotCapabilities, 4, Capabilities | (hotplug ? HotplugCapable : 0) | ((ulong)slot << NumberShift)),
            new PciRegister(PciExpress.SlotControl, 2, AttentionOff | OffByGuest, Writable: Writable),
            new PciRegister(PciExpress.SlotStatus, 2, 0, Clearable: Events, Changing: Present));
        _control = AttentionOff | OffByGuest;
        _msix = new PciMsix(this, vectors: 1, MsixBar);
        AddBar(new PciBar(MsixBar, PciBarKind.Memory, _msix.WindowSize, _msix));
    }

    public bool CanHotplug { get; }

    /// <summary>Rings when the guest has changed power or indicator, or has let a device go.</summary>
    public Doorbell Changed { get; } = new();

    public SlotIndicator Indicator
    {
        get
        {
            lock (ConfigLock)
            {
                return (Control & PowerIndicator) switch
                {
                    IndicatorOff => SlotIndicator.Off,
                    IndicatorBlinks => SlotIndicator.Blinks,
                    _ => SlotIndicator.On,
                };
            }
        }
    }

    /// <summary>
    /// What is under way in the slot. It moves along with the guest, so that whoever has the guest knows what is to end. Whoever ends it
    /// sets it to none.
    /// </summary>
    public SlotRequest Request
    {
        get
        {
            lock (ConfigLock)
            {
                return _request;
            }
        }

        set
        {
            lock (ConfigLock)
            {
                _request = value;
            }
        }
    }

    /// <summary>Whether the slot has power.</summary>
    public bool IsPowered
    {
        get
        {
            lock (ConfigLock)
            {
                return PassesLocked;
            }
        }
    }

    /// <summary>Without power nothing behind the port answers.</summary>
    internal override bool PassesLocked => (Control & PowerOff) == 0;

    private ushort Control => Config.Get16(_express + PciExpress.SlotControl);

    private ushort Status => Config.Get16(_express + PciExpress.SlotStatus);

    /// <summary>Tells the guest of the device that has been put into the slot.</summary>
    public void Announce()
    {
        lock (ConfigLock)
        {
            _request = SlotRequest.Insert;
            SetPresentLocked(true);
            RaiseLocked(PresenceChanged | ButtonPressed);
        }
    }

    /// <summary>Asks the guest to let the device go. A slot without power needs no guest for it: the device is off the bus then.</summary>
    public void RequestRemoval()
    {
        PciFunction[] gone = [];
        lock (ConfigLock)
        {
            if ((Control & OffByGuest) == OffByGuest)
            {
                gone = EjectLocked();
                NotifyLocked();
            }
            else
            {
                _request = SlotRequest.Remove;
                RaiseLocked(ButtonPressed);
            }
        }

        Array.ForEach(gone, function => function.ResetByBus());
    }

    /// <summary>Power-on state: a slot that has a device has power.</summary>
    public override void Reset()
    {
        lock (ConfigLock)
        {
            _msix.ResetLocked();
            _notified = false;
            base.Reset();
            SettleLocked();
        }
    }

    internal override void ResetByBus()
    {
        lock (ConfigLock)
        {
            _msix.ResetLocked();
            _notified = false;
        }

        base.ResetByBus();
        lock (ConfigLock)
        {
            SettleLocked();
        }
    }

    // The second version has what is under way.
    protected override int SchemaVersion => 2;

    public override void Save(StateWriter writer)
    {
        base.Save(writer);
        lock (ConfigLock)
        {
            _msix.SaveLocked(writer);
            writer.Write("notified", _notified);
            writer.Write("request", (byte)_request);
        }
    }

    public override void Load(StateReader reader)
    {
        lock (ConfigLock)
        {
            _msix.LoadLocked(reader);
            byte notified = reader.Read<byte>("notified");
            reader.Require(notified <= 1, "notified");
            _notified = notified != 0;
            byte request = reader.Version > 1 ? reader.Read<byte>("request") : (byte)0;
            reader.Require(request <= (byte)SlotRequest.Remove, "request");
            _request = (SlotRequest)request;
            base.Load(reader);
            _control = Control;
        }

        Changed.Ring();
    }

    internal override void WriteConfig(int offset, int size, ulong value)
    {
        base.WriteConfig(offset, size, value);
        PciFunction[] unpowered = [];
        lock (ConfigLock)
        {
            int at = _express + PciExpress.SlotControl;
            if (offset < at + sizeof(ushort) && offset + size > at)
            {
                unpowered = CommandLocked();
                Config.SetBits(_express + PciExpress.SlotStatus, CommandCompleted, true);
            }

            NotifyLocked();
        }

        Array.ForEach(unpowered, function => function.ResetByBus());
    }

    /// <summary>A device that is there when the machine is made has power.</summary>
    internal override void BusChangedLocked() => SettleLocked();

    /// <summary>What was masked may be sent now.</summary>
    protected override void ConfigChangedLocked() => _msix.ConfigChangedLocked();

    // Carries out what the guest has written to Slot Control. The functions that have lost their power are to be reset.
    private PciFunction[] CommandLocked()
    {
        (ushort before, ushort now) = (_control, Control);
        if (before == now)
        {
            return [];
        }

        _control = now;
        Changed.Ring();
        if ((before & PowerOff) == (now & PowerOff) && (before & PowerIndicator) == (now & PowerIndicator))
        {
            return [];
        }

        // As in QEMU, a write that leaves both off, as some guests do at first, takes nothing out.
        bool lets = (now & OffByGuest) == OffByGuest && (before & OffByGuest) != OffByGuest && (Status & Present) != 0;
        PciFunction[] functions = lets ? EjectLocked() : (now & ~before & PowerOff) != 0 ? [.. Secondary.FunctionsLocked] : [];
        Bus.Host.UpdateLocked();
        return functions;
    }

    private PciFunction[] EjectLocked()
    {
        PciFunction[] gone = [.. Secondary.FunctionsLocked];
        Array.ForEach(gone, Secondary.RemoveLocked);
        SetPresentLocked(false);
        Config.SetBits(_express + PciExpress.SlotStatus, PresenceChanged, true);
        Changed.Ring();
        return gone;
    }

    private void SettleLocked()
    {
        bool populated = Secondary.FunctionsLocked.Any();
        SetPresentLocked(populated);
        _control = (ushort)((Control & ~OffByGuest) | (populated ? IndicatorOn : OffByGuest));
        Config.Set(_express + PciExpress.SlotControl, sizeof(ushort), _control);
        Bus?.Host.UpdateLocked();
    }

    private void SetPresentLocked(bool present)
    {
        Config.SetBits(_express + PciExpress.SlotStatus, Present, present);
        Config.SetBits(_express + PciExpress.LinkStatus, PciExpress.LinkActive, present);
    }

    private void RaiseLocked(ushort events)
    {
        Config.SetBits(_express + PciExpress.SlotStatus, events, true);
        NotifyLocked();
    }

    // A message says that there are events, where there were none before; the pin says so as long as there are.
    private void NotifyLocked()
    {
        bool notifies = (Control & InterruptEnable) != 0 && (Control & Status & Events) != 0;
        if (notifies == _notified)
        {
            return;
        }

        _notified = notifies;
        if (_msix.IsEnabledLocked)
        {
            if (notifies)
            {
                _msix.Notify(0);
            }
        }
        else
        {
            SetInterrupt(notifies);
        }
    }
}
