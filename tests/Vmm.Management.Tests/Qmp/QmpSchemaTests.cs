using System.Text.Json.Nodes;
using Vmm.Management.Commands;
using Vmm.Management.Qapi;

namespace Vmm.Management.Tests.Qmp;

/// <summary>
/// What <c>query-qmp-schema</c> says of commands and events that QEMU 10.0.2 has too is what QEMU says of them, type by type.
/// </summary>
public sealed class QmpSchemaTests
{
    // Commands whose types have members, branches and values for what is not supported, which ours leave out.
    private static readonly string[] s_narrower = ["blockdev-add", "query-block", "query-blockstats", "query-named-block-nodes"];

    // Commands and events that QEMU 10.0.2 has not.
    private static readonly string[] s_own = ["device_set", "query-cpus-power-state", VmEvents.HotplugOutcomeName,
        MigrationCommands.QueryPassesName, CpuCommands.QueryTimesName];

    // QEMU's have the members of each type of backend and object.
    private static readonly string[] s_open = ["netdev_add", "object-add"];

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
                if (!s_own.Contains(name) && !s_open.Contains(name))
                {
                    differences.Add($"{name}: not in schema-names.txt");
                }

                continue;
            }

            if (s_narrower.Contains(name))
            {
                foreach (string key in (string[])["arg-type", "ret-type"])
                {
                    if (Beyond(theirTypes[other[key]!.ToString()], ourTypes[entry[key]!.ToString()],
                        theirTypes, ourTypes, [], name) is { } beyond)
                    {
                        differences.Add(beyond);
                    }
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

    // What of our type is not in theirs, or of their type must be in ours and is not; null for nothing.
    private static string? Beyond(
        JsonNode theirs, JsonNode ours, Dictionary<string, JsonNode> theirTypes, Dictionary<string, JsonNode> ourTypes,
        HashSet<string> open, string path)
    {
        string kind = ours["meta-type"]!.ToString();
        if (!open.Add(ours["name"]!.ToString()))
        {
            return null;
        }

        string? Inner(string theirType, string ourType, string at) =>
            Beyond(theirTypes[theirType], ourTypes[ourType], theirTypes, ourTypes, open, at);
        JsonNode[] Of(JsonNode type, string list) => type[list] is JsonArray all ? [.. all.Select(m => m!)] : [];
        string? beyond = kind != theirs["meta-type"]!.ToString() ? $"{path}: {kind}, and {theirs["meta-type"]} in QEMU" : null;
        switch (beyond == null ? kind : "")
        {
            case "builtin":
                beyond = ours["json-type"]!.ToString() == theirs["json-type"]!.ToString() ? null : $"{path}: {ours["json-type"]}";
                break;
            case "array":
                beyond = Inner(theirs["element-type"]!.ToString(), ours["element-type"]!.ToString(), path + "[]");
                break;
            case "enum":
                beyond = Of(ours, "values").Select(v => v.ToString()).Except(Of(theirs, "values").Select(v => v.ToString()))
                    .Select(v => $"{path}: value {v}").FirstOrDefault();
                break;
            case "alternate":
                beyond = Of(ours, "members").Select(m => ourTypes[m["type"]!.ToString()]["meta-type"]!.ToString())
                    .Except(Of(theirs, "members").Select(m => theirTypes[m["type"]!.ToString()]["meta-type"]!.ToString()))
                    .Select(k => $"{path}: {k}").FirstOrDefault();
                break;
            case "object":
                foreach (JsonNode member in Of(ours, "members"))
                {
                    string name = member["name"]!.ToString();
                    JsonNode? other = Of(theirs, "members").FirstOrDefault(m => m["name"]!.ToString() == name);
                    beyond ??= other == null || other.AsObject().ContainsKey("default") != member.AsObject().ContainsKey("default")
                        ? $"{path}.{name}: {(other == null ? "not in QEMU" : "optional in one alone")}"
                        : Inner(other["type"]!.ToString(), member["type"]!.ToString(), $"{path}.{name}");
                }

                beyond ??= Of(theirs, "members").Where(m => !m.AsObject().ContainsKey("default")).Select(m => m["name"]!.ToString())
                    .Except(Of(ours, "members").Select(m => m["name"]!.ToString())).Select(n => $"{path}.{n}: missing").FirstOrDefault();
                foreach (JsonNode variant in Of(ours, "variants"))
                {
                    string name = variant["case"]!.ToString();
                    JsonNode? other = Of(theirs, "variants").FirstOrDefault(v => v["case"]!.ToString() == name);
                    beyond ??= other == null ? $"{path} by {name}: not in QEMU"
                        : Inner(other["type"]!.ToString(), variant["type"]!.ToString(), $"{path} by {name}");
                }

                break;
        }

        open.Remove(ours["name"]!.ToString());
        return beyond;
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
