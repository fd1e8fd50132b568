using Vmm.Host.Migration;

namespace Vmm.Host.Options;

/// <summary>The option <c>-incoming</c>: where a migration comes from.</summary>
public static class IncomingOption
{
    /// <summary>A monitor will say where it comes from (<c>migrate-incoming</c>).</summary>
    public const string Defer = "defer";

    public const string Syntax = $"{Defer}, {MigrationUri.Syntax}";

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static string Parse(string text)
    {
        if (text.StartsWith('{'))
        {
            throw new OptionException($"not supported: a channel as JSON; there are {Syntax}");
        }

        try
        {
            _ = text == Defer ? null : MigrationUri.Parse(text);
            return text;
        }
        catch (FormatException e)
        {
            throw new OptionException(e.Message);
        }
    }
}
