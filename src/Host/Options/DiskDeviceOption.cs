using System.Numerics;
using Vmm.Emulation.Block;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Block;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>A disk's device: <c>-device virtio-blk-device,drive=NAME[,serial=…]…</c>, or the same as a JSON object.</summary>
public sealed record DiskDeviceOption
{
    public const string Driver = "virtio-blk-device";

    public const string Syntax = $"{Driver},drive=NAME[,id=NAME][,serial=TEXT][,num-queues=N]…";

    // What a property does to the device.
    private static readonly Dictionary<string, Func<string, string?, VirtioBlkConfig, VirtioBlkConfig>> s_properties = new()
    {
        ["serial"] = (_, v, c) => c with { Serial = v ?? "" },
        ["num-queues"] = (k, v, c) => c with { Queues = Number(k, v, 1, VirtioDevice.MaxQueues) },
        ["queue-size"] = (k, v, c) => c with { QueueSize = PowerOfTwo(k, v, 4, VirtioDevice.MaxQueueSize) },
        ["logical_block_size"] = (k, v, c) => c with { LogicalBlockSize = PowerOfTwo(k, v, 512, 2 << 20) },
        ["physical_block_size"] = (k, v, c) => c with { PhysicalBlockSize = PowerOfTwo(k, v, 512, 2 << 20) },
        ["min_io_size"] = (k, v, c) => c with { MinimumIoSize = Number(k, v, 0, 2 << 20) },
        ["opt_io_size"] = (k, v, c) => c with { OptimalIoSize = Number(k, v, 0, 2 << 20) },
        ["config-wce"] = (k, v, c) => c with { ConfigurableWriteCache = KeyValues.Switch(k, v) },
        ["discard"] = (k, v, c) => c with { Discard = KeyValues.Switch(k, v) },
        ["write-zeroes"] = (k, v, c) => c with { WriteZeroes = KeyValues.Switch(k, v) },
        ["rerror"] = (k, v, c) => c with { ReadError = DiskOption.PolicyOf(k, v) ?? c.ReadError },
        ["werror"] = (k, v, c) => c with { WriteError = DiskOption.PolicyOf(k, v) ?? c.WriteError },
        ["packed"] = (k, v, c) => Ring(c, VirtioFeatures.PackedRings, KeyValues.Switch(k, v)),
        ["event_idx"] = (k, v, c) => Ring(c, VirtioFeatures.EventIndex, KeyValues.Switch(k, v)),
        ["indirect_desc"] = (k, v, c) => Ring(c, VirtioFeatures.IndirectDescriptors, KeyValues.Switch(k, v)),
    };

    /// <summary>The text of <c>-device virtio-blk-device,help</c>.</summary>
    public static string DescribeProperties =>
        $"{Driver} options:\n" + string.Join('\n', s_properties.Keys.Append("drive").Append("id").Order(StringComparer.Ordinal)
            .Select(p => $"  {p}=<str>"));

    /// <summary><c>id=</c>; empty for none.</summary>
    public required string Id { get; init; }

    /// <summary><c>drive=</c>: the name of a drive or node.</summary>
    public required string Drive { get; init; }

    /// <summary>The properties, in their order.</summary>
    public IReadOnlyList<(string Key, string? Value)> Properties { get; init; } = [];

    public static bool IsDriver(string text) =>
        KeyValues.ParseOrJson(text, "driver").LastOrDefault(p => p.Key == "driver").Value == Driver;

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static DiskDeviceOption Parse(string text)
    {
        IReadOnlyList<(string Key, string? Value)> pairs = KeyValues.ParseOrJson(text, "driver");
        (string Key, string? Value)[] properties = [.. pairs.Where(p => p.Key is not ("driver" or "id" or "drive"))];
        if (Array.Find(properties, p => !s_properties.ContainsKey(p.Key)).Key is { } unknown)
        {
            throw new OptionException($"Property '{Driver}.{UserText.Legible(unknown)}' not found");
        }

        return new DiskDeviceOption
        {
            Id = pairs.LastOrDefault(p => p.Key == "id").Value ?? "",
            Drive = pairs.LastOrDefault(p => p.Key == "drive").Value ?? throw new OptionException("drive property not set"),
            Properties = properties,
        };
    }

    /// <summary>The device of a disk.</summary>
    /// <exception cref="OptionException">The properties do not fit together.</exception>
    public VirtioBlkConfig On(BlockBackend disk, DiskOption image)
    {
        var config = new VirtioBlkConfig(Id, disk);
        config = config with { ReadError = image.ReadError ?? config.ReadError, WriteError = image.WriteError ?? config.WriteError };
        foreach ((string key, string? value) in Properties)
        {
            config = s_properties[key](key, value, config);
        }

        return config.PhysicalBlockSize >= config.LogicalBlockSize ? config
            : config with { PhysicalBlockSize = config.LogicalBlockSize };
    }

    private static VirtioBlkConfig Ring(VirtioBlkConfig config, VirtioFeatures feature, bool has) =>
        config with { Rings = has ? config.Rings | feature : config.Rings & ~feature };

    private static int Number(string key, string? value, int least, int most) =>
        value != null && QemuNumber.TryParseSize(value, 'B', out long number) && number >= least && number <= most ? (int)number
            : throw new OptionException($"Property '{Driver}.{key}' doesn't take value '{UserText.Legible(value ?? "")}': "
                + $"{least} to {most} is valid");

    private static int PowerOfTwo(string key, string? value, int least, int most) =>
        Number(key, value, least, most) is var number && BitOperations.IsPow2(number) ? number
            : throw new OptionException($"Property '{Driver}.{key}' doesn't take value '{number}', it's not a power of 2");
}
