using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>
/// The driver's side of a slot of the MMIO transport, written from the specification (Virtual I/O Device 1.2, sections 3.1 and 4.2).
/// </summary>
internal sealed class MmioDriver(IMmioDevice slot)
{
    public const ulong Version1 = 1ul << 32;

    public ulong Offered => Word(0x010, 0x014, 0) | ((ulong)Word(0x010, 0x014, 1) << 32);

    public uint Status
    {
        get => this[0x070];
        set => this[0x070] = value;
    }

    public uint this[ulong register]
    {
        get => (uint)slot.Read(register, 4);
        set => slot.Write(register, 4, value);
    }

    /// <summary>Resets the device and takes features; whether it accepts them.</summary>
    public bool Negotiate(ulong features)
    {
        Status = 0;
        Status = 1;
        Status = 3;
        (this[0x024], this[0x020]) = (0, (uint)features);
        (this[0x024], this[0x020]) = (1, (uint)(features >> 32));
        Status = 0xB;
        return Status == 0xB;
    }

    /// <summary>Sets a queue up.</summary>
    public void Enable(uint queue, VirtqueueLayout layout)
    {
        this[0x030] = queue;
        Assert.Equal(0u, this[0x044]);
        Assert.InRange((uint)layout.Size, 1u, this[0x034]);
        this[0x038] = (uint)layout.Size;
        (this[0x080], this[0x084]) = ((uint)layout.Descriptors, (uint)(layout.Descriptors >> 32));
        (this[0x090], this[0x094]) = ((uint)layout.Driver, (uint)(layout.Driver >> 32));
        (this[0x0A0], this[0x0A4]) = ((uint)layout.Device, (uint)(layout.Device >> 32));
        this[0x044] = 1;
        Assert.Equal(1u, this[0x044]);
    }

    /// <summary>The driver works.</summary>
    public void Go() => Status = 0xF;

    public void Notify(uint queue) => this[0x050] = queue;

    /// <summary>Reads and acknowledges the interrupts.</summary>
    public uint Interrupts()
    {
        uint what = this[0x060];
        this[0x064] = what;
        return what;
    }

    private uint Word(ulong register, ulong select, uint word)
    {
        this[select] = word;
        return this[register];
    }
}
