using System.Globalization;
using System.Reflection;
using System.Text.Json.Nodes;

namespace Vmm.Management.Qapi;

/// <summary>
/// The answer to <c>query-qmp-schema</c> (QEMU, qapi/introspect.json): commands, events and their types. Names of types are no part of the
/// interface, so they are numbers, as in QEMU; only built-in types have names.
/// </summary>
public sealed class QapiSchema
{
    private sealed record Nothing;

    private sealed record Null;

    private readonly JsonArray _entries = [];
    private readonly JsonArray _types = [];
    private readonly Dictionary<Type, string> _names = [];

    private QapiSchema()
    {
    }

    /// <param name="commands">The commands, each with the types of its arguments and result; null for none.</param>
    /// <param name="events">The events, each with the type of its data; null for none.</param>
    public static JsonArray Describe(IEnumerable<QapiCommandShape> commands, IEnumerable<QapiEventShape> events)
    {
        var schema = new QapiSchema();
        foreach (QapiCommandShape command in commands)
        {
            var entry = new JsonObject
            {
                ["name"] = command.Name,
                ["ret-type"] = schema.NameOf(command.Result ?? typeof(Nothing)),
                ["meta-type"] = "command",
                ["arg-type"] = schema.NameOf(command.Arguments ?? typeof(Nothing)),
            };
            if (command.OutOfBand)
            {
                entry["allow-oob"] = true;
            }

            if (command.Features is { Length: > 0 } features)
            {
                entry["features"] = Strings(features);
            }

            schema._entries.Add(entry);
        }

        foreach (QapiEventShape shape in events)
        {
            schema._entries.Add(new JsonObject { ["name"] = shape.Name, ["meta-type"] = "event",
                ["arg-type"] = schema.NameOf(shape.Data ?? typeof(Nothing)) });
        }

        foreach (JsonNode? type in schema._types)
        {
            schema._entries.Add(type!.DeepClone());
        }

        return schema._entries;
    }

    private string NameOf(Type type)
    {
        // A client sees one integer type for all sizes.
        type = type == typeof(ulong) || type == typeof(int) ? typeof(long) : type.IsAssignableTo(typeof(JsonNode)) ? typeof(JsonNode)
            : type;
        if (_names.TryGetValue(type, out string? known))
        {
            return known;
        }

        if (BuiltIn(type) is { } builtIn)
        {
            _names[type] = builtIn.Name;
            _types.Add(new JsonObject { ["name"] = builtIn.Name, ["json-type"] = builtIn.Json, ["meta-type"] = "builtin" });
            return builtIn.Name;
        }

        if (type.IsArray)
        {
            string element = NameOf(type.GetElementType()!);

            // A type whose members have arrays of itself has named the array by now.
            if (_names.TryGetValue(type, out string? named))
            {
                return named;
            }

            string array = $"[{element}]";
            _names[type] = array;
            _types.Add(new JsonObject { ["name"] = array, ["element-type"] = element, ["meta-type"] = "array" });
            return array;
        }

        // The type gets its name before its members are described, because they may refer to it.
        string name = _names.Values.Count(n => char.IsAsciiDigit(n[0])).ToString(CultureInfo.InvariantCulture);
        _names[type] = name;
        var entry = new JsonObject { ["name"] = name };
        _types.Add(entry);
        if (type.IsEnum)
        {
            string[] values = [.. Enum.GetNames(type).Select(n => QapiJson.NameOf(type, n))];
            entry["members"] = new JsonArray([.. values.Select(v => new JsonObject { ["name"] = v })]);
            entry["meta-type"] = "enum";
            entry["values"] = Strings(values);
        }
        else if (type == typeof(StrOrNull))
        {
            entry["members"] = new JsonArray(
                new JsonObject { ["type"] = NameOf(typeof(string)) }, new JsonObject { ["type"] = NameOf(typeof(Null)) });
            entry["meta-type"] = "alternate";
        }
        else if (type.GetCustomAttribute<QapiAlternateAttribute>() is { } alternate)
        {
            entry["members"] = new JsonArray([.. alternate.Types.Select(t => new JsonObject { ["type"] = NameOf(t) })]);
            entry["meta-type"] = "alternate";
        }
        else
        {
            DescribeStruct(type, entry);
        }

        return name;
    }

    private void DescribeStruct(Type type, JsonObject entry)
    {
        var members = new JsonArray();
        QapiMember[] shapes = type == typeof(Nothing) ? [] : QapiJson.MembersOf(type);
        foreach (QapiMember shape in shapes)
        {
            var member = new JsonObject { ["name"] = shape.Name, ["type"] = NameOf(shape.Type) };
            if (shape.Optional)
            {
                member["default"] = null;
            }

            if (shape.Feature != null)
            {
                member["features"] = Strings(shape.Feature);
            }

            members.Add(member);
        }

        if (Attribute.GetCustomAttribute(type, typeof(QapiUnionAttribute)) is QapiUnionAttribute union)
        {
            Type tag = shapes.Single(m => m.Name == union.Tag).Type;
            Dictionary<string, Type> branches = QapiJson.BranchesOf(type);
            entry["tag"] = union.Tag;
            entry["variants"] = new JsonArray([.. Enum.GetNames(tag).Select(n => QapiJson.NameOf(tag, n)).Select(
                value => new JsonObject { ["case"] = value, ["type"] = NameOf(branches.GetValueOrDefault(value, typeof(Nothing))) })]);
        }

        entry["members"] = members;
        entry["meta-type"] = "object";
    }

    private static (string Name, string Json)? BuiltIn(Type type) =>
        type == typeof(string) ? ("str", "string")
        : type == typeof(bool) ? ("bool", "boolean")
        : type == typeof(long) ? ("int", "int")
        : type == typeof(double) ? ("number", "number")
        : type == typeof(Null) ? ("null", "null")
        : type == typeof(JsonNode) ? ("any", "value")
        : null;

    private static JsonArray Strings(params string[] values) => new([.. values.Select(v => JsonValue.Create(v))]);
}

/// <param name="OutOfBand">Whether it may be sent with exec-oob.</param>
public sealed record QapiCommandShape(string Name, Type? Arguments, Type? Result, bool OutOfBand, string[]? Features = null);

public sealed record QapiEventShape(string Name, Type? Data);
