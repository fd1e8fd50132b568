using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Vmm.Management.Json;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// Splits the value of an option as QEMU does: <c>key=value,key=value</c>. A comma within a value is written twice, and the first key may
/// be left out.
/// </summary>
public static class KeyValues
{
    /// <summary>The pairs in their order. The value is null for a key without one.</summary>
    /// <param name="impliedKey">The key of a first member without a key, such as <c>type</c> for <c>-machine</c>; null if it must have
    /// one.</param>
    /// <exception cref="OptionException">A key is empty.</exception>
    public static IReadOnlyList<(string Key, string? Value)> Parse(string text, string? impliedKey)
    {
        var pairs = new List<(string, string?)>();
        foreach (string member in Split(text))
        {
            int equals = member.IndexOf('=', StringComparison.Ordinal);
            (string Key, string? Value) pair = equals >= 0 ? (member[..equals], member[(equals + 1)..])
                : pairs.Count == 0 && impliedKey != null ? (impliedKey, member)
                : (member, null);
            pairs.Add(pair.Key.Length > 0 ? pair : throw new OptionException("a parameter has no name"));
        }

        return pairs;
    }

    /// <summary>
    /// The pairs of an option that also takes a JSON object (<c>json-cli</c> in QEMU's schema). Members of the object become text, and
    /// booleans on and off.
    /// </summary>
    /// <exception cref="OptionException">A key is empty, or the text is no JSON object.</exception>
    public static IReadOnlyList<(string Key, string? Value)> ParseOrJson(string text, string? impliedKey)
    {
        if (!text.StartsWith('{'))
        {
            return Parse(text, impliedKey);
        }

        return [.. Flat("", ReadObject(text))];
    }

    /// <exception cref="OptionException">The text is no JSON object.</exception>
    public static JsonObject ReadObject(string text)
    {
        var reader = new JsonMessageReader();
        (JsonNode? Message, JsonMessageException? Error)[] read = [.. reader.Feed(Encoding.UTF8.GetBytes(text))];
        return read is [(JsonObject members, null)] && !reader.HasPart ? members
            : throw new OptionException(Array.Find(read, r => r.Error != null).Error?.Message
                ?? (read.Length > 0 ? "JSON parse error, stray text" : "JSON parse error, premature EOI"));
    }

    // An object within an object, or within an array, is the same as names with dots (QEMU, util/qdict, qdict_flatten).
    private static IEnumerable<(string Key, string? Value)> Flat(string prefix, JsonObject members) => members.SelectMany(m =>
        m.Value switch
        {
            JsonObject inner => Flat($"{prefix}{m.Key}.", inner),
            JsonArray { Count: > 0 } items when items.All(item => item is JsonObject) =>
                items.SelectMany((item, at) => Flat($"{prefix}{m.Key}.{at}.", (JsonObject)item!)),
            _ => [(prefix + m.Key, TextOf(m.Key, m.Value))],
        });

    private static string TextOf(string key, JsonNode? value) => value?.GetValueKind() switch
    {
        JsonValueKind.String => value.GetValue<string>(),
        JsonValueKind.Number => value.ToJsonString(),
        JsonValueKind.True => "on",
        JsonValueKind.False => "off",
        _ => throw new OptionException($"Invalid parameter type for '{UserText.Legible(key)}'"),
    };

    /// <exception cref="OptionException">The value is neither on nor off.</exception>
    public static bool Switch(string key, string? value) => value switch
    {
        "on" or "yes" or "true" or "y" or null => true,
        "off" or "no" or "false" or "n" => false,
        _ => throw new OptionException($"Parameter '{key}' expects 'on' or 'off'"),
    };

    /// <summary>QEMU's rule for the names of objects and devices.</summary>
    public static bool IsIdentifier([NotNullWhen(true)] string? text) =>
        text is { Length: > 0 } && char.IsAsciiLetter(text[0]) && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_');

    /// <summary>An identifier.</summary>
    /// <exception cref="OptionException">It is none.</exception>
    public static string Identifier(string key, string? value) => IsIdentifier(value) ? value
        : throw new OptionException(
            $"Parameter '{key}' expects an identifier: letters, digits, '-', '.', '_', starting with a letter");

    // Splits at single commas. Two commas are one that belongs to the member.
    private static List<string> Split(string text)
    {
        var members = new List<string>();
        var member = new StringBuilder();
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] != ',')
            {
                member.Append(text[i]);
            }
            else if (i + 1 < text.Length && text[i + 1] == ',')
            {
                member.Append(',');
                i++;
            }
            else
            {
                members.Add(member.ToString());
                member.Clear();
            }
        }

        members.Add(member.ToString());
        return members;
    }
}
