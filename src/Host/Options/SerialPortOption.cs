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
    public static SerialPortOption Parse(string text)
    {
        IReadOnlyList<(string Key, string? Value)> pairs = KeyValues.ParseOrJson(text, "driver");
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
            string driver = port.IsConsole ? Console : Port;
            int[] candidates = [.. Enumerable.Range(0, devices.Count).Where(d => port.Bus == null || devices[d].Bus == port.Bus)];
            (int Device, int Number)? place = candidates.Select(d => (d, Free(placed, d, devices[d].Count, port)))
                .Where(c => c.Item2 != null).Select(c => ((int, int)?)(c.d, c.Item2!.Value)).FirstOrDefault();
            if (place is not { } found)
            {
                throw new OptionException(candidates.Length == 0
                    ? port.Bus == null ? $"-device {driver}: No 'virtio-serial-bus' bus found for device '{driver}'"
                        : $"-device {driver}: Bus '{UserText.Legible(port.Bus)}' not found"
                    : port.Number is { } number ? $"-device {driver}: virtio-serial-bus: Port {number} is in use, or there is none"
                    : $"-device {driver}: virtio-serial-bus: Maximum port limit for this device reached");
            }

            placed.Add((found.Device, new SerialPortConfig(port.Id, found.Number, port.Name, port.IsConsole, port.Chardev)));
        }

        return [.. placed.Where(p => p.Device == device).Select(p => p.Port).OrderBy(p => p.Number)];
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

    // Place 0 is for the first console.
    private static int? Free(List<(int Device, SerialPortConfig Port)> placed, int device, int count, SerialPortOption port)
    {
        bool IsFree(int number) => !placed.Exists(p => p.Device == device && p.Port.Number == number);
        IEnumerable<int> choices = port.Number is { } number ? [number] : Enumerable.Range(port.IsConsole ? 0 : 1, count);
        return choices.Where(n => n < count && IsFree(n)).Select(n => (int?)n).FirstOrDefault();
    }

    private static string? DriverOf(IReadOnlyList<(string Key, string? Value)> pairs) => pairs.LastOrDefault(p => p.Key == "driver").Value;
}
