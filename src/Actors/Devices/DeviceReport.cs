using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Serial;

namespace Vmm.Actors.Devices;

/// <summary>What monitors are told of the devices of a board.</summary>
internal static class DeviceReport
{
    /// <summary>The objects that QEMU has for them.</summary>
    public static BoardDevices DevicesOf(IReadOnlyList<PlacedDevice> devices)
    {
        PlacedDevice[] listed = [.. devices.Where(d => d.InQom && QomTypeAttribute.Of(d.Device) != null)];
        PlacedDevice[] users = [.. devices.Where(d => d.QomPath != null)];
        SerialPortConfig[] ports = [.. PortsOf(devices).Select(p => p.Port).Where(p => p.Id.Length > 0)];
        return new BoardDevices(
            [.. listed.Select(d => QomTypeAttribute.Of(d.Device)!)], [.. listed.Select(d => d.QomName ?? "")],
            [.. users.Select(d => d.QomType), .. ports.Select(p => p.Driver)],
            [.. users.Select(d => d.QomPath!), .. ports.Select(p => PathOf(p.Id))],
            [.. users.Select(d => d.IsHotplugged), .. ports.Select(p => p.IsHotplugged)]);
    }

    /// <summary>The path of a device to which a person has given this name.</summary>
    public static string PathOf(string id) => $"/machine/peripheral/{id}";

    /// <summary>The ports of consoles.</summary>
    public static IEnumerable<(PlacedDevice Console, SerialPortConfig Port)> PortsOf(IReadOnlyList<PlacedDevice> devices) =>
        devices.SelectMany(d => (d.Device as IVirtioTransport)?.Device is VirtioSerial serial
            ? serial.PresentPorts.Select(port => (d, port)) : []);

    public static PciDevices FunctionsOf(IReadOnlyList<PlacedDevice> devices)
    {
        if (devices.Select(d => d.Device).OfType<PciHost>().FirstOrDefault() is not { } host)
        {
            return new PciDevices([], [], [], [], [], []);
        }

        PciFunctionReport[] functions = host.Report();
        int IndexOf(PciFunction? function) => Array.FindIndex(functions, f => f.Function == function);
        return new PciDevices(
            [.. functions.Select(f => f.Bus)], [.. functions.Select(f => f.Function.Slot.Number)],
            [.. functions.Select(f => f.Function.Bus.Bridge is { } bridge ? IndexOf(bridge) : -1)],
            [.. functions.Select(f => devices.FirstOrDefault(d => d.Device == f.Function)?.QomPath ?? "")],
            [.. functions.SelectMany(f => f.Header)],
            [.. functions.SelectMany((f, i) => f.Regions.SelectMany(r => new[]
            {
                i, r.Bar.Index, (r.Bar.IsIo ? 1 : 0) | (r.Bar.Is64Bits ? 2 : 0) | (r.Bar.Kind == PciBarKind.Prefetchable64 ? 4 : 0),
                r.Address, (long)r.Bar.Size,
            }))]);
    }
}
