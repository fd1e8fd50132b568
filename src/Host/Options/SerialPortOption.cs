using System.Text;
using Vmm.Emulation.Devices.Virtio.Serial;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// A port of a virtio console: <c>-device virtconsole|virtserialport,chardev=ID[,name=NAME][,nr=N][,bus=ID.0][,id=NAME]</c>, or the same as
/// a JSON object.
/// </summary>
/// <param name="IsConsole">Whether the guest has a terminal on it.</param>
/// <param name="Chardev">The character device; empty for none.</param>
/// <param name="Name">The name for the guest; empty for none.</param>
/// <param name="Number">Its place; null for the first that is free.</param>
/// <param name="Bus">The bus of the device that has it; null for the first device that has room.</param>
public sealed record SerialPortOption(string Id, bool IsConsole, string Chardev, string Name, int? Number, string? Bus)
{
    public const string Syntax = $"{Console}|{Port},chardev=ID[,name=NAME][,nr=N][,bus=ID.0]";

    private const string Console = "virtconsole";
    private const string Port = "virtserialport";
    private const int LongestName = 255;

    public static IReadOnlyList<string> Drivers => [Console, Port];

    /// <summary>The lines of <c>-device help</c>.</summary>
    public static string Describe => $"name \"{Console}\", bus virtio-serial-bus\nname \"{Port}\", bus virtio-serial-bus";

    public static bool IsDriver(string text) => DriverOf(KeyValues.ParseOrJson(text, "driver")) is Console or Port;

    /// <summary>The text of <c>-device DRIVER,help</c>; null for another driver.</summary>
    public static string? DescribeProperties(string driver) => driver is not (Console or Port) ? null
        : $"{driver} options:\n  bus=<str>\n  chardev=<str>\n  id=<str>\n  name=<str>\n  nr=<uint32>";

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static SerialPortOption Parse(string text) => Parse(KeyValues.ParseOrJson(text, "driver"));

    /// <summary>The same, of a text that has been taken apart.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static SerialPortOption Parse(IReadOnlyList<(string Key, string? Value)> pairs)
    {
        string driver = DriverOf(pairs)!;
        var option = new SerialPortOption("", driver == Console, "", "", null, null);
        foreach ((string key, string? value) in pairs.Where(p => p.Key != "driver"))
        {
            option = key switch
            {
                "id" => option with { Id = value ?? "" },
                "chardev" => option with { Chardev = value ?? "" },
                "name" when Encoding.UTF8.GetByteCount(value ?? "") <= LongestName => option with { Name = value ?? "" },
                "bus" => option with { Bus = value },
                "nr" when QemuNumber.TryParse(value, out long number) && number is >= 0 and < VirtioSerialConfig.MostPorts =>
                    option with { Number = (int)number },
                "nr" or "name" => throw new OptionException(
                    $"Property '{driver}.{key}' doesn't take value '{UserText.Legible(value ?? "")}'"),
                _ => throw new OptionException($"Property '{driver}.{UserText.Legible(key)}' not found"),
            };
        }

        return option.IsConsole || option.Number != 0 ? option : throw new OptionException(
            "Port number 0 on virtio-serial devices reserved for virtconsole devices for backward compatibility.");
    }

    /// <summary>The ports of a device among all ports and devices, with their places.</summary>
    /// <param name="devices">The consoles, each with the bus that it has and the number of its ports.</param>
    /// <exception cref="OptionException">A port has no place: one line.</exception>
    public static IReadOnlyList<SerialPortConfig> Place(
        IReadOnlyList<SerialPortOption> ports, IReadOnlyList<(string Bus, int Count)> devices, int device)
    {
        var placed = new List<(int Device, SerialPortConfig Port)>();
        foreach (SerialPortOption port in ports)
        {
            try
            {
                placed.Add(port.Place(devices, (d, n) => placed.Exists(p => p.Device == d && p.Port.Number == n)));
            }
            catch (OptionException e)
            {
                throw new OptionException($"-device {(port.IsConsole ? Console : Port)}: {e.Message}");
            }
        }

        return [.. placed.Where(p => p.Device == device).Select(p => p.Port).OrderBy(p => p.Number)];
    }

    /// <summary>The name of the bus that a console has.</summary>
    /// <param name="id">The name that the user gave the console; empty for none.</param>
    /// <param name="number">How many consoles come before it.</param>
    public static string BusOf(string id, int number) => id.Length > 0 ? $"{id}.0" : $"virtio-serial-bus.{number}";

    /// <summary>The port with its place: the console that it names, or the first that has room.</summary>
    /// <param name="devices">The consoles, each with the bus that it has and the number of its ports.</param>
    /// <param name="isUsed">Whether a console has a port of a number.</param>
    /// <exception cref="OptionException">It has no place: one line.</exception>
    public (int Device, SerialPortConfig Port) Place(IReadOnlyList<(string Bus, int Count)> devices, Func<int, int, bool> isUsed)
    {
        int[] candidates = [.. Enumerable.Range(0, devices.Count).Where(d => Bus == null || devices[d].Bus == Bus)];
        foreach (int device in candidates)
        {
            // Place 0 is for the first console.
            int first = Number ?? (IsConsole ? 0 : 1);
            int last = Math.Min(Number ?? int.MaxValue, devices[device].Count - 1);
            for (int number = first; number <= last; number++)
            {
                if (!isUsed(device, number))
                {
                    return (device, new SerialPortConfig(Id, number, Name, IsConsole, Chardev));
                }
            }
        }

        throw new OptionException(candidates.Length == 0
            ? Bus == null ? $"No 'virtio-serial-bus' bus found for device '{(IsConsole ? Console : Port)}'"
                : $"Bus '{UserText.Legible(Bus)}' not found"
            : Number is { } wanted ? $"virtio-serial-bus: Port {wanted} is in use, or there is none"
            : "virtio-serial-bus: Maximum port limit for this device reached");
    }

    /// <exception cref="OptionException">There are ports and no device to have them.</exception>
    public static void RequireConsole(IReadOnlyList<SerialPortOption> ports, IReadOnlyList<VirtioDeviceOption> devices)
    {
        if (ports.Count > 0 && devices.All(d => !d.IsConsole))
        {
            string driver = ports[0].IsConsole ? Console : Port;
            throw new OptionException($"-device {driver}: No 'virtio-serial-bus' bus found for device '{driver}'");
        }
    }

    private static string? DriverOf(IReadOnlyList<(string Key, string? Value)> pairs) => pairs.LastOrDefault(p => p.Key == "driver").Value;
}
