using System.Globalization;
using Vmm.Actors.Vm;
using Vmm.Emulation.Block;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Rng;
using Vmm.Emulation.Devices.Virtio.Serial;

namespace Vmm.Actors.Tests;

/// <summary>Makes entropy devices and ports, and remembers what has left.</summary>
internal sealed class FakeDeviceMaker : IDeviceMaker
{
    public List<string> Gone { get; } = [];

    public List<string> Objects { get; } = [];

    public PciDeviceConfig Make(IReadOnlyList<(string Key, string? Value)> properties) => new VirtioPciConfig(
        new VirtioRngConfig(properties.First(p => p.Key == "id").Value!), properties.First(p => p.Key == "bus").Value, null);

    public void AddImage(string image, bool isNode) => throw new InvalidDataException("none");

    public bool RemoveImage(string name, bool isNode) => throw new InvalidDataException("none");

    public IReadOnlyList<BlockBackend> OpenUnused() => [];

    public void Left(IDisposable device) => Gone.Add(((PciDeviceConfig)device).Id);

    public (PlacedDevice Console, SerialPortConfig Port)? MakePort(
        IReadOnlyList<(string Key, string? Value)> properties, IReadOnlyList<PlacedDevice> devices) =>
        properties.FirstOrDefault(p => p.Key == "nr").Value is { } number
            ? (devices.First(d => d.QomPath == "/machine/peripheral/vs"), new SerialPortConfig(
                properties.First(p => p.Key == "id").Value!, int.Parse(number, CultureInfo.InvariantCulture), "", false, ""))
            : null;

    public void Left(SerialPortConfig port) => Gone.Add(port.Id);

    public void AddNetdev(string options) => throw new InvalidDataException(options);

    public void RemoveNetdev(string id)
    {
    }

    public void AddObject(string options) => Objects.Add(options);

    public void RemoveObject(string id) => throw new InvalidDataException($"object '{id}' not found");
}

/// <summary>The guest at Slot Control and Status of a root port (PCIe 5.0, 7.5.3.10).</summary>
/// <param name="device">The port's number on the root bus; 1 is the first.</param>
internal sealed class GuestSlot(VirtBoard board, int device = 1)
{
    public const ushort On = 0x01C0 | 0x29;
    public const ushort Blinks = 0x02C0 | 0x29;
    public const ushort Off = 0x07C0 | 0x29;

    private const int ExpressAt = 0x40;
    private const ulong Ecam = 0x40_1000_0000;

    public ushort Control
    {
        set => Write(0x18, value);
    }

    public uint Status
    {
        get
        {
            Assert.True(board.Bus.TryRead(Address(0x1A), 2, out ulong value));
            return (uint)value;
        }
    }

    /// <summary>The button has been seen.</summary>
    public void Acknowledge() => Write(0x1A, 1);

    private void Write(int register, ushort value) => Assert.True(board.Bus.TryWrite(Address(register), 2, value));

    private ulong Address(int register) => Ecam + ((ulong)device << 15) + ExpressAt + (ulong)register;
}
