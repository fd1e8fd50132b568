using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Pci;

namespace Vmm.Actors.Devices;

/// <summary>What monitors are told of the devices of a board.</summary>
internal static class DeviceReport
{
    /// <summary>The objects that QEMU has for them.</summary>
    public static BoardDevices DevicesOf(IReadOnlyList<PlacedDevice> devices)
    {
        PlacedDevice[] listed = [.. devices.Where(d => d.InQom && QomTypeAttribute.Of(d.Device) != null)];
        PlacedDevice[] users = [.. devices.Where(d => d.QomPath != null)];
        return new BoardDevices(
            [.. listed.Select(d => QomTypeAttribute.Of(d.Device)!)], [.. listed.Select(d => d.QomName ?? "")],
            [.. users.Select(d => d.QomType)], [.. users.Select(d => d.QomPath!)], [.. users.Select(d => d.IsHotplugged)]);
    }

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
