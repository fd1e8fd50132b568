using System.Globalization;

namespace Vmm.Host.Options;

/// <summary><c>reconnect=</c> (seconds, as before QEMU 9.2) and <c>reconnect-ms=</c> of sockets that connect.</summary>
internal static class ReconnectOption
{
    /// <returns>Milliseconds; 0 for never.</returns>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static int Parse(string? seconds, string? milliseconds) =>
        seconds != null && milliseconds != null ? throw new OptionException("'reconnect' and 'reconnect-ms' are mutually exclusive")
            : milliseconds != null ? Number("reconnect-ms", milliseconds, 1)
            : seconds != null ? Number("reconnect", seconds, 1000)
            : 0;

    private static int Number(string key, string text, int factor) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number <= int.MaxValue / factor
            ? number * factor
            : throw new OptionException($"Parameter '{key}' expects a number from 0 to {int.MaxValue / factor}");
}
