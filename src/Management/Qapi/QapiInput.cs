using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Vmm.Management.Qapi;

/// <summary>
/// Converts the arguments that a client sends into the record that a command takes. Errors are those of QEMU's qapi/qobject-input-visitor.
/// </summary>
public static class QapiInput
{
    /// <exception cref="QapiException">A member is missing, unknown, or of another type.</exception>
    public static T Read<T>(JsonObject arguments) => (T)ReadStruct(typeof(T), arguments, "");

    private static object ReadStruct(Type type, JsonObject given, string prefix)
    {
        QapiMember[] members = QapiJson.MembersOf(type);
        object?[] values = new object?[members.Length];
        for (int i = 0; i < members.Length; i++)
        {
            string name = prefix + members[i].Name;
            if (given.TryGetPropertyValue(members[i].Name, out JsonNode? value))
            {
                values[i] = ReadValue(members[i].Type, value, name);
            }
            else if (!members[i].Optional)
            {
                throw new QapiException($"Parameter '{name}' is missing");
            }
        }

        // The members of a branch of a union are checked but not kept: a command that needs them reads them from the JSON itself.
        string[] branch = type.GetCustomAttribute<QapiUnionAttribute>() is { } union ? ReadBranch(type, union.Tag, given, prefix) : [];
        foreach ((string key, _) in given)
        {
            if (!members.Any(m => m.Name == key) && !branch.Contains(key))
            {
                throw new QapiException($"Parameter '{prefix}{key}' is unexpected");
            }
        }

        return Activator.CreateInstance(type, values)!;
    }

    private static string[] ReadBranch(Type type, string tag, JsonObject given, string prefix)
    {
        if (!QapiJson.BranchesOf(type).TryGetValue(given[tag]!.GetValue<string>(), out Type? branch))
        {
            return [];
        }

        QapiMember[] members = QapiJson.MembersOf(branch);
        foreach (QapiMember member in members)
        {
            string name = prefix + member.Name;
            if (given.TryGetPropertyValue(member.Name, out JsonNode? value))
            {
                ReadValue(member.Type, value, name);
            }
            else if (!member.Optional)
            {
                throw new QapiException($"Parameter '{name}' is missing");
            }
        }

        // A branch may be a union itself.
        string[] inner = branch.GetCustomAttribute<QapiUnionAttribute>() is { } union ? ReadBranch(branch, union.Tag, given, prefix) : [];
        return [.. members.Select(m => m.Name), .. inner];
    }

    private static object? ReadValue(Type type, JsonNode? value, string name)
    {
        if (type == typeof(JsonNode))
        {
            return value?.DeepClone();
        }

        if (type == typeof(string))
        {
            return Text(value) ?? throw WrongType(name, "string");
        }

        if (type == typeof(StrOrNull))
        {
            return new StrOrNull(value == null ? null : Text(value) ?? throw WrongType(name, "StrOrNull"));
        }

        if (type == typeof(bool))
        {
            return value?.GetValueKind() is JsonValueKind.True or JsonValueKind.False ? value.GetValue<bool>()
                : throw WrongType(name, "boolean");
        }

        if (type == typeof(long))
        {
            return value is JsonValue number && number.TryGetValue(out long integer) ? integer : throw WrongType(name, "integer");
        }

        if (type == typeof(ulong))
        {
            return value is JsonValue number && number.TryGetValue(out ulong positive) ? positive
                : value is JsonValue signed && signed.TryGetValue(out long negative) ? unchecked((ulong)negative)
                : throw new QapiException($"Parameter '{name}' expects uint64");
        }

        if (type.IsEnum)
        {
            string text = Text(value) ?? throw WrongType(name, "string");
            return Enum.GetNames(type).FirstOrDefault(n => QapiJson.NameOf(type, n) == text) is { } found
                ? Enum.Parse(type, found)
                : throw new QapiException($"Parameter '{name[(name.LastIndexOf('.') + 1)..]}' does not accept value '{text}'");
        }

        if (type.IsArray)
        {
            JsonArray elements = value as JsonArray ?? throw WrongType(name, "array");
            var result = Array.CreateInstance(type.GetElementType()!, elements.Count);
            for (int i = 0; i < elements.Count; i++)
            {
                result.SetValue(ReadValue(type.GetElementType()!, elements[i], $"{name}[{i}]"), i);
            }

            return result;
        }

        return ReadStruct(type, value as JsonObject ?? throw WrongType(name, "object"), $"{name}.");
    }

    private static string? Text(JsonNode? value) => value?.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : null;

    private static QapiException WrongType(string name, string expected) =>
        new($"Invalid parameter type for '{name}', expected: {expected}");
}
