using Vmm.Actors.Hotplug;
using Vmm.Actors.Protocol;
using Vmm.Emulation;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// A CPU that is plugged from power-on, at a place that <c>-smp maxcpus=</c> leaves free: <c>-device
/// MODEL-arm-cpu[,id=NAME][,socket-id=n]…[,core-id=n]…</c>, or the same as a JSON object.
/// </summary>
/// <param name="Location">The members of the place, by name.</param>
public sealed record CpuDeviceOption(string Driver, string? Id, IReadOnlyDictionary<string, int> Location)
{
    public const string Syntax = "MODEL-arm-cpu[,id=NAME][,socket-id=n][,cluster-id=n][,core-id=n][,thread-id=n], also as a JSON object";

    /// <summary>The text of <c>-device help</c>.</summary>
    public static string Describe =>
        "CPU devices:\n" + string.Join('\n', CpuModel.All.Select(m => $"name \"{m.Name}{CpuOption.DeviceSuffix}\""));

    /// <summary>The text of <c>-device MODEL-arm-cpu,help</c>.</summary>
    public static string DescribeProperties(string driver) =>
        $"{UserText.Legible(driver)} options:\n  id=<str>\n" + string.Join('\n', CpuTopology.LocationMembers.Select(m => $"  {m}=<int32>"));

    public static bool IsCpu(string driver) =>
        driver.EndsWith(CpuOption.DeviceSuffix, StringComparison.Ordinal)
            && CpuModel.Find(driver[..^CpuOption.DeviceSuffix.Length]) != null;

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static CpuDeviceOption Parse(string text)
    {
        IReadOnlyList<(string Key, string? Value)> pairs = KeyValues.ParseOrJson(text, "driver");
        string driver = pairs.LastOrDefault(p => p.Key == "driver").Value ?? throw new OptionException("Parameter 'driver' is missing");
        if (!IsCpu(driver))
        {
            throw new OptionException($"'{UserText.Legible(driver)}' is not a valid device model name; -device help lists those there are");
        }

        string? id = null;
        var location = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach ((string key, string? value) in pairs.Where(p => p.Key != "driver"))
        {
            if (key == "id")
            {
                id = value ?? "";
            }
            else if (CpuTopology.LocationMembers.Contains(key))
            {
                location[key] = QemuNumber.TryParse(value, out long number) && number is >= int.MinValue and <= int.MaxValue
                    ? (int)number
                    : throw new OptionException($"Parameter '{key}' expects a number");
            }
            else
            {
                throw new OptionException($"Property '{driver}.{UserText.Legible(key)}' not found");
            }
        }

        return new CpuDeviceOption(driver, id, location);
    }

    /// <summary>Finds the CPU numbers of these devices.</summary>
    /// <param name="config">The machine without the devices.</param>
    /// <exception cref="OptionException">A device cannot be at its place: one line.</exception>
    public static IReadOnlyList<PluggedCpu> Place(IReadOnlyList<CpuDeviceOption> devices, MachineConfig config)
    {
        if (devices.Count > 0 && !config.Acpi)
        {
            throw new OptionException("-device: CPU hotplug is not supported without ACPI");
        }

        var plugged = new List<PluggedCpu>();
        PowerOnCpus cpus = PowerOnCpus.Of(config);
        HotplugState state = HotplugState.Empty;
        foreach (CpuDeviceOption device in devices)
        {
            string model = device.Driver[..^CpuOption.DeviceSuffix.Length];
            string? wrong = model != config.Cpu.Name && model != "host"
                ? $"Invalid CPU type, expected cpu type: '{config.Cpu.Name}{CpuOption.DeviceSuffix}'" : null;
            int cpu = -1;
            wrong ??= config.Topology.Find(device.Location, out cpu);
            var plug = new PlugVcpu(device.Id ?? $"cpu-{cpu}", cpu);
            wrong ??= state.RefusePlug(plug, cpus)?.Reason;
            if (wrong != null)
            {
                throw new OptionException($"-device {device.Driver}: {wrong}");
            }

            state = state.Apply(new PlugStarted(plug.Id, cpu, 0));
            plugged.Add(new PluggedCpu(plug.Id, new CpuIndex(cpu)));
        }

        return plugged;
    }
}
