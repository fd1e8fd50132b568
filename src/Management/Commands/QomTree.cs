using System.Text;
using System.Text.Json.Nodes;
using Vmm.Actors.Protocol;
using Vmm.Emulation;
using Vmm.Emulation.Boards;

namespace Vmm.Management.Commands;

/// <summary>The machine as a tree of objects with QEMU's paths (QOM). It is built anew for each question.</summary>
internal sealed class QomTree(MonitorVm vm, CpuCommands cpus)
{
    /// <summary>Properties of a balloon.</summary>
    public const string Statistics = "guest-stats";
    public const string PollingInterval = "guest-stats-polling-interval";

    private const string Balloon = "virtio-balloon-";

    // QEMU's names (hw/virtio/virtio-balloon.c), in the order of the numbers in BalloonStatistic.
    private static readonly string[] s_statistics =
    [
        "stat-swap-in", "stat-swap-out", "stat-major-faults", "stat-minor-faults", "stat-free-memory", "stat-total-memory",
        "stat-available-memory", "stat-disk-caches", "stat-htlb-pgalloc", "stat-htlb-pgfail", "stat-oom-kills", "stat-alloc-stalls",
        "stat-async-scans", "stat-direct-scans", "stat-async-reclaims", "stat-direct-reclaims",
    ];

    /// <param name="Properties">The properties that are no children, with their values.</param>
    internal sealed record Node(string Type, List<(string Name, Node Child)> Children,
        List<(string Name, string Type, JsonNode? Value)> Properties);

    /// <summary>The object at a path; null if there is none.</summary>
    public async Task<Node?> Find(string path)
    {
        if (!path.StartsWith('/'))
        {
            return null;
        }

        Node? node = await Build().ConfigureAwait(false);
        foreach (string name in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            node = node?.Children.FirstOrDefault(c => c.Name == name).Child;
        }

        return node;
    }

    public async Task<string?> FindType(string path) => (await Find(path).ConfigureAwait(false))?.Type;

    /// <summary>The tree below a path, in the layout of QEMU's <c>info qom-tree</c>; null if there is no object at the path.</summary>
    public async Task<string?> Describe(string path)
    {
        if (await Find(path).ConfigureAwait(false) is not { } node)
        {
            return null;
        }

        var text = new StringBuilder();
        Append(text, path == "/" ? "/" : path[path.LastIndexOf('/')..], node, 0);
        return text.ToString();
    }

    private static void Append(StringBuilder text, string name, Node node, int depth)
    {
        text.Append(depth == 0 ? "" : "\n").Append(' ', depth * 2).Append(name).Append($" ({node.Type})");
        foreach ((string childName, Node child) in node.Children.OrderBy(c => c.Name, StringComparer.Ordinal))
        {
            Append(text, $"/{childName}", child, depth + 1);
        }
    }

    private async Task<Node> Build()
    {
        string?[] paths = await cpus.QomPaths().ConfigureAwait(false);
        var peripheral = new Node("container", [], []);
        var anonymous = new Node("container", [], []);
        var unattached = new Node("container", [], []);
        for (int cpu = 0; cpu < paths.Length; cpu++)
        {
            if (paths[cpu] is { } path)
            {
                string name = path[(path.LastIndexOf('/') + 1)..];
                bool plugged = path == CpuCommands.PathOf(name);
                (plugged ? peripheral : unattached).Children.Add((name, Cpu(cpu, plugged)));
            }
        }

        MachineConfig config = vm.Config;
        List<(string Name, Node Child)> children =
        [
            ("peripheral", peripheral),
            ("peripheral-anon", anonymous),
            ("unattached", unattached),
        ];
        BoardDevices devices = await vm.Ask<BoardDevices>(new GetBoardDevices()).ConfigureAwait(false);

        BalloonStatistics? statistics = devices.UserTypes.Any(t => t.StartsWith(Balloon, StringComparison.Ordinal))
            ? await vm.Ask<BalloonStatistics>(new GetBalloonStatistics()).ConfigureAwait(false) : null;
        for (int i = 0; i < devices.UserPaths.Length; i++)
        {
            string[] names = devices.UserPaths[i].Split('/');
            Node container = names[2] == "peripheral" ? peripheral : anonymous;
            container.Children.Add((names[^1], UserDevice(devices.UserTypes[i], devices.Hotplugged[i], statistics)));
        }

        // QOM numbers the objects of /machine/unattached in the order in which they are made: cold-booted CPUs come first.
        int number = config.EnabledCpus + config.DisabledCpus;
        foreach ((string type, string name) in devices.Types.Zip(devices.Names))
        {
            Node device = Device(type, hotplugged: false, []);
            if (name.Length > 0)
            {
                children.Add((name, device));
            }
            else
            {
                unattached.Children.Add(($"device[{number++}]", device));
            }
        }

        var machine = new Node(
            "virt-machine",
            [.. children.OrderBy(c => c.Name, StringComparer.Ordinal)],
            [
                ("acpi", "OnOffAuto", config.Acpi ? "on" : "off"),
                ("append", "string", config.Boot.CommandLine),
                ("dtb-randomness", "bool", config.DtbRandomness),
                ("gic-version", "string", "3"),
                ("memory", "MemorySizeConfiguration", new JsonObject { ["size"] = config.MemoryBytes }),
                ("smp", "SMPConfiguration", new JsonObject
                {
                    ["cpus"] = config.EnabledCpus,
                    ["sockets"] = config.Topology.Sockets,
                    ["clusters"] = config.Topology.Clusters,
                    ["cores"] = config.Topology.Cores,
                    ["threads"] = config.Topology.Threads,
                    ["maxcpus"] = config.PossibleCpus,
                }),
            ]);
        return new Node("container", [("machine", machine)], []);
    }

    // A virtio device on PCI is a function with the device behind it.
    private static Node UserDevice(string type, bool hotplugged, BalloonStatistics? statistics)
    {
        List<(string, string, JsonNode?)> Own() => statistics != null && type.StartsWith(Balloon, StringComparison.Ordinal)
            ? [(Statistics, "guest statistics", Told(statistics)), (PollingInterval, "int", statistics.Interval)] : [];
        Node device = Device(type, hotplugged, Own());
        if (type.StartsWith("virtio-", StringComparison.Ordinal) && type.EndsWith("-pci", StringComparison.Ordinal))
        {
            device.Children.Add(("virtio-backend", Device($"{type[..^4]}-device", hotplugged, Own())));
        }

        return device;
    }

    // What the guest has not told is the largest number.
    private static JsonObject Told(BalloonStatistics statistics) => new()
    {
        ["stats"] = new JsonObject(
            s_statistics.Zip(statistics.Values, (name, value) => KeyValuePair.Create(name, (JsonNode?)(ulong)value))),
        ["last-update"] = statistics.ToldAt,
    };

    private Node Cpu(int cpu, bool plugged)
    {
        CpuInstanceProperties at = cpus.PropertiesOf(cpu);
        return Device(cpus.TypeName, plugged,
        [
            ("socket-id", "int32", at.SocketId),
            ("cluster-id", "int32", at.ClusterId),
            ("core-id", "int32", at.CoreId),
            ("thread-id", "int32", at.ThreadId),
            ("mp-affinity", "uint64", Mpidr.FromIndex(new CpuIndex(cpu)).Affinity),
            ("midr", "uint64", vm.Config.Cpu.Midr),
            ("aarch64", "bool", true),
            ("psci-conduit", "uint32", 2),
            ("start-powered-off", "bool", cpu != 0),
        ]);
    }

    private static Node Device(string type, bool hotplugged, List<(string, string, JsonNode?)> properties) => new(
        type, [], [("realized", "bool", true), ("hotplugged", "bool", hotplugged),
            ("hotpluggable", "bool", QomTypes.Implements(type, "cpu") || QomTypes.IsPluggable(type)), .. properties]);
}
