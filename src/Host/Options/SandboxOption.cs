using Vmm.Emulation;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// The option <c>-sandbox</c>: what the process gives up once all that the command line names is open, in QEMU's words. QEMU's process ends
/// at such a call; here the call fails.
/// </summary>
/// <param name="Denied">Nothing without a sandbox.</param>
public sealed record SandboxOption(HostCalls Denied)
{
    public const string Syntax = "on|off[,obsolete=allow|deny][,elevateprivileges=allow|deny|children][,spawn=allow|deny]"
        + "[,resourcecontrol=allow|deny]";

    private const string Enable = "enable";

    private static readonly (string Key, HostCalls Group)[] s_groups =
    [
        ("obsolete", HostCalls.Obsolete), ("elevateprivileges", HostCalls.ElevatePrivileges), ("spawn", HostCalls.Spawn),
        ("resourcecontrol", HostCalls.ResourceControl),
    ];

    /// <exception cref="OptionException">One line that says what is wrong, in QEMU's words.</exception>
    public static SandboxOption Parse(string text)
    {
        bool isOn = false;
        HostCalls denied = HostCalls.Administration | HostCalls.Obsolete;
        foreach ((string key, string? value) in KeyValues.ParseOrJson(text, Enable))
        {
            HostCalls group = Array.Find(s_groups, g => g.Key == key).Group;
            if (key == Enable)
            {
                isOn = KeyValues.Switch(key, value);
            }
            else if (group == HostCalls.None)
            {
                throw new OptionException($"Invalid parameter '{UserText.Legible(key)}'");
            }
            else
            {
                // The programs that the process starts have no more rights than it in any case.
                denied = value switch
                {
                    "deny" => denied | group,
                    "allow" => denied & ~group,
                    "children" when group == HostCalls.ElevatePrivileges => denied & ~group,
                    _ => throw new OptionException($"invalid argument for {key}"),
                };
            }
        }

        return new SandboxOption(isOn ? denied : HostCalls.None);
    }

    /// <summary>Gives up what the option says, for good.</summary>
    /// <exception cref="OptionException">The host's kernel cannot: one line.</exception>
    public void Enter()
    {
        if (Denied != HostCalls.None && !SystemCallFilter.TryEnter(Denied))
        {
            throw new OptionException("-sandbox on: the host's kernel has no filters of system calls (seccomp)");
        }
    }
}
