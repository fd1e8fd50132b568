using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Devices.CpuHotplug;

/// <summary>An action of the guest at the block. Events are kept in the order in which they happen.</summary>
/// <param name="Cpu">The CPU that was selected.</param>
/// <param name="Kind">The action.</param>
/// <param name="Event">The source event of an <see cref="CpuHotplugEventKind.Ost"/>.</param>
/// <param name="Status">The status code of an <see cref="CpuHotplugEventKind.Ost"/>.</param>
public readonly record struct CpuHotplugEvent(CpuIndex Cpu, CpuHotplugEventKind Kind, uint Event = 0, uint Status = 0);

public enum CpuHotplugEventKind
{
    /// <summary>_EJ0: the CPU is no longer enabled; its vCPU is to be torn down.</summary>
    Ejected,

    /// <summary>_OST reported (ACPI 6.5, 6.3.5).</summary>
    Ost,
}

/// <summary>
/// The CPU hotplug register block (QEMU, docs/specs/acpi_cpu_hotplug.rst, in the 12-byte layout of the Arm series): a selector, flags of
/// the CPU that it selects, commands and their data.
/// </summary>
public sealed partial class CpuHotplugBlock(int possibleCpus) : IAcpiDevice
{
    /// <summary>Selects the CPU that the other registers are about.</summary>
    public const ulong SelectorOffset = 0;

    /// <summary>
    /// Flags of the selected CPU. A write sets one of <see cref="FlagInsert"/>, <see cref="FlagRemove"/> and <see cref="FlagEject"/>.
    /// </summary>
    public const ulong FlagsOffset = 4;

    /// <summary>Selects the meaning of <see cref="DataOffset"/>.</summary>
    public const ulong CommandOffset = 5;
    public const ulong DataOffset = 8;

    private const uint FlagEnabled = 1;

    /// <summary>OSPM has taken note of a CPU that has come.</summary>
    public const uint FlagInsert = 2;

    /// <summary>OSPM has taken note of a CPU that is to leave.</summary>
    public const uint FlagRemove = 4;

    /// <summary>_EJ0.</summary>
    public const uint FlagEject = 8;
    private const uint FlagFirmwareEject = 16;

    /// <summary>The source event of an _OST follows in the data register.</summary>
    public const byte CommandOstEvent = 1;

    /// <summary>The status of an _OST follows in the data register; it ends the report.</summary>
    public const byte CommandOstStatus = 2;
    private const byte CommandNextEvent = 0;
    private const byte CommandArchId = 3;

    // A guest that writes faster than the coordinator listens: the oldest events stay, for they are what somebody waits for.
    private const int EventCapacity = 4096;

    private struct Slot
    {
        public bool Enabled;
        public bool Insert;
        public bool Remove;
        public bool FirmwareEject;
        public uint OstEvent;
        public uint OstStatus;
    }

    private readonly Lock _lock = new();
    private readonly Slot[] _slots = new Slot[possibleCpus];
    private readonly Queue<CpuHotplugEvent> _events = new();
    private uint _selector;
    private byte _command;

    /// <summary>The guest did something: see <see cref="TryTakeEvent"/>.</summary>
    public Doorbell Doorbell { get; } = new();

    /// <summary>Called in the eject write itself, before the guest goes on: PSCI must refuse the CPU from then on.</summary>
    public Action<CpuIndex>? Ejecting { get; set; }

    /// <summary>
    /// The first so many CPUs never leave: the MADT has them as Enabled, and what it says holds for good. Set while no vCPU runs.
    /// </summary>
    public int FixedCpus { get; set; } = 1;

    public string Name => "acpi-cpu-hotplug";

    public string? RegisterName(ulong offset, bool write) => (offset, write) switch
    {
        (SelectorOffset, true) => "CPU selector",
        (SelectorOffset, false) => "command data 2",
        (FlagsOffset, true) => "control flags",
        (FlagsOffset, false) => "status flags",
        (CommandOffset, true) => "command",
        (DataOffset, _) => "command data",
        _ => null,
    };

    public bool IsEnabled(CpuIndex cpu)
    {
        lock (_lock)
        {
            return _slots[cpu.Value].Enabled;
        }
    }

    public void SetEnabled(CpuIndex cpu, bool value)
    {
        lock (_lock)
        {
            _slots[cpu.Value].Enabled = value;
        }
    }

    /// <summary>Asks OSPM to look at a CPU that has come. The caller raises the GED.</summary>
    public void PendInsert(CpuIndex cpu)
    {
        lock (_lock)
        {
            _slots[cpu.Value].Insert = true;
        }
    }

    /// <summary>Asks OSPM to give a CPU up. The caller raises the GED.</summary>
    public void PendRemove(CpuIndex cpu)
    {
        lock (_lock)
        {
            _slots[cpu.Value].Remove = true;
        }
    }

    /// <summary>Whether OSPM has not yet taken note of a CPU that has come or is to leave. Any thread.</summary>
    public bool HasPending
    {
        get
        {
            lock (_lock)
            {
                return Array.Exists(_slots, s => s.Insert || s.Remove);
            }
        }
    }

    public bool TryTakeEvent(out CpuHotplugEvent e)
    {
        lock (_lock)
        {
            return _events.TryDequeue(out e);
        }
    }

    /// <summary>System reset: pending requests are gone, the enabled CPUs and the selector stay.</summary>
    public void Reset()
    {
        lock (_lock)
        {
            _command = 0;
            for (int i = 0; i < _slots.Length; i++)
            {
                _slots[i] = new Slot { Enabled = _slots[i].Enabled };
            }
        }
    }

    public ulong Read(ulong offset, int size)
    {
        lock (_lock)
        {
            if (_selector >= (uint)_slots.Length)
            {
                return 0;
            }

            ref Slot slot = ref _slots[_selector];
            ulong affinity = Mpidr.FromIndex(new CpuIndex((int)_selector)).Affinity;
            ulong value = offset switch
            {
                SelectorOffset => _command == CommandArchId ? affinity >> 32 : 0,
                FlagsOffset => FlagsOf(slot),
                DataOffset => _command switch
                {
                    CommandNextEvent => _selector,
                    CommandArchId => (uint)affinity,
                    _ => 0,
                },
                _ => 0,
            };
            return MmioAccess.Truncate(value, size);
        }
    }

    public void Write(ulong offset, int size, ulong value)
    {
        bool ring = false;
        lock (_lock)
        {
            if (offset == SelectorOffset)
            {
                _selector = (uint)value;
            }
            else if (_selector < (uint)_slots.Length)
            {
                ring = WriteSelected(offset, (uint)value, ref _slots[_selector]);
            }
        }

        if (ring)
        {
            Doorbell.Ring();
        }
    }

    // True when there is an event to take.
    private bool WriteSelected(ulong offset, uint value, ref Slot slot)
    {
        var cpu = new CpuIndex((int)_selector);
        switch (offset)
        {
            // Only the first bit that is set acts, in this order.
            case FlagsOffset when (value & FlagInsert) != 0:
                slot.Insert = false;
                return false;
            case FlagsOffset when (value & FlagRemove) != 0:
                slot.Remove = false;
                return false;
            case FlagsOffset when (value & FlagEject) != 0:
                return Eject(ref slot, cpu);
            case FlagsOffset when (value & FlagFirmwareEject) != 0:
                slot.FirmwareEject = !slot.FirmwareEject;
                return false;
            case CommandOffset:
                _command = (byte)value;
                if (_command == CommandNextEvent)
                {
                    FindEvent();
                }

                return false;
            case DataOffset when _command == CommandOstEvent:
                slot.OstEvent = value;
                return false;
            case DataOffset when _command == CommandOstStatus:
                slot.OstStatus = value;
                return Publish(new CpuHotplugEvent(cpu, CpuHotplugEventKind.Ost, slot.OstEvent, value));
            default:
                return false;
        }
    }

    // The boot CPU stays, and others of power-on may.
    private bool Eject(ref Slot slot, CpuIndex cpu)
    {
        if (cpu.Value < FixedCpus || !slot.Enabled)
        {
            return false;
        }

        slot.Enabled = false;
        slot.Remove = false;
        slot.FirmwareEject = false;
        Ejecting?.Invoke(cpu);
        return Publish(new CpuHotplugEvent(cpu, CpuHotplugEventKind.Ejected));
    }

    // An eject is told in any case: there are no more of them than enabled CPUs.
    private bool Publish(CpuHotplugEvent e)
    {
        if (_events.Count < EventCapacity || e.Kind == CpuHotplugEventKind.Ejected)
        {
            _events.Enqueue(e);
        }

        return true;
    }

    private static uint FlagsOf(in Slot slot) =>
        (slot.Enabled ? FlagEnabled : 0)
        | (slot.Insert ? FlagInsert : 0)
        | (slot.Remove ? FlagRemove : 0)
        | (slot.FirmwareEject ? FlagFirmwareEject : 0);

    // Circularly from the selector; it moves only if there is an event.
    private void FindEvent()
    {
        for (int i = 0; i < _slots.Length; i++)
        {
            int candidate = (int)((_selector + (uint)i) % (uint)_slots.Length);
            if (_slots[candidate].Insert || _slots[candidate].Remove)
            {
                _selector = (uint)candidate;
                return;
            }
        }
    }
}
