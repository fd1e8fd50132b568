namespace Vmm.Management.Json;

internal enum JsonTokenKind
{
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    Colon,
    Comma,
    Integer,
    Float,
    Keyword,
    String,
}

/// <summary>A token of a message: its bytes are <paramref name="Length"/> at <paramref name="Start"/> of the message's text.</summary>
internal readonly record struct JsonToken(JsonTokenKind Kind, int Start, int Length);
