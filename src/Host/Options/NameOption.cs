namespace Vmm.Host.Options;

/// <summary>The options <c>-name</c> and <c>-uuid</c>.</summary>
public static class NameOption
{
    public const string Syntax = "[guest=]NAME[,debug-threads=on|off]";

    /// <summary>The name; null if the option has no name.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static string? Parse(string text)
    {
        string? name = null;
        foreach ((string key, string? value) in KeyValues.Parse(text, "guest"))
        {
            switch (key)
            {
                case "guest":
                    name = value ?? "";
                    break;
                case "debug-threads":
                    // Threads have names whatever the value is.
                    KeyValues.Switch(key, value);
                    break;
                case "process":
                    throw new OptionException("process is not supported: the process is called as it was started");
                default:
                    throw new OptionException($"Invalid parameter '{key}'");
            }
        }

        return name;
    }

    /// <exception cref="OptionException">The text is no UUID.</exception>
    public static Guid ParseUuid(string text) =>
        Guid.TryParseExact(text, "D", out Guid uuid) ? uuid : throw new OptionException("failed to parse UUID string: wrong format");
}
