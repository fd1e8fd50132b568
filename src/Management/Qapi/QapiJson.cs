using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Vmm.Management.Qapi;

/// <summary>
/// How C# types stand for QAPI's (QEMU, docs/devel/qapi-code-gen): a record for a struct, its members in kebab case and optional where they may be null; an
/// enum likewise; arrays; <see cref="JsonNode"/> for <c>any</c>. So what is sent and what <c>query-qmp-schema</c> says of it have one source.
/// </summary>
public static class QapiJson
{
    public static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.KebabCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower) },
    };

    /// <summary>A result as JSON; an empty object for none.</summary>
    public static JsonNode? Write(object? value) => value switch
    {
        null => new JsonObject(),
        JsonNode node => node,
        _ => JsonSerializer.SerializeToNode(value, value.GetType(), Options),
    };

    internal static string NameOf(MemberInfo member) =>
        member.GetCustomAttribute<JsonPropertyNameAttribute>()?.Name ?? JsonNamingPolicy.KebabCaseLower.ConvertName(member.Name);

    internal static string NameOf(Type enumeration, string value) =>
        enumeration.GetField(value)!.GetCustomAttribute<JsonStringEnumMemberNameAttribute>()?.Name ?? JsonNamingPolicy.KebabCaseLower.ConvertName(value);

    /// <summary>The branches of a union that have members, by the value of its tag.</summary>
    internal static Dictionary<string, Type> BranchesOf(Type type) =>
        type.GetCustomAttributes<QapiBranchAttribute>().ToDictionary(b => b.Value, b => b.Members, StringComparer.Ordinal);

    /// <summary>The members of a struct, in the order of its constructor.</summary>
    internal static QapiMember[] MembersOf(Type type)
    {
        var nullability = new NullabilityInfoContext();
        return [.. type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Select(p => new QapiMember(
            NameOf(p),
            Nullable.GetUnderlyingType(p.PropertyType) ?? p.PropertyType,
            Nullable.GetUnderlyingType(p.PropertyType) != null || nullability.Create(p).ReadState == NullabilityState.Nullable,
            p.GetCustomAttribute<QapiFeatureAttribute>()?.Feature))];
    }
}

/// <param name="Type">Without Nullable.</param>
/// <param name="Feature">A QAPI feature of the member, such as unstable.</param>
internal sealed record QapiMember(string Name, Type Type, bool Optional, string? Feature);

/// <summary>A QAPI feature, such as unstable or json-cli.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class QapiFeatureAttribute(string feature) : Attribute
{
    public string Feature { get; } = feature;
}

/// <summary>A QAPI union: the member that tells the branches apart. Branches without <see cref="QapiBranchAttribute"/> have no members.</summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class QapiUnionAttribute(string tag) : Attribute
{
    public string Tag { get; } = tag;
}

/// <summary>What a QAPI union has beside its own members when its tag has a value.</summary>
[AttributeUsage(AttributeTargets.Class, AllowMultiple = true)]
public sealed class QapiBranchAttribute(string value, Type members) : Attribute
{
    public string Value { get; } = value;

    public Type Members { get; } = members;
}
