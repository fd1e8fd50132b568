using System.Globalization;
using System.Text;
using Vmm.Actors.Protocol;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

public sealed record SetLinkArguments(string Name, bool Up);

/// <summary>When a guest is announced (QEMU, qapi/net.json, AnnounceParameters): milliseconds, and how often.</summary>
public sealed record AnnounceArguments(long Initial, long Max, long Rounds, long Step, string[]? Interfaces, string? Id);

/// <summary>The members of a backend that every type has; the others are the type's.</summary>
public sealed record NetdevAddArguments(string Type, string Id);

public sealed record NetdevDelArguments(string Id);

public sealed record RxFilterArguments(string? Name);

/// <summary>Which frames a device takes of a kind.</summary>
public enum RxState
{
    Normal,
    None,
    All,
}

public sealed record RxFilterInfo(
    string Name,
    bool Promiscuous,
    RxState Multicast,
    RxState Unicast,
    RxState Vlan,
    bool BroadcastAllowed,
    bool MulticastOverflow,
    bool UnicastOverflow,
    string MainMac,
    long[] VlanTable,
    string[] UnicastTable,
    string[] MulticastTable);

/// <summary>Commands about the network.</summary>
public sealed class NetCommands(MonitorVm vm)
{
    private const string User = "user";

    // The defaults of the parameters of announce_self (QEMU, migration/options.c).
    private static readonly AnnounceArguments s_announce = new(50, 550, 5, 100, null, null);

    public void Register(QapiCommandTable table)
    {
        table.Add<SetLinkArguments>("set_link", SetLink);
        table.AddOpen<NetdevAddArguments>("netdev_add", given => AddNetdev(given.ToJsonString()));
        table.Add<NetdevDelArguments>("netdev_del", arguments => RemoveNetdev(arguments.Id));
        table.Add<AnnounceArguments>("announce-self", Announce);
        table.AddQuery<RxFilterArguments, RxFilterInfo[]>("query-rx-filter", QueryFilters);
    }

    public Task SetLink(SetLinkArguments arguments) => vm.Ask<NetCommandDone>(new SetNetLink(arguments.Name, arguments.Up));

    /// <summary>Makes a network backend for devices to come.</summary>
    /// <param name="options">As <c>-netdev</c> has it, or a JSON object.</param>
    public Task AddNetdev(string options) => vm.Ask<NetCommandDone>(new AddNetdev(options));

    /// <summary>Ends a network backend that no device has.</summary>
    public Task RemoveNetdev(string id) => vm.Ask<NetCommandDone>(new RemoveNetdev(id));

    /// <summary>Announces guests; all of them where no interface is named.</summary>
    public async Task Announce(AnnounceArguments arguments)
    {
        (string Name, long Value, long Most)[] checks =
        [
            ("initial", arguments.Initial, 100_000), ("max", arguments.Max, 100_000), ("rounds", arguments.Rounds, 1000),
            ("step", arguments.Step, 10_000),
        ];
        if (Array.Find(checks, c => c.Value < (c.Name == "rounds" ? 1 : 0) || c.Value > c.Most) is { Name: not null } wrong)
        {
            throw new QapiException($"Parameter '{wrong.Name}' expects a number up to {wrong.Most}");
        }

        NetLinks links = await Links().ConfigureAwait(false);
        foreach (string name in links.Names.Where(n => arguments.Interfaces is not { Length: > 0 } some || some.Contains(n)))
        {
            await vm.Ask<NetCommandDone>(new AnnounceNet(
                name, (int)arguments.Initial, (int)arguments.Max, (int)arguments.Rounds, (int)arguments.Step)).ConfigureAwait(false);
        }
    }

    /// <summary>Announces guests as a person asks for it.</summary>
    public Task Announce(string[]? interfaces, string? id) => Announce(s_announce with { Interfaces = interfaces, Id = id });

    public async Task<RxFilterInfo[]> QueryFilters(RxFilterArguments arguments)
    {
        NetLinks links = await Links().ConfigureAwait(false);
        RxFilterInfo[] filters = [.. links.Names.Select((_, i) => FilterOf(links, i))];
        return arguments.Name == null ? filters
            : filters.Where(f => f.Name == arguments.Name).ToArray() is { Length: > 0 } found ? found
            : throw new QapiException($"invalid net client name: {arguments.Name}");
    }

    /// <summary>The text of <c>info network</c>, in QEMU's layout.</summary>
    public async Task<string> Describe()
    {
        NetLinks links = await Links().ConfigureAwait(false);
        var lines = new List<string>();
        for (int i = 0; i < links.Names.Length; i++)
        {
            lines.Add($"{links.Names[i]}: index=0,type=nic,model={links.Models[i]},macaddr={links.Macs[i]}");
            int peer = Array.IndexOf(links.Netdevs, links.Peers[i]);
            if (peer >= 0)
            {
                lines.Add($" \\ {DescribeNetdev(links, peer)}");
            }
        }

        lines.AddRange(Enumerable.Range(0, links.Netdevs.Length).Where(i => !links.Peers.Contains(links.Netdevs[i]))
            .Select(i => DescribeNetdev(links, i)));
        return string.Join('\n', lines);
    }

    /// <summary>The text of <c>info usernet</c>, in QEMU's layout.</summary>
    public async Task<string> DescribeConnections()
    {
        NetLinks links = await Links().ConfigureAwait(false);
        var text = new StringBuilder();
        foreach (string netdev in UserNetdevs(links).Where(links.Peers.Contains))
        {
            NetConnections connections = await vm.Ask<NetConnections>(new GetNetConnections(netdev)).ConfigureAwait(false);
            text.Append(CultureInfo.InvariantCulture, $"Hub -1 ({netdev}):\n{connections.Text}");
        }

        return text.ToString().TrimEnd('\n');
    }

    /// <summary>Forwards a port of the host.</summary>
    /// <param name="netdev">The backend; null for the first one of type user.</param>
    public async Task AddForward(string? netdev, string rule) =>
        await vm.Ask<NetCommandDone>(new AddHostForward(await UserNetdev(netdev).ConfigureAwait(false), rule)).ConfigureAwait(false);

    /// <summary>Forwards a port of the host no more.</summary>
    /// <returns>What became of it.</returns>
    public async Task<string> RemoveForward(string? netdev, string rule)
    {
        string name = await UserNetdev(netdev).ConfigureAwait(false);
        try
        {
            await vm.Ask<NetCommandDone>(new RemoveHostForward(name, rule)).ConfigureAwait(false);
            return $"host forwarding rule for {rule} removed";
        }
        catch (QapiException e) when (e.Class == QapiErrorClass.DeviceNotFound)
        {
            return $"host forwarding rule for {rule} not found";
        }
    }

    private Task<NetLinks> Links() => vm.Ask<NetLinks>(new GetNetLinks());

    private async Task<string> UserNetdev(string? netdev)
    {
        NetLinks links = await Links().ConfigureAwait(false);
        return netdev == null
            ? UserNetdevs(links).FirstOrDefault() ?? throw new QapiException("user mode network stack not in use")
            : !links.Netdevs.Contains(netdev) ? throw new QapiException($"unrecognized netdev id '{netdev}'")
            : UserNetdevs(links).Contains(netdev) ? netdev
            : throw new QapiException("invalid device specified");
    }

    private static IEnumerable<string> UserNetdevs(NetLinks links) => links.Netdevs.Where((_, i) => links.Types[i] == User);

    private static string DescribeNetdev(NetLinks links, int i) =>
        $"{links.Netdevs[i]}: index=0,type={links.Types[i]},{links.Details[i]}";

    private static RxFilterInfo FilterOf(NetLinks links, int i)
    {
        ReadOnlySpan<int> fields = links.Filters.AsSpan(i * NetLinks.FieldsOfFilter, NetLinks.FieldsOfFilter);
        return new RxFilterInfo(
            links.Names[i], fields[0] != 0, StateOf(fields[5]), StateOf(fields[4]), StateOf(fields[6]), fields[3] != 0, fields[2] != 0,
            fields[1] != 0, links.Macs[i],
            [.. Words(links.Vlans[i]).Select(v => long.Parse(v, CultureInfo.InvariantCulture))], Words(links.Unicast[i]),
            Words(links.Multicast[i]));
    }

    private static string[] Words(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private static RxState StateOf(int field) => field switch
    {
        0 => RxState.None,
        1 => RxState.Normal,
        _ => RxState.All,
    };
}
