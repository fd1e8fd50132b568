using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Serial;

namespace Vmm.Emulation.Boards;

/// <summary>
/// The devices of a board as a tree of buses, in the layout of QEMU's <c>info qtree</c>: those that came last come first. It has the
/// properties that there are here. Any thread.
/// </summary>
public sealed class BoardTree
{
    private readonly StringBuilder _text = new();
    private readonly IReadOnlyList<PlacedDevice> _devices;
    private readonly PciFunctionReport[] _functions;
    private int _depth;

    private BoardTree(IReadOnlyList<PlacedDevice> devices)
    {
        _devices = devices;
        _functions = devices.Select(d => d.Device).OfType<PciHost>().FirstOrDefault()?.Report() ?? [];
    }

    public static string Describe(IReadOnlyList<PlacedDevice> devices)
    {
        var tree = new BoardTree(devices);
        tree.Bus("main-system-bus", "System", () =>
        {
            foreach (PlacedDevice device in devices.Where(d => d.InQom && d.Device is not PciFunction).Reverse())
            {
                if (QomTypeAttribute.Of(device.Device) is { } type)
                {
                    tree.Device(type, "", () => tree.System(device));
                }
            }
        });
        return tree._text.ToString().TrimEnd('\n');
    }

    private void Line(string text) => _text.Append(' ', _depth * 2).Append(text).Append('\n');

    private void Bus(string name, string type, Action children)
    {
        Line($"bus: {name}");
        _depth++;
        Line($"type {type}");
        children();
        _depth--;
    }

    private void Device(string type, string id, Action inside)
    {
        Line($"dev: {type}, id \"{id}\"");
        _depth++;
        inside();
        _depth--;
    }

    private void Property(string name, object value) => Line(value switch
    {
        bool flag => $"{name} = {(flag ? "true" : "false")}",
        string text => $"{name} = \"{text}\"",
        _ => $"{name} = {value} (0x{Convert.ToInt64(value, CultureInfo.InvariantCulture):x})",
    });

    private void System(PlacedDevice device)
    {
        if (device.At.Interrupts.Count > 0)
        {
            Line($"gpio-out \"sysbus-irq\" {device.At.Interrupts.Count}");
        }

        foreach ((GuestPhysicalAddress address, DeviceRegion region) in device.At.Addresses.Zip(device.Device.Regions))
        {
            Line($"mmio {address.Value:x16}/{region.Size:x16}");
        }

        if (device.Device is VirtioMmio slot)
        {
            Bus($"virtio-mmio-bus.{slot.Number}", "virtio-mmio-bus", () => Virtio(slot.Device, NameOf(device)));
        }
        else if (device.Device is PciHost host)
        {
            Pci(host.Root);
        }
    }

    private void Pci(PciBus bus) => Bus(bus.Name, "PCIE", () =>
    {
        foreach (PciFunctionReport report in _functions.Where(f => f.Function.Bus == bus).Reverse())
        {
            PlacedDevice? placed = _devices.FirstOrDefault(d => d.Device == report.Function);
            Device(placed?.QomType ?? "gpex-root", NameOf(placed), () => Function(report, placed));
        }
    });

    private void Function(PciFunctionReport report, PlacedDevice? placed)
    {
        if (placed?.Config is PciDeviceConfig config)
        {
            foreach ((string name, object value) in config.Properties)
            {
                Property(name, value);
            }
        }

        ReadOnlySpan<byte> header = report.Header;
        int Word(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]);
        int kind = Word(header, PciSpec.ClassCode + 1);
        bool isBridge = kind == PciClassNames.Bridge;
        PciSlot at = report.Function.Slot;
        Line($"addr = {at}");
        string subsystem = isBridge ? "0000:0000"
            : $"{Word(header, PciSpec.SubsystemVendorId):x4}:{Word(header, PciSpec.SubsystemVendorId + 2):x4}";
        Line($"class {PciClassNames.Of(kind)}, addr {report.Bus:x2}:{at}, pci id "
            + $"{Word(header, PciSpec.VendorId):x4}:{Word(header, PciSpec.DeviceId):x4} (sub {subsystem})");
        foreach ((PciBar bar, long address) in report.Regions)
        {
            Line($"bar {bar.Index}: {(bar.IsIo ? "i/o" : "mem")} at 0x{address:x} [0x{address + (long)bar.Size - 1:x}]");
        }

        if (report.Function is PciBridge bridge)
        {
            Pci(bridge.Secondary);
        }
        else if (report.Function is IVirtioTransport { Device: { } device })
        {
            Bus("virtio-bus", "virtio-pci-bus", () => Virtio(device, "", NameOf(placed)));
        }
    }

    // Behind PCI the function has the name.
    private void Virtio(VirtioDevice? device, string id, string? busId = null)
    {
        if (device == null)
        {
            return;
        }

        Device($"{device.Name}-device", id, () =>
        {
            foreach ((string name, object value) in device.Properties)
            {
                Property(name, value);
            }

            if (device is VirtioSerial console)
            {
                string owner = busId ?? id;
                Bus(owner.Length > 0 ? $"{owner}.0" : "virtio-serial-bus.0", "virtio-serial-bus", () => Ports(console));
            }
        });
    }

    private void Ports(VirtioSerial console)
    {
        foreach ((SerialPortConfig port, bool isGuestOpen) in console.PortStates.Reverse())
        {
            Device(port.Driver, port.Id, () =>
            {
                Property("chardev", port.Backend);
                Property("nr", port.Number);
                Property("name", port.Name);
                Line($"port {port.Number}, guest {OnOff(isGuestOpen)}, host {OnOff(port.Link.IsHostOpen)}, throttle off");
            });
        }
    }

    private static string OnOff(bool value) => value ? "on" : "off";

    private static string NameOf(PlacedDevice? device) => device?.QomPath is { } path
        && path.StartsWith("/machine/peripheral/", StringComparison.Ordinal) ? path[(path.LastIndexOf('/') + 1)..] : "";
}
