using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Rest;
using Vmm.Host.Options;

namespace Vmm.Host.Commands;

/// <summary><c>vmm fleet …</c>: the VMs of a fleet, by REST of one of its nodes.</summary>
public static class FleetCommand
{
    private const string DefaultServer = "http://127.0.0.1:7480";
    private const string ServerVariable = "VMM_FLEET_SERVER";

    private static readonly Option<string> s_server = new("--server")
    {
        Description = $"where a node serves REST ({ServerVariable}, {DefaultServer})", Recursive = true,
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable(ServerVariable) ?? DefaultServer,
    };

    private static readonly Option<bool> s_json = new("--json") { Description = "print JSON", Recursive = true };

    // What takes a VM and at most one word, of which a number or a name is meant.
    private static readonly (string Name, VmAction Action, string? Number, string? Text, string Help)[] s_actions =
    [
        ("start", VmAction.Start, null, null, "Start a VM"),
        ("resize", VmAction.Resize, "cpus", null, "Plug or unplug CPUs until so many are enabled"),
        ("plug", VmAction.Plug, "cpu", null, "Plug a CPU"),
        ("unplug", VmAction.Unplug, "cpu", null, "Ask the guest to give a CPU back"),
        ("enable", VmAction.Enable, "cpu", null, "Enable a CPU that is part of the machine"),
        ("disable", VmAction.Disable, "cpu", null, "Disable a CPU, which stays part of the machine"),
        ("migrate", VmAction.Migrate, null, "node", "Move a VM to another node"),
        ("snapshot", VmAction.Save, null, "tag", "Save a VM, which runs on"),
        ("restore", VmAction.Restore, null, "tag", "Make a VM what was saved"),
        ("rm", VmAction.Delete, null, null, "Stop a VM and remove all of it"),
    ];

    public static Command Create()
    {
        var fleet = new Command("fleet", "The VMs of a fleet, by REST of a node");
        AddOptions(fleet);
        var list = new Command("list", "List the VMs");
        list.SetAction(parsed => RunAsync(parsed, async connection =>
        {
            VmRecord[] vms = await connection.ListAsync().ConfigureAwait(false);
            return Print(parsed, vms, RestJson.Default.VmRecordArray, () => Table(vms));
        }));
        fleet.Add(list);
        fleet.Add(FleetNodesCommand.CreateList());
        fleet.Add(CreateCreate());
        fleet.Add(CreateStop());
        foreach ((string name, VmAction action, string? number, string? text, string help) in s_actions)
        {
            fleet.Add(CreateAction(name, action, number, text, help));
        }

        foreach (Command command in FleetAccountCommands.Create())
        {
            fleet.Add(command);
        }

        fleet.Add(FleetCaCommand.Create());
        fleet.Add(FleetSimulateCommand.Create());
        return fleet;
    }

    /// <summary>Adds the options of a client of REST.</summary>
    internal static void AddOptions(Command command)
    {
        foreach (Option option in (Option[])[s_server, .. FleetAccess.Options, s_json])
        {
            command.Add(option);
        }
    }

    internal static Argument<string> Vm() => new("vm") { Description = "the VM's name" };

    private static Command CreateAction(string name, VmAction action, string? number, string? text, string help)
    {
        Argument<string> vm = Vm();
        var command = new Command(name, help) { vm };
        Argument<int>? numbered = number == null ? null : new Argument<int>(number);
        Argument<string>? named = text == null ? null : new Argument<string>(text);
        foreach (Argument argument in new Argument?[] { numbered, named }.OfType<Argument>())
        {
            command.Add(argument);
        }

        command.SetAction(parsed => DoAsync(
            parsed, parsed.GetValue(vm)!,
            new NewOperation(
                action, numbered == null ? 0 : parsed.GetValue(numbered), named == null ? "" : parsed.GetValue(named)!)));
        return command;
    }

    private static Command CreateStop()
    {
        Argument<string> vm = Vm();
        var seconds = new Option<int>("--power-down")
        {
            Description = "how many seconds the guest may take to power off; 0 for not asking it", DefaultValueFactory = _ => 60,
        };
        var command = new Command("stop", "Stop a VM: by its power button, then by force") { vm, seconds };
        command.SetAction(parsed => DoAsync(
            parsed, parsed.GetValue(vm)!, new NewOperation(VmAction.Stop, parsed.GetValue(seconds))));
        return command;
    }

    private static Command CreateCreate()
    {
        Argument<string> vm = Vm();
        Option<string> Text(string name, string help, string value = "") =>
            new(name) { Description = help, DefaultValueFactory = _ => value };
        Option<string> kernel = Text("--kernel", "arm64 Linux image to boot");
        Option<string> initrd = Text("--initrd", "initial RAM disk");
        Option<string> append = Text("--append", "kernel command line");
        Option<string> firmware = Text("--bios", "firmware, such as QEMU_EFI.fd");
        Option<string> cpu = Text("--cpu", "CPU model", "max");
        Option<string> memory = Text("--memory", "size of RAM, in MiB without a suffix", "512M");
        var cpus = new Option<int>("--cpus") { Description = "CPUs at power-on", DefaultValueFactory = _ => 1 };
        var most = new Option<int?>("--max-cpus") { Description = "possible CPUs (as many as --cpus)" };
        var disks = new Option<string[]>("--disk") { Description = "a disk image, qcow2 or raw by its name's end; may be repeated" };
        var policy = new Option<FailurePolicy>("--policy") { Description = "what is done when it fails: Restart, Restore or Leave" };
        var labels = new Option<string[]>("--label") { Description = "KEY=VALUE that its node has; may be repeated" };
        Option<string> snapshot = Text("--snapshot", "the folder of another VM's snapshot, from which the first start goes on");
        Option<string> group = Text("--group", "VMs of one group are never placed at the same node");
        var node = new Option<string?>("--node") { Description = "where it is to be (the placement chooses)" };
        var command = new Command("create", "Make a VM, which is not started")
        {
            vm, kernel, initrd, append, firmware, cpu, memory, cpus, most, disks, policy, snapshot, labels, group, node,
        };
        command.SetAction(parsed => RunAsync(parsed, async connection =>
        {
            string PathOf(Option<string> option) => parsed.GetValue(option) is { Length: > 0 } path ? Path.GetFullPath(path) : "";
            var spec = new VmSpec(
                parsed.GetValue(cpus), parsed.GetValue(most) ?? parsed.GetValue(cpus), (long)MemoryOption.Parse(parsed.GetValue(memory)!),
                parsed.GetValue(cpu)!, PathOf(kernel), PathOf(initrd), parsed.GetValue(append)!, PathOf(firmware),
                [.. (parsed.GetValue(disks) ?? []).Select(Path.GetFullPath)],
                Placement: new PlacementSpec(parsed.GetValue(labels) ?? [], parsed.GetValue(group)!),
                Snapshot: PathOf(snapshot));
            VmRecord record = await connection.CreateAsync(
                new NewVm(parsed.GetValue(vm)!, spec, null, parsed.GetValue(node), parsed.GetValue(policy))).ConfigureAwait(false);
            return Print(parsed, record, RestJson.Default.VmRecord, () => $"{record.Vm} is at {record.Node}");
        }));
        return command;
    }

    private static Task<int> DoAsync(ParseResult parsed, string vm, NewOperation asked) => RunAsync(parsed, async connection =>
    {
        VmOperation end = await connection.DoAsync(vm, asked).ConfigureAwait(false);
        Print(parsed, end, RestJson.Default.VmOperation, () =>
            end.Outcome == RequestOutcome.Done && end.Detail.Length == 0 ? "done" : $"{Word(end.Outcome)}: {end.Detail}");
        return end.Outcome switch
        {
            RequestOutcome.Done => ExitCode.Success,
            RequestOutcome.Refused => ExitCode.Refused,
            RequestOutcome.TimedOut => ExitCode.TimedOut,
            RequestOutcome.Cancelled => ExitCode.Cancelled,
            _ => ExitCode.BadInput,
        };
    });

    /// <summary>Runs a client of REST; what is wrong is one line.</summary>
    internal static async Task<int> RunAsync(ParseResult parsed, Func<FleetConnection, Task<int>> act)
    {
        try
        {
            using var connection = new FleetConnection(parsed.GetValue(s_server)!, FleetAccess.Of(parsed));
            return await act(connection).ConfigureAwait(false);
        }
        catch (Exception e) when (e is FleetException or OptionException)
        {
            return await Complaint.Write(e.Message).ConfigureAwait(false);
        }
    }

    internal static bool IsJson(ParseResult parsed) => parsed.GetValue(s_json);

    internal static int Print<T>(ParseResult parsed, T value, JsonTypeInfo<T> type, Func<string> text)
    {
        System.Console.WriteLine(IsJson(parsed) ? JsonSerializer.Serialize(value, type) : text());
        return ExitCode.Success;
    }

    private static string Word(RequestOutcome outcome) => outcome switch
    {
        RequestOutcome.Done => "done",
        RequestOutcome.Refused => "refused",
        RequestOutcome.TimedOut => "timed out",
        RequestOutcome.Cancelled => "cancelled",
        RequestOutcome.Rejected => "rejected",
        _ => "failed",
    };

    private static string Table(VmRecord[] vms) => Table(
    [
        ["NAME", "NODE", "STATE", "CPUS", "MEMORY", "OWNER", "DETAIL"],
        .. vms.Select(vm => (string[])
        [
            vm.Vm, vm.Node, vm.State.ToString(), string.Create(CultureInfo.InvariantCulture, $"{vm.EnabledCpus}/{vm.Spec.MaxCpus}"),
            string.Create(CultureInfo.InvariantCulture, $"{vm.Spec.MemoryBytes >> 20}M"), vm.Owner, vm.Detail,
        ]),
    ]);

    /// <summary>Columns as wide as they need to be.</summary>
    internal static string Table(string[][] rows)
    {
        int[] widths = [.. Enumerable.Range(0, rows[0].Length).Select(column => rows.Max(row => row[column].Length))];
        return string.Join('\n', rows.Select(row =>
            string.Join("  ", row.Select((text, column) => text.PadRight(widths[column]))).TrimEnd()));
    }
}
