using System.Globalization;
using System.Text.Json.Nodes;
using Vmm.Actors.Protocol;
using Vmm.Emulation;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Machine;
using Vmm.Host.Monitor.Qapi;
using Vmm.Host.Monitor.Qmp;

namespace Vmm.Host.Monitor.Commands;

/// <summary>What every device has; a CPU's place in the topology comes beside it.</summary>
public sealed record DeviceAddArguments(string Driver, string? Bus, string? Id);

public sealed record DeviceDelArguments(string Id);

public sealed record DeviceListPropertiesArguments(string Typename);

/// <summary>Devices that come and go: CPUs.</summary>
public sealed class DeviceCommands(MonitorVm vm, CpuCommands cpus)
{
    private static readonly string[] s_levels = ["socket-id", "cluster-id", "core-id", "thread-id"];

    public void Register(QmpCommandTable table)
    {
        table.AddOpen<DeviceAddArguments>("device_add", DeviceAdd, features: ["json-cli", "json-cli-hotplug"]);
        table.Add<DeviceDelArguments>("device_del", arguments => DeviceDel(arguments.Id));
        table.AddQuery<DeviceListPropertiesArguments, ObjectPropertyInfo[]>("device-list-properties", arguments => Task.FromResult(ListProperties(arguments.Typename)));
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
        model = driver.EndsWith(CpuCommands.Suffix, StringComparison.Ordinal) ? CpuModel.Find(driver[..^CpuCommands.Suffix.Length])! : null!;
        return model != null;
    }

    /// <summary>Plugs a CPU: driver, id and its place, as strings or numbers. Returns when the request is accepted; how it ends, an event tells.</summary>
    /// <param name="given">Numbers are numbers (QMP) or text (HMP).</param>
    /// <exception cref="QapiException">It cannot be, in QEMU's words.</exception>
    public Task DeviceAdd(JsonObject given) => DeviceAdd(given, textual: false);

    /// <summary><c>driver,property=value,…</c>, as HMP and the command line have it.</summary>
    public Task DeviceAdd(string text)
    {
        string[] parts = text.Split(',');
        var given = new JsonObject();
        for (int i = 0; i < parts.Length; i++)
        {
            string[] pair = parts[i].Split('=', 2);
            (string key, string value) = pair.Length == 2 ? (pair[0], pair[1]) : i == 0 ? ("driver", pair[0]) : (pair[0], "on");
            given[key] = value;
        }

        return DeviceAdd(given, textual: true);
    }

    private async Task DeviceAdd(JsonObject given, bool textual)
    {
        string driver = given["driver"] is JsonValue d && d.TryGetValue(out string? name) ? name : throw new QapiException("Parameter 'driver' is missing");
        if (!IsCpuType(driver, out CpuModel model))
        {
            throw new QapiException(QomTypes.Exists(driver) ? "Parameter 'driver' expects a pluggable device type" : $"'{driver}' is not a valid device model name");
        }

        // `host` stands for the machine's own model, whatever it is.
        if (model.Name != vm.Config.Cpu.Name && model.Name != "host")
        {
            throw new QapiException($"Invalid CPU type, expected cpu type: '{cpus.TypeName}'");
        }

        string? id = null;
        var location = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach ((string key, JsonNode? value) in given)
        {
            switch (key)
            {
                case "driver":
                    break;
                case "id":
                    id = value is JsonValue v && v.TryGetValue(out string? text) && text.Length > 0 ? text : throw new QapiException("Parameter 'id' expects an identifier");
                    break;
                case "bus":
                    throw new QapiException($"Device '{driver}' can't go on a bus");
                default:
                    location[key] = s_levels.Contains(key) ? ReadLevel(key, value, textual) : throw new QapiException($"Property '{driver}.{key}' not found");
                    break;
            }
        }

        int cpu = Locate(location);
        await vm.Ask<HotplugAccepted>(new PlugVcpu(id ?? $"cpu-{cpu}", cpu)).ConfigureAwait(false);
    }

    private static int ReadLevel(string key, JsonNode? value, bool textual)
    {
        if (!textual)
        {
            return value is JsonValue number && number.TryGetValue(out long level) && level is >= int.MinValue and <= int.MaxValue
                ? (int)level
                : throw new QapiException($"Invalid parameter type for '{key}', expected: integer");
        }

        return int.TryParse(value!.GetValue<string>(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int parsed)
            ? parsed
            : throw new QapiException($"Parameter '{key}' expects a number");
    }

    // QEMU wants every level that has more than one member; with one CPU per core, `core-id` alone may number all CPUs.
    private int Locate(Dictionary<string, int> given)
    {
        CpuTopology t = vm.Config.Topology;
        int[] counts = [t.Sockets, t.Clusters, t.Cores, t.Threads];
        int[] location = new int[counts.Length];
        for (int i = 0; i < counts.Length; i++)
        {
            if (given.TryGetValue(s_levels[i], out int value))
            {
                location[i] = value >= 0 && value < counts[i]
                    ? value
                    : throw new QapiException($"Invalid {s_levels[i]} {value} specified, correct range 0:{counts[i] - 1}");
            }
            else if (counts[i] > 1)
            {
                throw new QapiException($"{s_levels[i]} is not set");
            }
        }

        return t.IndexOf(new CpuLocation(location[0], location[1], location[2], location[3])).Value;
    }

    /// <summary>Asks the guest to give a CPU back, by its id or QOM path. Returns when the request is accepted; how it ends, an event tells.</summary>
    /// <exception cref="QapiException">It cannot be, in QEMU's words.</exception>
    public async Task DeviceDel(string id)
    {
        if (id.StartsWith('/'))
        {
            string[] names = await cpus.Names().ConfigureAwait(false);
            int cpu = Array.IndexOf(await cpus.QomPaths().ConfigureAwait(false), id);
            id = cpu >= 0 ? names[cpu] : throw await NoCpu(id).ConfigureAwait(false);
        }

        await vm.Ask<HotplugAccepted>(new UnplugVcpu(id)).ConfigureAwait(false);
    }

    private async Task<QapiException> NoCpu(string path) => await new QomTree(vm, cpus).FindType(path).ConfigureAwait(false) is { } type
        ? new QapiException(QomTypes.IsDevice(type) ? $"Device '{type}' can not be hotplugged on this machine" : $"{path} is not a device")
        : new QapiException($"Device '{path}' not found", QapiErrorClass.DeviceNotFound);
}
