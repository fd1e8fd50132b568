using System.Text.Json.Nodes;
using Vmm.Actors.Protocol;
using Vmm.Emulation;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Management.Qapi;
using Vmm.Management.Text;

namespace Vmm.Management.Commands;

/// <summary>
/// The arguments that every device has. A CPU also has members for its place in the topology, which the schema does not name.
/// </summary>
public sealed record DeviceAddArguments(string Driver, string? Bus, string? Id);

public sealed record DeviceDelArguments(string Id);

/// <summary>The arguments of <c>device_set</c>: a device and its new state. A CPU also has members for its place in the topology.</summary>
public sealed record DeviceSetArguments(string Driver, string? Id, string AdminState);

public sealed record DeviceListPropertiesArguments(string Typename);

/// <summary>Commands that plug and unplug CPUs and PCI devices, and enable and disable CPUs.</summary>
public sealed class DeviceCommands(MonitorVm vm, CpuCommands cpus)
{
    private static readonly IReadOnlyList<string> s_levels = CpuTopology.LocationMembers;

    public void Register(QapiCommandTable table)
    {
        table.AddOpen<DeviceAddArguments>("device_add", DeviceAdd, features: ["json-cli", "json-cli-hotplug"]);
        table.AddOpen<DeviceSetArguments>("device_set", given => DeviceSet(given, textual: false, wait: false));
        table.Add<DeviceDelArguments>("device_del", arguments => DeviceDel(arguments.Id));
        table.AddQuery<DeviceListPropertiesArguments,
        ObjectPropertyInfo[]>("device-list-properties", arguments => Task.FromResult(ListProperties(arguments.Typename)));
    }

    private static ObjectPropertyInfo[] ListProperties(string type)
    {
        if (!QomTypes.Exists(type))
        {
            throw new QapiException($"Device '{type}' not found", QapiErrorClass.DeviceNotFound);
        }

        return IsCpuType(type, out _)
            ? [.. s_levels.Select(l => new ObjectPropertyInfo(l, "int32", null, JsonValue.Create(-1)))]
            : QomTypes.IsDevice(type) ? [] : throw new QapiException("Parameter 'typename' expects a non-abstract device type");
    }

    private static bool IsCpuType(string driver, out CpuModel model)
    {
        model = driver.EndsWith(CpuCommands.Suffix, StringComparison.Ordinal) ? CpuModel.Find(driver[..^CpuCommands.Suffix.Length])!
            : null!;
        return model != null;
    }

    /// <summary>
    /// Plugs a CPU. Returns when the request is accepted; an event tells how it ends.
    /// </summary>
    /// <param name="given">Driver, id, and the place in the topology, whose levels are numbers.</param>
    /// <exception cref="QapiException">The request is rejected, in QEMU's words.</exception>
    public Task DeviceAdd(JsonObject given) => DeviceAdd(given, textual: false, wait: false);

    /// <summary>Plugs a CPU by text in the form of HMP and of the command line: <c>driver,property=value,…</c>.</summary>
    /// <param name="wait">Whether to wait for the end of the request, and to return it as text.</param>
    public Task<string> DeviceAdd(string text, bool wait) => DeviceAdd(ReadText(text), textual: true, wait);

    /// <summary>
    /// Enables or disables a CPU that is there: <c>driver,core-id=n,admin-state=enabled|disabled</c> (RFC V6 of QEMU's series). An id may
    /// stand instead of the place.
    /// </summary>
    /// <param name="wait">As for <see cref="DeviceAdd(string, bool)"/>.</param>
    /// <exception cref="QapiException">The request is rejected, in the series' words.</exception>
    public Task<string> DeviceSet(string text, bool wait) => DeviceSet(ReadText(text), textual: true, wait);

    private static JsonObject ReadText(string text)
    {
        string[] parts = text.Split(',');
        var given = new JsonObject();
        for (int i = 0; i < parts.Length; i++)
        {
            string[] pair = parts[i].Split('=', 2);
            (string key, string value) = pair.Length == 2 ? (pair[0], pair[1]) : i == 0 ? ("driver", pair[0]) : (pair[0], "on");
            given[key] = value;
        }

        return given;
    }

    private Task<string> DeviceAdd(JsonObject given, bool textual, bool wait)
    {
        if (given["driver"] is JsonValue d && d.TryGetValue(out string? named)
            && QomTypes.PciDrivers.Concat(QomTypes.Ports).Contains(QomTypes.Resolve(named)))
        {
            return Submit(ReadDevice(given), wait);
        }

        (_, string? id, Dictionary<string, int> location, _) = Read(given, textual, adminState: false);
        int cpu = Locate(location);
        return Submit(new PlugVcpu(id ?? $"cpu-{cpu}", cpu), wait);
    }

    // The members in the form of the command line, where a switch is on or off.
    private static PlugDevice ReadDevice(JsonObject given) => new(
        [.. given.Select(g => g.Key)],
        [.. given.Select(g => g.Value switch
        {
            JsonValue v when v.TryGetValue(out string? text) => g.Key == "driver" ? QomTypes.Resolve(text) : text,
            JsonValue v when v.TryGetValue(out bool on) => on ? "on" : "off",
            JsonValue v => v.ToJsonString(),
            _ => throw new QapiException($"Invalid parameter type for '{g.Key}', expected: string"),
        })]);

    private async Task<string> DeviceSet(JsonObject given, bool textual, bool wait)
    {
        (string driver, string? id, Dictionary<string, int> location, string? state) = Read(given, textual, adminState: true);
        int cpu = location.Count > 0 || id == null ? Locate(location)
            : Array.IndexOf((await vm.Ask<CpusPowerState>(new GetCpusPowerState()).ConfigureAwait(false)).Ids, id);
        if (cpu < 0)
        {
            throw new QapiException($"No device found for driver '{driver}'", QapiErrorClass.DeviceNotFound);
        }

        bool enabled = state switch
        {
            "enable" or "enabled" => true,
            "disable" or "disabled" => false,
            null => throw new QapiException($"no device state change specified for device {id ?? driver}"),
            _ => throw new QapiException($"unrecognized specified state *{state}* for device {id ?? driver}"),
        };
        return await Submit(new SetVcpuAdmin(cpu, enabled), wait).ConfigureAwait(false);
    }

    // Sends a request and returns the text to show: nothing, unless the end of the request is waited for.
    private Task<string> Submit(IProtocolMessage request, bool wait) => wait ? Outcome(request) : Acceptance(request);

    private async Task<string> Acceptance(IProtocolMessage request)
    {
        await vm.Ask<HotplugAccepted>(request).ConfigureAwait(false);
        return "";
    }

    private async Task<string> Outcome(IProtocolMessage request)
    {
        HotplugOutcome outcome = await vm.AskOutcome(request).ConfigureAwait(false);
        string said = OutcomeText.Of(outcome);
        return outcome.Kind == HotplugOutcomeKind.Done ? said : throw new QapiException(said);
    }

    private (string Driver, string? Id, Dictionary<string, int> Location, string? AdminState) Read(JsonObject given, bool textual,
        bool adminState)
    {
        string driver = given["driver"] is JsonValue d && d.TryGetValue(out string? name) ? name
            : throw new QapiException("Parameter 'driver' is missing");
        if (!IsCpuType(driver, out CpuModel model))
        {
            throw new QapiException(QomTypes.Exists(driver) ? "Parameter 'driver' expects a pluggable device type"
                : $"'{driver}' is not a valid device model name");
        }

        // The model `host` stands for the machine's own model.
        if (model.Name != vm.Config.Cpu.Name && model.Name != "host")
        {
            throw new QapiException($"Invalid CPU type, expected cpu type: '{cpus.TypeName}'");
        }

        string? id = null;
        string? state = null;
        var location = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach ((string key, JsonNode? value) in given)
        {
            switch (key)
            {
                case "driver":
                    break;
                case "id":
                    id = value is JsonValue v && v.TryGetValue(out string? text) && text.Length > 0 ? text
                        : throw new QapiException("Parameter 'id' expects an identifier");
                    break;
                case "admin-state" when adminState:
                    state = value is JsonValue s && s.TryGetValue(out string? wanted) ? wanted
                        : throw new QapiException("Invalid parameter type for 'admin-state', expected: string");
                    break;
                case "bus":
                    throw new QapiException($"Device '{driver}' can't go on a bus");
                default:
                    location[key] = s_levels.Contains(key) ? ReadLevel(key, value, textual)
                        : throw new QapiException($"Property '{driver}.{key}' not found");
                    break;
            }
        }

        return (driver, id, location, state);
    }

    private static int ReadLevel(string key, JsonNode? value, bool textual)
    {
        if (!textual)
        {
            return value is JsonValue number && number.TryGetValue(out long level) && level is >= int.MinValue and <= int.MaxValue
                ? (int)level
                : throw new QapiException($"Invalid parameter type for '{key}', expected: integer");
        }

        return QemuNumber.TryParse(value!.GetValue<string>(), out long parsed) && parsed is >= int.MinValue and <= int.MaxValue
            ? (int)parsed
            : throw new QapiException($"Parameter '{key}' expects a number");
    }

    private int Locate(Dictionary<string, int> given) =>
        vm.Config.Topology.Find(given, out int cpu) is { } wrong ? throw new QapiException(wrong) : cpu;

    /// <summary>
    /// Asks the guest to give a CPU or a PCI device back. Returns when the request is accepted; an event tells how it ends.
    /// </summary>
    /// <param name="id">The id or the QOM path.</param>
    /// <param name="wait">As for <see cref="DeviceAdd(string, bool)"/>.</param>
    /// <exception cref="QapiException">The request is rejected, in QEMU's words.</exception>
    public async Task<string> DeviceDel(string id, bool wait = false)
    {
        BoardDevices devices = await vm.Ask<BoardDevices>(new GetBoardDevices()).ConfigureAwait(false);
        if (devices.UserPaths.Any(path => path == id || path == CpuCommands.PathOf(id)))
        {
            return await Submit(new UnplugDevice(id), wait).ConfigureAwait(false);
        }

        if (id.StartsWith('/'))
        {
            string[] names = await cpus.Names().ConfigureAwait(false);
            int cpu = Array.IndexOf(await cpus.QomPaths().ConfigureAwait(false), id);
            id = cpu >= 0 ? names[cpu] : throw await NoCpu(id).ConfigureAwait(false);
        }

        return await Submit(new UnplugVcpu(id), wait).ConfigureAwait(false);
    }

    private async Task<QapiException> NoCpu(string path) => await new QomTree(vm, cpus).FindType(path).ConfigureAwait(false) is { } type
        ? new QapiException(QomTypes.IsDevice(type) ? $"Device '{type}' can not be hotplugged on this machine" : $"{path} is not a device")
        : new QapiException($"Device '{path}' not found", QapiErrorClass.DeviceNotFound);
}
