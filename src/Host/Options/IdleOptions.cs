using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// Options of QEMU about devices that the machine does not have. Scripts often give them. A value that changes nothing is accepted, and any
/// other is refused by name.
/// </summary>
internal static class IdleOptions
{
    private const string NoSound = "there is no sound";
    private const string NoDisplay = "there is no display";

    /// <summary>A member of a value, with the values that are accepted; all of them if none is listed.</summary>
    private sealed record Member(string Key, params string[] Values);

    public static IReadOnlyList<OptionRow> Rows { get; } =
    [
        new("nographic", "", "the serial line on this terminal, as it is without", OptionValue.None, (o, _) => o),
        new("nodefaults", "", "no devices but those of the machine, as it is without", OptionValue.None, (o, _) => o),
        new("no-user-config", "", "no configuration files, as it is without", OptionValue.None, (o, _) => o),
        new("async-teardown", "", "the host's kernel takes guest memory back by itself", OptionValue.None, (o, _) => o),
        None("display", "type", NoDisplay),
        Words("vga", NoDisplay, "none"), Words("vnc", NoDisplay, "none"), new("k", "LAYOUT", NoDisplay, OptionValue.Text, (o, _) => o),

        Words("parallel", "there is no parallel port", "none", "null"), Words("gdb", "there is no gdbstub", "none"),
        None("audio", "driver", NoSound), None("audiodev", "driver", NoSound),
        Words("watchdog-action", "there is no watchdog", "reset", "shutdown", "poweroff", "inject-nmi", "pause", "debug", "none"),
        OneNode(),
        Members("overcommit", "[mem-lock=off][,cpu-pm=off]", "memory and CPUs are as the host's scheduler gives them", null,
            new Member("mem-lock", "off"), new Member("cpu-pm", "off")),
        Members("run-with", "[async-teardown=on|off][,exit-with-parent=off]", "the program runs as it was started", null,
            new Member("async-teardown", "on", "off"), new Member("exit-with-parent", "off")),
        Members("msg", "[timestamp=off][,guest-name=off]", "messages are as --log writes them", null,
            new Member("timestamp", "off"), new Member("guest-name", "off")),
        Members("compat", "[deprecated-input=POLICY][,deprecated-output=POLICY]", "there are no deprecated interfaces", null,
            new Member("deprecated-input", "accept", "reject", "crash"), new Member("deprecated-output", "accept", "hide"),
            new Member("unstable-input", "accept"), new Member("unstable-output", "accept")),
        Members("semihosting-config", "enable=off", "there is no semihosting", "enable", new Member("enable", "off")),
    ];

    // An option whose value is one of some words.
    private static OptionRow Words(string name, string why, params string[] words) =>
        new(name, string.Join('|', words), why, OptionValue.Text, (o, v) =>
        words.Contains(v) ? o : throw Refused(why)) { Choices = words };

    // An option that is accepted if its kind is none, with any other members.
    private static OptionRow None(string name, string kind, string why) =>
        new(name, $"[{kind}=]none[,...]", why, OptionValue.Text, (o, v) =>
        KeyValues.ParseOrJson(v, kind).Any(m => m == (kind, "none")) ? o : throw Refused(why)) { Choices = ["none"] };

    private static OptionRow Members(string name, string syntax, string why, string? impliedKey, params Member[] members) =>
        new(name, syntax, why, OptionValue.Text, (options, text) =>
        {
            foreach ((string key, string? value) in KeyValues.ParseOrJson(text, impliedKey))
            {
                Member member = Array.Find(members, m => m.Key == key) ?? throw Refused($"'{UserText.Legible(key)}': {why}");
                string given = value switch { null or "yes" or "true" or "y" => "on", "no" or "false" or "n" => "off", _ => value };
                if (member.Values.Length > 0 && !member.Values.Contains(given))
                {
                    throw Refused($"{key}={UserText.Legible(given)}: {why}");
                }
            }

            return options;
        });

    private static OptionRow OneNode()
    {
        const string Why = "there is one NUMA node";
        OptionRow row = Members("numa", "node[,nodeid=0]", Why, "type", new Member("type", "node"), new Member("nodeid", "0"),
            new Member("cpus"), new Member("memdev"));
        return row with { Apply = (o, v) =>
            o.HasNumaNode ? throw Refused($"a second one: {Why}") : row.Apply(o, v) with { HasNumaNode = true } };
    }

    private static OptionException Refused(string reason) => new($"not supported: {reason}");
}
