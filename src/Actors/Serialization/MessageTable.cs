using System.Runtime.Serialization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Vmm.Actors.Serialization;

/// <summary>
/// A closed list of messages: each has a short manifest, and the members of its record as JSON, all of them and none null. No type name is
/// ever read; an unknown manifest is an error.
/// </summary>
/// <param name="kind">What the messages are of, for errors.</param>
/// <param name="json">The JSON form, with each of the types.</param>
/// <param name="messages">The manifests and types.</param>
public sealed class MessageTable(string kind, JsonSerializerContext json, (string Manifest, Type Type)[] messages)
{
    private readonly Dictionary<string, Type> _types = messages.ToDictionary(m => m.Manifest, m => m.Type);
    private readonly Dictionary<Type, string> _manifests = messages.ToDictionary(m => m.Type, m => m.Manifest);

    /// <exception cref="SerializationException">The object is none of the messages.</exception>
    public string ManifestOf(object message) => _manifests.TryGetValue(message.GetType(), out string? manifest) ? manifest
        : throw new SerializationException($"{message.GetType()} is no {kind} message");

    /// <summary>The members of a message as JSON.</summary>
    /// <exception cref="SerializationException">The object is none of the messages.</exception>
    public byte[] Encode(object message)
    {
        ManifestOf(message);
        return JsonSerializer.SerializeToUtf8Bytes(message, message.GetType(), json);
    }

    /// <summary>The message that <see cref="Encode"/> has written.</summary>
    /// <exception cref="SerializationException">The bytes are no message of that manifest.</exception>
    public object Decode(byte[] bytes, string manifest)
    {
        if (!_types.TryGetValue(manifest, out Type? type))
        {
            throw new SerializationException($"no {kind} message has the manifest '{manifest}'");
        }

        try
        {
            return JsonSerializer.Deserialize(bytes, type, json) ?? throw new SerializationException($"'{manifest}' is null");
        }
        catch (JsonException e)
        {
            throw new SerializationException($"'{manifest}' does not parse: {e.Message}", e);
        }
    }
}
