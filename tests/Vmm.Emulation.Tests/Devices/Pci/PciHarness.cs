using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Devices.Pci;

/// <summary>A host bridge with small windows on a bus of its own, and functions to put on it.</summary>
internal sealed class PciHarness : IInterruptSink, IMsiTarget
{
    public const ulong Ecam = 0x4000_0000;
    public const ulong Memory = 0x1000_0000;
    public const ulong Io = 0x3EFF_0000;
    public const ulong High = 0x80_0000_0000;
    public const int FirstPin = 35;

    public PciHarness()
    {
        ulong[] starts = [Ecam, Memory, Io, High];
        Host = new PciHost(
            new PciWindows(0x100_0000, 0x1000_0000, 0x1_0000, 0x1_0000_0000),
            [.. Enumerable.Range(FirstPin, 4).Select(id => new InterruptLine(this, new IntId(id)))])
        {
            Starts = starts,
            Messages = this,
        };
        foreach ((ulong start, DeviceRegion region) in starts.Zip(Host.Regions))
        {
            Bus.Map(region.Registers, new GuestPhysicalAddress(start), region.Size);
        }
    }

    public PciHost Host { get; }

    public PhysicalAddressSpace Bus { get; } = new();

    /// <summary>The pins that are asserted: INTA to INTD of device 0 are 0 to 3.</summary>
    public SortedSet<int> Pins { get; } = [];

    public void SetInput(IntId id, bool level) => _ = level ? Pins.Add(id.Value - FirstPin) : Pins.Remove(id.Value - FirstPin);

    /// <summary>The messages that functions have sent: address, data and requester.</summary>
    public List<(ulong Address, uint Data, uint Requester)> Messages { get; } = [];

    public void Send(MsiMessage message, uint requester) => Messages.Add((message.Address, message.Data, requester));

    public ulong Read(ulong address, int size = 4)
    {
        Assert.True(Bus.TryRead(address, size, out ulong value));
        return value;
    }

    public void Write(ulong address, ulong value, int size = 4) => Assert.True(Bus.TryWrite(address, size, value));

    /// <summary>The address of a register in configuration space.</summary>
    public static ulong At(int bus, int device, int offset, int function = 0) =>
        Ecam + ((ulong)bus << 20) + ((ulong)device << 15) + ((ulong)function << 12) + (ulong)offset;
}

/// <summary>Registers that remember the last write.</summary>
internal sealed class Scratch : IMmioDevice
{
    public ulong Value { get; private set; }

    public ulong Offset { get; private set; }

    public string Name => "scratch";

    public ulong Read(ulong offset, int size) => (Value + offset) & (size == 8 ? ulong.MaxValue : (1ul << (size * 8)) - 1);

    public void Write(ulong offset, int size, ulong value) => (Offset, Value) = (offset, value);
}

internal sealed class TestFunction : PciFunction
{
    public const uint Vendor = 0x1234;
    public const uint Device = 0x5678;

    public TestFunction(string id, int pin = 1, params PciBar[] bars)
        : base(
            id,
            new PciConfigSpace(express: true, EndpointHeader(new PciIdentity((ushort)Vendor, (ushort)Device, 0xFF_0000), pin)),
            pin) => Array.ForEach(bars, AddBar);
}

internal sealed class TestBridge(string id, PciHost host)
    : PciBridge(id, id, host, new PciIdentity(0x1234, 0x9ABC, 0x06_0400), interruptPin: 0);
