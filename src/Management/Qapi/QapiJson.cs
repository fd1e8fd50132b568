using System.Collections.Concurrent;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Vmm.Management.Qapi;

/// <summary>
/// How C# types stand for those of QAPI (QEMU, docs/devel/qapi-code-gen). A record is a struct whose members are in kebab case, and
/// optional if they may be null. An enum is an enum, an array an array, and <see cref="JsonNode"/> is <c>any</c>. The JSON of an answer and
/// the schema of <c>query-qmp-schema</c> both come from these types.
/// </summary>
public static class QapiJson
{
    private static readonly ConcurrentDictionary<Type, QapiMember[]> s_members = new();
    private static readonly ConcurrentDictionary<Enum, string> s_values = new();

    /// <summary>Writes a result as JSON; null becomes an empty object.</summary>
    public static JsonNode? Write(object? value) => value == null ? new JsonObject() : WriteValue(value);

    // Values are written by reflection, as arguments are read. With System.Text.Json's serializer the runtime would compile some two
    // hundred methods for the first event of a plug.
    private static JsonNode? WriteValue(object value)
    {
        switch (value)
        {
            case JsonNode node:
                return node;
            case string text:
                return text;
            case bool flag:
                return flag;
            case long number:
                return number;
            case ulong number:
                return number;
            case double number:
                return number;
            case Enum one:
                return s_values.GetOrAdd(one, static e => NameOf(e.GetType(), e.ToString()));
            case Array elements:
                var array = new JsonArray();
                foreach (object? element in elements)
                {
                    array.Add(element == null ? null : WriteValue(element));
                }

                return array;
            case IConvertible:
                throw new NotSupportedException($"{value.GetType()} stands for no type of QAPI");
            default:
                var members = new JsonObject();
                foreach (QapiMember member in MembersOf(value.GetType()))
                {
                    if (member.Property.GetValue(value) is { } given)
                    {
                        members.Add(member.Name, WriteValue(given));
                    }
                }

                return members;
        }
    }

    internal static string NameOf(MemberInfo member) =>
        member.GetCustomAttribute<JsonPropertyNameAttribute>()?.Name ?? JsonNamingPolicy.KebabCaseLower.ConvertName(member.Name);

    internal static string NameOf(Type enumeration, string value) =>
        enumeration.GetField(value)!.GetCustomAttribute<JsonStringEnumMemberNameAttribute>()?.Name
            ?? JsonNamingPolicy.KebabCaseLower.ConvertName(value);

    /// <summary>The branches of a union that have members of their own, by the value of the tag.</summary>
    internal static Dictionary<string, Type> BranchesOf(Type type) =>
        type.GetCustomAttributes<QapiBranchAttribute>().ToDictionary(b => b.Value, b => b.Members, StringComparer.Ordinal);

    /// <summary>The members of a struct, in the order of its constructor.</summary>
    internal static QapiMember[] MembersOf(Type type) => s_members.GetOrAdd(type, static t =>
    {
        var nullability = new NullabilityInfoContext();
        return [.. t.GetProperties(BindingFlags.Public | BindingFlags.Instance).Select(p => new QapiMember(
            p,
            NameOf(p),
            Nullable.GetUnderlyingType(p.PropertyType) ?? p.PropertyType,
            Nullable.GetUnderlyingType(p.PropertyType) != null || nullability.Create(p).ReadState == NullabilityState.Nullable,
            p.GetCustomAttribute<QapiFeatureAttribute>()?.Feature))];
    });
}

/// <summary>QAPI's alternate of the same name: a text, or JSON's null.</summary>
public sealed record StrOrNull(string? Text);

/// <param name="Type">The type; of a nullable one, the type within.</param>
/// <param name="Feature">A QAPI feature of the member, such as unstable; null for none.</param>
internal sealed record QapiMember(PropertyInfo Property, string Name, Type Type, bool Optional, string? Feature);

/// <summary>A QAPI feature, such as unstable or json-cli.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class QapiFeatureAttribute(string feature) : Attribute
{
    public string Feature { get; } = feature;
}

/// <summary>
/// Makes a record a QAPI union, and names the member whose value chooses the branch. A branch without <see cref="QapiBranchAttribute"/> has
/// no members of its own.
/// </summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class QapiUnionAttribute(string tag) : Attribute
{
    public string Tag { get; } = tag;
}

/// <summary>The members that a QAPI union has in one branch, beside its own.</summary>
[AttributeUsage(AttributeTargets.Class, AllowMultiple = true)]
public sealed class QapiBranchAttribute(string value, Type members) : Attribute
{
    public string Value { get; } = value;

    public Type Members { get; } = members;
}

/// <summary>Makes a type a QAPI alternate: a value of one of these types, which its JSON tells apart.</summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class QapiAlternateAttribute(params Type[] types) : Attribute
{
    public Type[] Types => types;
}
