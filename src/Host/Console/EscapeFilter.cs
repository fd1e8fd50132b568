namespace Vmm.Host.Console;

/// <summary>What a key after Ctrl-A asks for.</summary>
public enum ConsoleAction
{
    None,
    Quit,
    SwitchMonitor,
    Help,
}

/// <summary>Finds Ctrl-A sequences in what is typed: x quits, c switches to the monitor and back, h helps, Ctrl-A sends itself.</summary>
public sealed class EscapeFilter
{
    private const byte ControlA = 1;
    private bool _escaped;

    /// <summary>Takes one byte. True: <paramref name="key"/> is to be sent on; otherwise <paramref name="action"/> may be one.</summary>
    public bool Take(byte key, out ConsoleAction action)
    {
        action = ConsoleAction.None;
        if (!_escaped)
        {
            _escaped = key == ControlA;
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
        return key == ControlA;
    }
}
