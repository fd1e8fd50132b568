using System.Text;
using Vmm.Actors.Protocol;

namespace Vmm.Host.Console;

/// <summary>Stdin and stdout as the guest's serial line, with the monitor behind Ctrl-A c.</summary>
public sealed class SerialConsole(Stream input, Stream output)
{
    private const string Help = """
        Ctrl-A h       this help
        Ctrl-A x       end the program
        Ctrl-A c       switch between the guest and the monitor
        Ctrl-A Ctrl-A  send Ctrl-A
        """;

    private readonly Lock _lock = new();
    private readonly EscapeFilter _filter = new();
    private readonly StringBuilder _line = new();
    private bool _inMonitor;

    /// <summary>Bytes from the guest.</summary>
    public void Write(ReadOnlyMemory<byte> bytes)
    {
        lock (_lock)
        {
            output.Write(bytes.Span);
            output.Flush();
        }
    }

    /// <summary>How a plug or unplug ended, for the person at the monitor.</summary>
    public void Report(HotplugOutcome outcome)
    {
        if (Volatile.Read(ref _inMonitor))
        {
            Print($"\n{Describe(outcome)}\n(vmm) ");
        }
    }

    public static string Describe(HotplugOutcome outcome) => (outcome.Plug ? "plug" : "unplug") + $" of {outcome.Id} (CPU {outcome.Cpu}): " + outcome.Kind switch
    {
        "done" => "done",
        "refused" => $"refused by the guest, _OST status 0x{outcome.OstStatus:x}",
        "timed-out" => "no answer from the guest yet; still pending",
        _ => "cancelled: a reset came first, or the CPU was given back",
    };

    /// <summary>Reads until the end of the input; the VM goes on after that.</summary>
    public async Task Pump(Monitor monitor, Action<byte[]> sendToGuest, Action quit)
    {
        byte[] buffer = new byte[256];
        int count;
        while ((count = await input.ReadAsync(buffer).ConfigureAwait(false)) > 0)
        {
            var forGuest = new List<byte>(count);
            for (int i = 0; i < count; i++)
            {
                if (_filter.Take(buffer[i], out ConsoleAction action))
                {
                    if (_inMonitor)
                    {
                        await TakeMonitorKey(monitor, buffer[i]).ConfigureAwait(false);
                    }
                    else
                    {
                        forGuest.Add(buffer[i]);
                    }
                }

                switch (action)
                {
                    case ConsoleAction.Quit:
                        quit();
                        return;
                    case ConsoleAction.Help:
                        Print($"\n{Help}\n");
                        break;
                    case ConsoleAction.SwitchMonitor:
                        _inMonitor = !_inMonitor;
                        Print(_inMonitor ? "\n(vmm) " : "\n");
                        break;
                }
            }

            if (forGuest.Count > 0)
            {
                sendToGuest([.. forGuest]);
            }
        }
    }

    private async Task TakeMonitorKey(Monitor monitor, byte key)
    {
        switch (key)
        {
            case (byte)'\r' or (byte)'\n':
                Print("\n");
                string line = _line.ToString();
                _line.Clear();
                string answer = await monitor.Execute(line).ConfigureAwait(false);
                Print(answer.Length == 0 ? "(vmm) " : $"{answer}\n(vmm) ");
                break;
            case 8 or 127:
                if (_line.Length > 0)
                {
                    _line.Length--;
                    Print("\b \b");
                }

                break;
            case >= 32 and < 127:
                _line.Append((char)key);
                Print(((char)key).ToString());
                break;
        }
    }

    // The terminal is raw: a line needs its carriage return.
    private void Print(string text) => Write(Encoding.UTF8.GetBytes(text.ReplaceLineEndings("\r\n")));
}
