using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Net;
using Vmm.Emulation.Net;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>The network of a command line: backends, and the devices that have them.</summary>
/// <param name="Nics">The devices of <c>-nic</c> on the PCI bus, which QEMU places before all others.</param>
/// <param name="Pci">The other devices on the PCI bus, in their order.</param>
/// <param name="Mmio">The network devices on the MMIO transport.</param>
/// <param name="Netdevs">The backends, which do nothing yet.</param>
public sealed record Networks(
    IReadOnlyList<PciDeviceConfig> Nics,
    IReadOnlyList<PciDeviceConfig> Pci,
    IReadOnlyList<VirtioConfig> Mmio,
    IReadOnlyList<NetdevOption> Netdevs)
{
    // QEMU's first address (qemu_macaddr_default_if_unset).
    private const ulong FirstMac = 0x5254_0012_3456;

    /// <summary>Puts backends and devices together.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static Networks Join(
        IReadOnlyList<NetdevOption> netdevs, IReadOnlyList<NicOption> nics, IReadOnlyList<VirtioNetConfig> devices,
        IReadOnlyList<PciDeviceConfig> pci)
    {
        IReadOnlyList<NicOption> joined = JoinOld(nics);
        NetdevOption[] all = [.. netdevs, .. joined.Select(n => n.Netdev).OfType<NetdevOption>()];
        if (all.GroupBy(n => n.Id).FirstOrDefault(g => g.Count() > 1) is { } twice)
        {
            throw new OptionException($"Duplicate ID '{UserText.Legible(twice.Key)}' for netdev");
        }

        List<VirtioNetConfig> complete = [];
        VirtioNetConfig Complete(VirtioNetConfig device)
        {
            complete.Add(Networks.Complete(device, all, complete));
            return complete[^1];
        }

        VirtioNetConfig[] ofNics = [.. joined.Select(n => n.Device).OfType<VirtioNetConfig>().Select(Complete)];
        PciDeviceConfig[] nicsOnPci =
            [.. ofNics.Where(n => n.Model == NetDeviceOption.PciDriver).Select(n => new VirtioPciConfig(n, null, null))];
        PciDeviceConfig[] others = [.. pci.Select(p =>
            p is VirtioPciConfig { Device: VirtioNetConfig net } config ? config with { Device = Complete(net) } : p)];
        VirtioNetConfig[] onMmio = [.. ofNics.Where(n => n.Model == NetDeviceOption.Driver), .. devices.Select(Complete)];
        return new Networks(nicsOnPci, others, onMmio, all);
    }

    /// <summary>Makes the backends and opens them.</summary>
    /// <param name="claim">Whether this process has the guest: one that waits for a migration has not yet.</param>
    /// <exception cref="OptionException">One line that says what is wrong; nothing is open.</exception>
    public NetdevTable Open(IReadOnlyList<FilterDumpOption> dumps, bool claim)
    {
        var table = new NetdevTable();
        try
        {
            foreach (NetdevOption option in Netdevs)
            {
                Netdev netdev = option.Make();
                table.TryAdd(netdev);
                foreach (FilterDumpOption dump in dumps.Where(d => d.Netdev == netdev.Id))
                {
                    netdev.Add(dump.Open());
                }

                netdev.Open();
                if (claim && netdev.Claim() is { } problem)
                {
                    throw new NetException(problem);
                }
            }

            return dumps.FirstOrDefault(d => table.Find(d.Netdev) == null) is { } lost
                ? throw new NetException($"Parameter 'netdev' expects a network backend id, not '{UserText.Legible(lost.Netdev)}'")
                : table;
        }
        catch (Exception e) when (e is NetException or OptionException)
        {
            table.Dispose();
            throw new OptionException(e.Message);
        }
    }

    // Devices and backends of -net are joined one by one: a hub with one of each is a link.
    private static IReadOnlyList<NicOption> JoinOld(IReadOnlyList<NicOption> nics)
    {
        NicOption[] alone = [.. nics.Where(n => n.Device is { Netdev: "" })];
        NicOption[] backends = [.. nics.Where(n => n.Device == null)];
        if (alone.Length == 0 && backends.Length == 0)
        {
            return nics;
        }

        if (alone.Length > 1 || backends.Length > 1)
        {
            throw new OptionException("not supported: a hub with more than one device and one backend: give each device -nic");
        }

        return alone is [var nic] && backends is [var backend]
            ? [.. nics.Except([nic, backend]), new NicOption(nic.Device! with { Netdev = backend.Netdev!.Id }, backend.Netdev)]
            : nics;
    }

    /// <summary>Gives a device what it did not say: a name, an address, pairs of queues.</summary>
    /// <param name="netdevs">The backends.</param>
    /// <param name="others">The devices that there are.</param>
    /// <exception cref="OptionException">Its backend is not there, or another device has it.</exception>
    public static VirtioNetConfig Complete(
        VirtioNetConfig device, IReadOnlyList<NetdevOption> netdevs, IReadOnlyCollection<VirtioNetConfig> others)
    {
        NetdevOption? netdev = null;
        if (device.Netdev.Length > 0)
        {
            netdev = netdevs.FirstOrDefault(n => n.Id == device.Netdev)
                ?? throw new OptionException($"Property '{device.Model}.netdev' can't find value '{UserText.Legible(device.Netdev)}'");
            if (others.Any(o => o.Netdev == netdev.Id) || netdev.Peer != null || netdevs.Any(n => n.Peer == netdev.Id))
            {
                throw new OptionException(
                    $"Property '{device.Model}.netdev' can't take value '{UserText.Legible(netdev.Id)}', it's in use");
            }
        }

        int number = 0;
        while (others.Any(o => o.Name == $"{device.Model}.{number}"))
        {
            number++;
        }

        ulong mac = device.Mac == NetDeviceOption.NoMac ? FirstMac : device.Mac;
        while (device.Mac == NetDeviceOption.NoMac && others.Any(o => o.Mac == mac))
        {
            mac++;
        }

        return device with
        {
            Name = device.Id.Length > 0 ? device.Id : $"{device.Model}.{number}",
            Mac = mac,
            Pairs = device.Pairs == 0 ? netdev?.Queues ?? 1 : 1,
        };
    }
}
