using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Vmm.Management.Json;

/// <summary>
/// Writes JSON in the form of QEMU's monitor, which scripts search as text: <c>{"return": {}, "id": 1}</c>. All characters but ASCII are
/// escaped. The pretty form is indented by four spaces.
/// </summary>
public static class JsonMessageWriter
{
    public static string Write(JsonNode? value, bool pretty = false)
    {
        var text = new StringBuilder();
        Append(text, value, pretty ? 0 : -1);
        return text.ToString();
    }

    // A negative depth writes everything on one line.
    private static void Append(StringBuilder text, JsonNode? value, int depth)
    {
        switch (value)
        {
            case null:
                text.Append("null");
                break;
            case JsonObject members:
                AppendAll(text, '{', '}', members, depth, (member, inner) =>
                {
                    AppendString(text, member.Key);
                    text.Append(": ");
                    Append(text, member.Value, inner);
                });
                break;
            case JsonArray elements:
                AppendAll(text, '[', ']', elements, depth, (element, inner) => Append(text, element, inner));
                break;
            default:
                AppendScalar(text, value.AsValue());
                break;
        }
    }

    private static void AppendAll<T>(StringBuilder text, char open, char close, ICollection<T> items, int depth, Action<T, int> append)
    {
        text.Append(open);
        int inner = depth < 0 ? depth : depth + 1;
        bool first = true;
        foreach (T item in items)
        {
            text.Append(first ? "" : depth < 0 ? ", " : ",");
            NewLine(text, inner);
            append(item, inner);
            first = false;
        }

        if (!first)
        {
            NewLine(text, depth);
        }

        text.Append(close);
    }

    private static void NewLine(StringBuilder text, int depth)
    {
        if (depth >= 0)
        {
            text.Append("\r\n").Append(' ', depth * 4);
        }
    }

    private static void AppendScalar(StringBuilder text, JsonValue value)
    {
        switch (value.GetValueKind())
        {
            case JsonValueKind.String:
                AppendString(text, value.GetValue<string>());
                break;
            case JsonValueKind.True:
                text.Append("true");
                break;
            case JsonValueKind.False:
                text.Append("false");
                break;
            default:
                text.Append(value.TryGetValue(out double number) && !value.TryGetValue(out long _) && !value.TryGetValue(out ulong _)
                    ? number.ToString("R", CultureInfo.InvariantCulture)
                    : value.ToJsonString());
                break;
        }
    }

    private static void AppendString(StringBuilder text, string value)
    {
        text.Append('"');
        foreach (char c in value)
        {
            switch (c)
            {
                case '"':
                    text.Append("\\\"");
                    break;
                case '\\':
                    text.Append("\\\\");
                    break;
                case '\b':
                    text.Append("\\b");
                    break;
                case '\f':
                    text.Append("\\f");
                    break;
                case '\n':
                    text.Append("\\n");
                    break;
                case '\r':
                    text.Append("\\r");
                    break;
                case '\t':
                    text.Append("\\t");
                    break;
                case >= ' ' and < (char)0x7F:
                    text.Append(c);
                    break;
                default:
                    text.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:X4}");
                    break;
            }
        }

        text.Append('"');
    }
}
