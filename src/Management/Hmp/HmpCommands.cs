using System.Text.Json;
using System.Text.Json.Nodes;
using Vmm.Emulation.Cpu;
using Vmm.Management.Commands;
using Vmm.Management.Qapi;
using Vmm.Management.Text;

namespace Vmm.Management.Hmp;

/// <summary>The commands of the monitor for people, except those of info and of memory.</summary>
internal static class HmpCommands
{
    public static HmpCommandTable Create(MonitorCommands commands)
    {
        var table = new HmpCommandTable();
        table.Add("help|?", "[cmd]", "show the help",
            [new("name", HmpParameterKind.Text, Optional: true), new("sub", HmpParameterKind.Text, Optional: true)],
            (arguments, _) => Task.FromResult(Help(table, arguments.TextOrNull("name"), arguments.TextOrNull("sub"))));
        table.Add(new HmpCommand("info", "[subcommand]", "show various information about the system state", [], (_, _) =>
            Task.FromResult(""))
        {
            Subcommands = HmpInfoCommands.Create(commands),
        });
        AddDevices(table, commands);
        AddBlocks(table, commands);
        AddNet(table, commands.Net);
        table.Add("object_add", "[qom-type=]type,id=str[,prop=value][,...]", "create QOM object", [new("object", HmpParameterKind.Text)],
            (arguments, _) => Silently(commands.Objects.Add(arguments.Text("object"))));
        table.Add("object_del", "id", "destroy QOM object", [new("id", HmpParameterKind.Text)],
            (arguments, _) => Silently(commands.Objects.Remove(arguments.Text("id"))));
        AddRunState(table, commands);
        AddSnapshots(table, commands.Snapshots);
        HmpMigrationCommands.Register(table, commands.Migration);
        HmpMemoryCommands.Register(table, commands);
        return table;
    }

    private static string Help(HmpCommandTable table, string? name, string? sub)
    {
        if (name == null)
        {
            return HmpMonitor.HelpOf(table, "");
        }

        if (table.Find(name) is not { } command)
        {
            throw new HmpException($"unknown command: '{name}'");
        }

        if (command.Subcommands is not { } subcommands)
        {
            return command.Describe("");
        }

        return sub == null ? HmpMonitor.HelpOf(subcommands, $"{name} ") : subcommands.Find(sub)?.Describe($"{name} ")
            ?? throw new HmpException($"unknown command: '{name} {sub}'");
    }

    private static readonly HmpParameter s_wait = new("--wait", HmpParameterKind.Flag);

    private static void AddDevices(HmpCommandTable table, MonitorCommands commands)
    {
        table.Add(
            "device_add",
            "[--wait] driver[,prop=value][,...]",
            "add device, like -device on the command line, such as cortex-a57-arm-cpu,id=core4,core-id=4 (--wait: say how it ends)",
            [s_wait, new("device", HmpParameterKind.Text)],
            (arguments, _) => commands.Devices.DeviceAdd(arguments.Text("device"), arguments.Has(s_wait.Name)),
            () => Task.FromResult<IEnumerable<string>>(
                [commands.Cpus.TypeName, .. CpuModel.All.Where(m => m.Name == "host").Select(m => m.Name + CpuCommands.Suffix)]));
        table.Add(
            "device_set",
            "[--wait] driver,prop=value[,...],admin-state=enabled|disabled",
            "enable or disable a CPU that is there, such as cortex-a57-arm-cpu,core-id=4,admin-state=disabled (--wait: say how it ends)",
            [s_wait, new("device", HmpParameterKind.Text)],
            (arguments, _) => commands.Devices.DeviceSet(arguments.Text("device"), arguments.Has(s_wait.Name)),
            () => Task.FromResult<IEnumerable<string>>(
                [commands.Cpus.TypeName, .. CpuModel.All.Where(m => m.Name == "host").Select(m => m.Name + CpuCommands.Suffix)]));
        table.Add(
            "device_del",
            "[--wait] device",
            "remove device: ask the guest to give a CPU back (--wait: say how it ends)",
            [s_wait, new("device", HmpParameterKind.Text)],
            (arguments, _) => commands.Devices.DeviceDel(arguments.Text("device"), arguments.Has(s_wait.Name)),
            async () => (await commands.Cpus.QomPaths().ConfigureAwait(false))
                .Where(p => p?.StartsWith(CpuCommands.PathOf(""), StringComparison.Ordinal) == true)
                .Select(p => p![CpuCommands.PathOf("").Length..]));
    }

    private static void AddBlocks(HmpCommandTable table, MonitorCommands commands)
    {
        table.Add(
            "balloon", "target", "request VM to change its memory allocation (in MB)", [new("target", HmpParameterKind.Text)],
            (arguments, _) => QemuNumber.TryParseSize(arguments.Text("target"), 'M', out long bytes)
                ? Silently(commands.Balloon.Set(bytes))
                : throw new HmpException($"invalid size '{UserText.Legible(arguments.Text("target"))}': give a number of MiB, or 1G"));
        table.Add(
            "block_resize", "device size", "resize a block image",
            [new("device", HmpParameterKind.Text), new("size", HmpParameterKind.Text)],
            (arguments, _) => QemuNumber.TryParseSize(arguments.Text("size"), 'M', out long bytes)
                ? Silently(commands.Blocks.Resize(new BlockResizeArguments(arguments.Text("device"), null, bytes)))
                : throw new HmpException($"invalid size '{UserText.Legible(arguments.Text("size"))}': give a number of MiB, or 10G"));
        HmpBlockCommands.Register(table, commands.Blocks);
        table.Add("commit", "device|all", "commit changes to the disk images (not supported)", [new("device", HmpParameterKind.Text)],
            (_, _) => throw new HmpException("commit is not supported: qemu-img commit does it while no VM uses the image"));
    }

    private static void AddNet(HmpCommandTable table, NetCommands net)
    {
        HmpParameter[] forward =
            [new("netdev_or_rule", HmpParameterKind.Text), new("rule", HmpParameterKind.Text, Optional: true)];
        (string? Netdev, string Rule) Forward(HmpArguments arguments) => arguments.TextOrNull("rule") is { } rule
            ? (arguments.Text("netdev_or_rule"), rule) : (null, arguments.Text("netdev_or_rule"));
        table.Add("set_link", "name on|off", "change the link status of a network adapter",
            [new("name", HmpParameterKind.Text), new("up", HmpParameterKind.Text)],
            (arguments, _) => arguments.Text("up") is "on" or "off"
                ? Silently(net.SetLink(new SetLinkArguments(arguments.Text("name"), arguments.Text("up") == "on")))
                : throw new HmpException("'up' is on or off"));
        table.Add("netdev_add", "[user|stream|dgram|socket],id=str[,prop=value][,...]", "add host network device",
            [new("netdev", HmpParameterKind.Text)], (arguments, _) => Silently(net.AddNetdev(arguments.Text("netdev"))));
        table.Add("netdev_del", "id", "remove host network device", [new("id", HmpParameterKind.Text)],
            (arguments, _) => Silently(net.RemoveNetdev(arguments.Text("id"))));
        table.Add("hostfwd_add", "[netdev_id] [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport",
            "redirect TCP or UDP connections from host to guest (requires -net user)", forward, (arguments, _) =>
        {
            (string? netdev, string rule) = Forward(arguments);
            return Silently(net.AddForward(netdev, rule));
        });
        table.Add("hostfwd_remove", "[netdev_id] [tcp|udp]:[hostaddr]:hostport", "remove host-to-guest TCP or UDP redirection", forward,
            (arguments, _) =>
            {
                (string? netdev, string rule) = Forward(arguments);
                return net.RemoveForward(netdev, rule);
            });
        table.Add("announce_self", "[interfaces] [id]", "Trigger GARP/RARP announcements",
            [new("interfaces", HmpParameterKind.Text, Optional: true), new("id", HmpParameterKind.Text, Optional: true)],
            (arguments, _) => Silently(net.Announce(
                arguments.TextOrNull("interfaces")?.Split(','), arguments.TextOrNull("id"))));
    }

    private static void AddRunState(HmpCommandTable table, MonitorCommands commands)
    {
        table.Add("stop|s", "stop emulation", _ => Silently(commands.RunState.Stop()));
        table.Add("cont|c", "resume emulation", _ => Silently(commands.RunState.Continue()));
        table.Add("system_reset", "reset the system", _ => Silently(commands.RunState.Reset()));
        table.Add("system_powerdown", "send system power down event", _ => Silently(commands.RunState.PowerDown()));
        table.Add("system_wakeup", "wakeup guest from suspend", _ => throw RunStateCommands.WakeUp());
        table.Add("nmi", "inject an NMI", _ => throw RunStateCommands.InjectNmi());
        table.Add("quit|q", "quit the emulator", _ => Silently(commands.RunState.Quit()));
        table.Add("cpu", "index", "set the default CPU", [new("index", HmpParameterKind.Expression)], async (arguments, context) =>
        {
            long index = arguments.Number("index");
            string?[] paths = await commands.Cpus.QomPaths().ConfigureAwait(false);
            if (index < 0 || index >= paths.Length || paths[index] == null)
            {
                throw new HmpException("invalid CPU index");
            }

            context.Cpu = (int)index;
            return "";
        });
        table.Add("qom-list", "path", "list QOM properties", [new("path", HmpParameterKind.Text, Optional: true)], async (arguments, _) =>
            arguments.TextOrNull("path") is { } path
                ? string.Join('\n', (await commands.Qom.List(path).ConfigureAwait(false)).Select(p => $"{p.Name} ({p.Type})"))
                : "/");
        table.Add("qom-get", "path property", "print QOM property",
            [new("path", HmpParameterKind.Text), new("property", HmpParameterKind.Text)], async (arguments, _) =>
            Json.JsonMessageWriter.Write(await commands.Qom.Get(arguments.Text("path"), arguments.Text("property")).ConfigureAwait(false),
                pretty: true).ReplaceLineEndings("\n"));
        table.Add("qom-set", "[-j] path property value", "set QOM property.\n\t\t\t-j: the value is specified in json format.",
            [
                new("-j", HmpParameterKind.Flag), new("path", HmpParameterKind.Text), new("property", HmpParameterKind.Text),
                new("value", HmpParameterKind.Rest),
            ],
            (arguments, _) => Silently(arguments.Has("-j")
                ? commands.Qom.Set(arguments.Text("path"), arguments.Text("property"), ParseJson(arguments.Text("value")))
                : commands.Qom.SetText(arguments.Text("path"), arguments.Text("property"), arguments.Text("value"))));
    }

    private static JsonNode? ParseJson(string text)
    {
        try
        {
            return JsonNode.Parse(text);
        }
        catch (JsonException)
        {
            throw new HmpException("JSON parse error, invalid value");
        }
    }

    private static void AddSnapshots(HmpCommandTable table, SnapshotCommands snapshots)
    {
        async Task<IEnumerable<string>> Tags() => (await snapshots.List().ConfigureAwait(false)).Tags;
        var tag = new HmpParameter("name", HmpParameterKind.Text);
        var compress = new HmpParameter("-z", HmpParameterKind.Flag);
        var parent = new HmpParameter("-d", HmpParameterKind.NamedText);
        table.Add(
            "savevm", "[-z] [-d parent] tag",
            "save a VM snapshot. If no tag is provided, a new snapshot is created (-z: compress RAM; -d: save what differs from that one)",
            [compress, parent, tag with { Optional = true }],
            (arguments, _) => Silently(snapshots.Save(
                arguments.TextOrNull(tag.Name), arguments.Has(compress.Name), arguments.TextOrNull(parent.Name))), Tags);
        table.Add("loadvm", "tag", "restore a VM snapshot from its tag", [tag],
            (arguments, _) => Silently(snapshots.Load(arguments.Text(tag.Name))), Tags);
        table.Add("delvm", "tag", "delete a VM snapshot from its tag", [tag],
            (arguments, _) => Silently(snapshots.Delete(arguments.Text(tag.Name))), Tags);
    }

    /// <summary>Awaits a command that prints nothing if it succeeds.</summary>
    /// <exception cref="QapiException">The command failed.</exception>
    internal static async Task<string> Silently(Task command)
    {
        await command.ConfigureAwait(false);
        return "";
    }
}
