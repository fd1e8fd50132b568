using System.Text.Json.Nodes;
using Vmm.Management.Commands;
using Vmm.Management.Qapi;

namespace Vmm.Management.Tests.Qmp;

/// <summary>
/// What <c>query-qmp-schema</c> says of commands and events that QEMU 10.0.2 has too is what QEMU says of them, type by type.
/// </summary>
public sealed class QmpSchemaTests
{
    // Commands and events that QEMU 10.0.2 has not.
    private static readonly string[] s_own = ["device_set", "query-cpus-power-state", VmEvents.HotplugOutcomeName,
        MigrationCommands.QueryPassesName];

    [Fact]
    public async Task Schema_of_what_QEMU_has_too_is_QEMUs()
    {
        await using var vm = new FakeVm();
        JsonArray ours = (JsonArray)(await vm.Qmp.Find("query-qmp-schema")!.Run([]))!;
        JsonArray theirs =
            JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(AppContext.BaseDirectory, "Qmp", "schema.json")))!.AsArray();
        Dictionary<string, JsonNode> ourTypes = ByName(ours);
        Dictionary<string, JsonNode> theirTypes = ByName(theirs);
        var differences = new List<string>();
        foreach (JsonNode entry in ours.Where(e => e!["meta-type"]!.ToString() is "command" or "event")!)
        {
            string name = entry["name"]!.ToString();
            if (!theirTypes.TryGetValue(name, out JsonNode? other))
            {
                if (!s_own.Contains(name))
                {
                    differences.Add($"{name}: not in schema-names.txt");
                }

                continue;
            }

            if (Expand(other, theirTypes, []) is var expected && Expand(entry, ourTypes, []) is var actual && expected != actual)
            {
                int at = 0;
                while (at < Math.Min(expected.Length, actual.Length) && expected[at] == actual[at])
                {
                    at++;
                }

                differences.Add($"{name}: QEMU …{Cut(expected, at)}\n    Vmm …{Cut(actual, at)}");
            }
        }

        Assert.True(differences.Count == 0, string.Join("\n", differences));
    }

    [Fact]
    public async Task Schema_has_each_command_once_and_all_types_that_it_names()
    {
        await using var vm = new FakeVm();
        JsonArray schema = (JsonArray)(await vm.Qmp.Find("query-qmp-schema")!.Run([]))!;
        Dictionary<string, JsonNode> types = ByName(schema);
        Assert.Equal(schema.Count, types.Count);
        foreach (QapiCommand command in vm.Qmp.Commands)
        {
            Expand(types[command.Shape.Name], types, []);
        }
    }

    private static string Cut(string text, int at) => text[Math.Max(0, at - 40)..Math.Min(text.Length, at + 120)];

    private static Dictionary<string, JsonNode> ByName(JsonArray schema) => schema.ToDictionary(e => e!["name"]!.ToString(), e => e!);

    // A type as text, without the names of types, its members in order.
    private static string Expand(JsonNode entry, Dictionary<string, JsonNode> types, HashSet<string> open)
    {
        string name = entry["name"]!.ToString();
        string kind = entry["meta-type"]!.ToString();
        if (!open.Add(name))
        {
            return "(itself)";
        }

        string TypeOf(string key, JsonNode of) => Expand(types[of[key]!.ToString()], types, open);
        string List(string key, Func<JsonNode, string> text) =>
            entry[key] is JsonArray all ? string.Join(", ", all.Select(m => text(m!)).Order(StringComparer.Ordinal)) : "";
        string Member(JsonNode m)
        {
            string optional = m.AsObject().ContainsKey("default") ? "?" : "";
            return $"{m["name"]}{optional}: {TypeOf("type", m)}{m["features"]?.ToJsonString()}";
        }

        string features = entry["features"] is JsonArray f ? $" features {f.ToJsonString()}" : "";
        string expanded = kind switch
        {
            "command" => $"{TypeOf("arg-type", entry)} -> {TypeOf("ret-type", entry)} oob "
                + $"{entry["allow-oob"]?.GetValue<bool>() ?? false}{features}",
            "event" => TypeOf("arg-type", entry),
            "array" => $"[{TypeOf("element-type", entry)}]",
            "builtin" => $"{name}:{entry["json-type"]}",
            "enum" => $"enum({List("members", m => m["name"]!.ToString())}; {List("values", v => v.ToString())})",
            _ => $"{{{List("members", Member)}"
                + (entry["tag"] is { } tag ? $" by {tag}: {List("variants", v => $"{v["case"]}: {TypeOf("type", v)}")}" : "") + "}",
        };
        open.Remove(name);
        return expanded;
    }
}
