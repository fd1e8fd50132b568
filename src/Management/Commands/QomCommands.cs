using System.Text.Json.Nodes;
using Vmm.Actors.Protocol;
using Vmm.Management.Qapi;
using Vmm.Management.Text;

namespace Vmm.Management.Commands;

public sealed record QomListArguments(string Path);

public sealed record QomGetArguments(string Path, string Property);

public sealed record QomSetArguments(string Path, string Property, JsonNode Value);

public sealed record QomListTypesArguments(string? Implements, bool? Abstract);

public sealed record ObjectPropertyInfo(string Name, string Type, string? Description, JsonNode? DefaultValue);

public sealed record ObjectTypeInfo(string Name, bool? Abstract, string? Parent);

/// <summary>Commands about QEMU's tree of objects (QOM).</summary>
public sealed class QomCommands(MonitorVm vm, CpuCommands cpus)
{
    private readonly QomTree _tree = new(vm, cpus);

    public void Register(QapiCommandTable table)
    {
        table.AddQuery<QomListArguments, ObjectPropertyInfo[]>("qom-list", arguments => List(arguments.Path));
        table.AddQuery<QomGetArguments, JsonNode?>("qom-get", arguments => Get(arguments.Path, arguments.Property));
        table.Add<QomSetArguments>("qom-set", arguments => Set(arguments.Path, arguments.Property, arguments.Value));
        table.AddQuery<QomListTypesArguments, ObjectTypeInfo[]>("qom-list-types", arguments => Task.FromResult(ListTypes(arguments)));
    }

    public async Task<ObjectPropertyInfo[]> List(string path)
    {
        QomTree.Node node = await Find(path).ConfigureAwait(false);
        return
        [
            new ObjectPropertyInfo("type", "string", null, null),
            .. node.Properties.Select(p => new ObjectPropertyInfo(p.Name, p.Type, null, null)),
            .. node.Children.Select(c => new ObjectPropertyInfo(c.Name, $"child<{c.Child.Type}>", null, null)),
        ];
    }

    public async Task<JsonNode?> Get(string path, string property)
    {
        QomTree.Node node = await Find(path).ConfigureAwait(false);
        if (property == "type")
        {
            return node.Type;
        }

        if (node.Children.Any(c => c.Name == property))
        {
            return $"{path.TrimEnd('/')}/{property}";
        }

        int index = node.Properties.FindIndex(p => p.Name == property);
        return index >= 0 ? node.Properties[index].Value : throw new QapiException($"Property '{node.Type}.{property}' not found");
    }

    /// <exception cref="QapiException">There is no such property, it cannot be set, or not to this value.</exception>
    public async Task Set(string path, string property, JsonNode? value)
    {
        QomTree.Node node = await Find(path).ConfigureAwait(false);
        RequireWritable(node, property);
        if (value is not JsonValue number || !number.TryGetValue(out long seconds))
        {
            throw new QapiException($"Invalid parameter type for '{property}', expected: integer");
        }

        await PollStatistics(seconds).ConfigureAwait(false);
    }

    /// <summary>The same, of a value as people write it.</summary>
    /// <exception cref="QapiException">As of <see cref="Set"/>.</exception>
    public async Task SetText(string path, string property, string value)
    {
        RequireWritable(await Find(path).ConfigureAwait(false), property);
        await PollStatistics(QemuNumber.TryParse(value, out long seconds) ? seconds
            : throw new QapiException($"Parameter '{property}' expects int64")).ConfigureAwait(false);
    }

    // The interval is the one property that can be set. What is behind a transport is that device's.
    private static void RequireWritable(QomTree.Node node, string property)
    {
        bool isOwn = property == "type" || node.Children.Any(c => c.Name == property) || node.Properties.Any(p => p.Name == property);
        if (property != QomTree.PollingInterval || !isOwn)
        {
            string type = node.Children.Select(c => c.Child).FirstOrDefault(c => c.Properties.Any(p => p.Name == property)
                && property == QomTree.Statistics)?.Type ?? node.Type;
            throw new QapiException($"Property '{type}.{property}' {(isOwn ? "is not writable" : "not found")}");
        }
    }

    private async Task PollStatistics(long seconds)
    {
        if (seconds is < 0 or > uint.MaxValue)
        {
            throw new QapiException(seconds < 0 ? "timer value must be greater than zero" : "timer value is too big");
        }

        _ = await vm.Ask<BalloonStatistics>(new PollBalloonStatistics(seconds)).ConfigureAwait(false);
    }

    /// <summary>The tree below a path as text.</summary>
    public async Task<string> Describe(string path) => await _tree.Describe(path).ConfigureAwait(false) ?? throw NotFound(path);

    private static ObjectTypeInfo[] ListTypes(QomListTypesArguments arguments) =>
        [.. QomTypes.Of(arguments.Implements, arguments.Abstract == true)
            .Select(t => new ObjectTypeInfo(t.Name, t.Abstract ? true : null, t.Parent))];

    private async Task<QomTree.Node> Find(string path) => await _tree.Find(path).ConfigureAwait(false) ?? throw NotFound(path);

    private static QapiException NotFound(string path) => new($"Device '{path}' not found", QapiErrorClass.DeviceNotFound);
}
