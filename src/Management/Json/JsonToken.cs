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

/// <summary>A token: <paramref name="Length"/> bytes at <paramref name="Start"/> of the message's text.</summary>
internal readonly record struct JsonToken(JsonTokenKind Kind, int Start, int Length);
