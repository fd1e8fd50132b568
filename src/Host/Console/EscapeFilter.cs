namespace Vmm.Host.Console;

/// <summary>The commands of the console, given by the key after the escape key.</summary>
public enum ConsoleAction
{
    None,
    Quit,
    SwitchMonitor,
    Help,
}

/// <summary>
/// Finds the escape key, which is Ctrl-A by default, and the key after it among typed keys: x quits, c switches to the monitor and back, h
/// shows help, and the escape key itself is sent to the guest.
/// </summary>
public sealed class EscapeFilter(byte escapeKey = EscapeFilter.ControlA)
{
    public const byte ControlA = 1;

    private bool _escaped;

    /// <summary>The name of a key for people.</summary>
    public static string NameOf(byte key) =>
        key is > 0 and < 32 ? $"Ctrl-{(char)(key + '@')}" : key is >= 32 and < 127 ? $"{(char)key}" : $"0x{key:x2}";

    /// <summary>
    /// Takes one byte. True: <paramref name="key"/> is for the guest. False: <paramref name="action"/> is the command, or None.
    /// </summary>
    public bool Take(byte key, out ConsoleAction action)
    {
        action = ConsoleAction.None;
        if (!_escaped)
        {
            _escaped = key == escapeKey;
            return !_escaped;
        }

        _escaped = false;
        action = (char)key switch
        {
            'x' => ConsoleAction.Quit,
            'c' => ConsoleAction.SwitchMonitor,
            'h' or '?' => ConsoleAction.Help,
            _ => ConsoleAction.None,
        };
        return key == escapeKey;
    }
}
