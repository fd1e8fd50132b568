using System.Globalization;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Net;
using Vmm.Emulation.Net;

namespace Vmm.Actors.Devices;

/// <summary>What monitors are told of the network of a board.</summary>
internal static class NetReport
{
    /// <summary>The device of this name, or whose backend has it; null for none.</summary>
    public static PlacedDevice? Find(IReadOnlyList<PlacedDevice> devices, string link) => devices.FirstOrDefault(d =>
        link.Length > 0 && NetOf(d) is { } net && (net.Config.Name == link || net.Config.Netdev == link));

    public static NetLinks Of(IReadOnlyList<PlacedDevice> devices, NetdevTable netdevs)
    {
        VirtioNet[] nets = [.. devices.Select(NetOf).OfType<VirtioNet>()];
        NetRxModes[] modes = [.. nets.Select(n => n.RxModes)];
        IReadOnlyList<Netdev> backends = netdevs.All;
        return new NetLinks(
            [.. nets.Select(n => n.Config.Name)], [.. nets.Select(n => n.Config.Model)], [.. nets.Select(n => VirtioNet.MacText(n.Mac))],
            [.. nets.Select(n => netdevs.Find(n.Config.Netdev)?.Id ?? "")],
            [.. modes.SelectMany(m => m.Fields)],
            [.. modes.Select(m => string.Join(' ', m.Unicast.Select(VirtioNet.MacText)))],
            [.. modes.Select(m => string.Join(' ', m.Multicast.Select(VirtioNet.MacText)))],
            [.. modes.Select(m => string.Join(' ', m.Vlans.Select(v => v.ToString(CultureInfo.InvariantCulture))))],
            [.. backends.Select(b => b.Id)], [.. backends.Select(b => b.Type)], [.. backends.Select(b => b.Details)]);
    }

    private static VirtioNet? NetOf(PlacedDevice placed) => (placed.Device as IVirtioTransport)?.Device as VirtioNet;
}
