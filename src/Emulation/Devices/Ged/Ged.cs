using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Devices.Ged;

/// <summary>The events that the GED reports to OSPM, as bits of its selector register.</summary>
[Flags]
public enum GedEvents : uint
{
    None = 0,
    PowerButton = 0x2,
    CpuHotplug = 0x8,

    /// <summary>The VM generation ID has changed. QEMU has no such event.</summary>
    GenerationId = 0x20,
}

/// <summary>
/// The Generic Event Device (ACPI 6.5, 5.6.9) with QEMU's register: 32 bits of events, which a read clears.
/// </summary>
public sealed partial class Ged(InterruptLine line) : IAcpiDevice
{
    private readonly Lock _lock = new();
    private uint _selector;

    public string Name => "ged";

    public string? RegisterName(ulong offset, bool write) => offset == 0 ? "selector" : null;

    /// <summary>The events that the guest has not read. Any thread.</summary>
    public GedEvents Unread
    {
        get
        {
            lock (_lock)
            {
                return (GedEvents)_selector;
            }
        }
    }

    /// <summary>
    /// Adds events and pulses the interrupt, also for events that are still unread: the guest may not have noticed the last pulse.
    /// </summary>
    public void Raise(GedEvents events)
    {
        lock (_lock)
        {
            _selector |= (uint)events;
            line.Pulse();
        }
    }

    public void Reset()
    {
        lock (_lock)
        {
            _selector = 0;
        }
    }

    public ulong Read(ulong offset, int size)
    {
        if (offset != 0)
        {
            return 0;
        }

        lock (_lock)
        {
            uint value = _selector;
            _selector = 0;
            return MmioAccess.Truncate(value, size);
        }
    }

    public void Write(ulong offset, int size, ulong value)
    {
    }
}
