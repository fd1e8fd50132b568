namespace Vmm.Host.Console;

/// <summary>What a key after Ctrl-A asks for.</summary>
public enum ConsoleAction
{
    None,
    Quit,
    SwitchMonitor,
    Help,
}

/// <summary>
/// Finds sequences of an escape key, Ctrl-A, in what is typed: x quits, c switches to the monitor and back, h helps, the key sends itself.
/// </summary>
public sealed class EscapeFilter(byte escapeKey = EscapeFilter.ControlA)
{
    public const byte ControlA = 1;

    private bool _escaped;

    /// <summary>What is written on a key, for people.</summary>
    public static string NameOf(byte key) =>
        key is > 0 and < 32 ? $"Ctrl-{(char)(key + '@')}" : key is >= 32 and < 127 ? $"{(char)key}" : $"0x{key:x2}";

    /// <summary>Takes one byte. True: <paramref name="key"/> is to be sent on; otherwise <paramref name="action"/> may be one.</summary>
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
