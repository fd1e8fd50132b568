using System.Text.Json.Nodes;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

public sealed record QomListArguments(string Path);

public sealed record QomGetArguments(string Path, string Property);

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

    /// <summary>The tree below a path as text.</summary>
    public async Task<string> Describe(string path) => await _tree.Describe(path).ConfigureAwait(false) ?? throw NotFound(path);

    private static ObjectTypeInfo[] ListTypes(QomListTypesArguments arguments) =>
        [.. QomTypes.Of(arguments.Implements, arguments.Abstract == true)
            .Select(t => new ObjectTypeInfo(t.Name, t.Abstract ? true : null, t.Parent))];

    private async Task<QomTree.Node> Find(string path) => await _tree.Find(path).ConfigureAwait(false) ?? throw NotFound(path);

    private static QapiException NotFound(string path) => new($"Device '{path}' not found", QapiErrorClass.DeviceNotFound);
}
