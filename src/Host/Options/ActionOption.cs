namespace Vmm.Host.Options;

/// <summary>The option <c>-action EVENT=ACTION</c>: the reaction to an event of the guest.</summary>
public static class ActionOption
{
    public const string Syntax = "reboot=reset|shutdown,shutdown=poweroff|pause";

    // Events that never happen here, because the machine does not have their devices, and the actions that QEMU knows for them.
    private static readonly (string Event, string[] Actions)[] s_idle =
    [
        ("panic", ["pause", "shutdown", "exit-failure", "none"]),
        ("watchdog", ["reset", "shutdown", "poweroff", "inject-nmi", "pause", "debug", "none"]),
    ];

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static RunOptions Apply(RunOptions options, string text)
    {
        foreach ((string key, string? value) in KeyValues.Parse(text, null))
        {
            options = (key, value) switch
            {
                ("reboot", "reset" or "shutdown") => options with { ShutdownOnReset = value == "shutdown" },
                ("shutdown", "poweroff" or "pause") => options with { StayAfterShutdown = value == "pause" },
                _ when Array.Find(s_idle, i => i.Event == key).Actions?.Contains(value) == true => options,
                ("reboot" or "shutdown" or "panic" or "watchdog", _) =>
                    throw new OptionException($"Parameter '{key}' does not accept value '{value}'"),
                _ => throw new OptionException($"Invalid parameter '{key}'"),
            };
        }

        return options;
    }
}
