using Serilog;
using Serilog.Core;
using Serilog.Events;
using Vmm.Host.Options;
using Vmm.Management.Text;

namespace Vmm.Host.Logging;

/// <summary>The option <c>--log LEVEL[,FILE]</c>: the level of the program's log, and its file; stderr without one.</summary>
public static class LogOption
{
    public const string Default = "warning";

    private const string Template = "{Timestamp:HH:mm:ss.fff} {Level:u3} {Message:lj}{NewLine}{Exception}";

    // The terminal is in raw mode while a VM runs on it, and a line needs a carriage return.
    private const string RawTemplate = "{Timestamp:HH:mm:ss.fff} {Level:u3} {Message:lj}\r{NewLine}{Exception}";

    private static readonly string[] s_levels = [.. Enum.GetNames<LogEventLevel>().Select(n => n.ToLowerInvariant())];

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static Logger Create(string option)
    {
        string[] parts = option.Split(',', 2);
        if (!s_levels.Contains(parts[0]))
        {
            throw new OptionException($"unknown log level '{UserText.Legible(parts[0])}'; there are {string.Join(", ", s_levels)}");
        }

        var level = Enum.Parse<LogEventLevel>(parts[0], ignoreCase: true);

        LoggerConfiguration configuration = new LoggerConfiguration().MinimumLevel.Is(level);
        if (parts.Length == 1)
        {
            return configuration.WriteTo.Console(
                outputTemplate: System.Console.IsErrorRedirected ? Template : RawTemplate,
                formatProvider: System.Globalization.CultureInfo.InvariantCulture,
                standardErrorFromLevel: LogEventLevel.Verbose).CreateLogger();
        }

        try
        {
            // The file is opened once here, because the sink reports to nobody that it cannot write to its file.
            using (File.Open(parts[1], FileMode.Append, FileAccess.Write, FileShare.ReadWrite))
            {
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new OptionException($"cannot write the log '{UserText.Legible(parts[1])}': {SystemError.Describe(e, parts[1])}");
        }

        return configuration.WriteTo.File(
            parts[1], outputTemplate: Template, formatProvider: System.Globalization.CultureInfo.InvariantCulture).CreateLogger();
    }
}
