using System.Text;
using Vmm.Actors.Protocol;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Commands;
using Vmm.Management.Hmp;
using Vmm.Management.Text;

namespace Vmm.Host.Console;

/// <summary>The guest's serial line at a character device. On a multiplexed device the monitor is behind Ctrl-A c.</summary>
/// <param name="multiplexed">Whether the escape key belongs to the console instead of the guest.</param>
/// <param name="quit">Ends the program.</param>
/// <param name="escapeKey">The key before the commands of the console.</param>
public sealed class SerialConsole(bool multiplexed, Action quit, byte escapeKey = EscapeFilter.ControlA)
{
    private static string Help(string key) => $"""
        {key} h       this help
        {key} x       end the program
        {key} c       switch between the guest and the monitor
        {key} {key}  send {key}
        """;

    // The output in bytes that may wait for the client of a socket. The guest does not wait for a client.
    private const int LargestOutput = 4 << 20;

    private readonly Lock _lock = new();
    private MonitorCommands? _commands;
    private Action<byte[]>? _sendToGuest;
    private OutputQueue? _output;
    private bool _waits;
    private HmpSession? _monitor;
    private bool _inMonitor;

    /// <summary>Connects the console to the VM, before anything is served.</summary>
    /// <param name="sendToGuest">Takes typed bytes.</param>
    public void Connect(MonitorCommands commands, Action<byte[]> sendToGuest)
    {
        _commands = commands;
        _sendToGuest = sendToGuest;
    }

    /// <summary>
    /// Takes bytes from the guest, in order. The guest waits for a terminal, a pipe or a file. It does not wait for the client of a socket:
    /// bytes for which a client is too slow are lost, and so are bytes while there is no client.
    /// </summary>
    public void Write(ReadOnlyMemory<byte> bytes)
    {
        (OutputQueue? output, bool waits) = (Volatile.Read(ref _output), Volatile.Read(ref _waits));
        if (output != null && !output.TryAdd(bytes.ToArray()) && waits)
        {
            output.AddAsync(bytes.ToArray()).GetAwaiter().GetResult();
        }
    }

    /// <summary>Tells the person at the monitor how a plug or unplug ended.</summary>
    public void Report(HotplugOutcome outcome)
    {
        lock (_lock)
        {
            if (_inMonitor)
            {
                _ = _monitor?.Interrupt(OutcomeText.Of(outcome));
            }
        }
    }

    /// <summary>Serves the device until <paramref name="stop"/>, one client at a time.</summary>
    public Task RunAsync(CharacterDevice device, CancellationToken stop) => device.RunAsync(connection => Serve(connection, stop), 1, stop);

    private async Task Serve(CharacterConnection connection, CancellationToken stop)
    {
        var output = new OutputQueue(connection.Output, LargestOutput);
        Volatile.Write(ref _waits, !connection.EndsWithInput);
        Volatile.Write(ref _output, output);
        _monitor = new HmpSession(_commands!, Print);
        try
        {
            bool ended = await Pump(connection, stop).ConfigureAwait(false);
            if (!ended && !connection.EndsWithInput)
            {
                // Output goes on after the end of the input.
                await Task.Delay(Timeout.Infinite, stop).ConfigureAwait(false);
            }
        }
        finally
        {
            // The guest's last output is still queued when the VM ends. It is written before the device is closed.
            Volatile.Write(ref _output, null);
            output.Complete();
            await Task.WhenAny(output.Completion, Task.Delay(TimeSpan.FromSeconds(1), CancellationToken.None)).ConfigureAwait(false);
            lock (_lock)
            {
                _inMonitor = false;
            }
        }
    }

    // Returns true if the program is to end.
    private async Task<bool> Pump(CharacterConnection connection, CancellationToken stop)
    {
        var filter = new EscapeFilter(escapeKey);
        byte[] buffer = new byte[256];
        int count;
        while ((count = await connection.Input.ReadAsync(buffer, stop).ConfigureAwait(false)) > 0)
        {
            if (!multiplexed)
            {
                _sendToGuest!(buffer[..count]);
                continue;
            }

            var forGuest = new List<byte>(count);
            for (int i = 0; i < count; i++)
            {
                if (filter.Take(buffer[i], out ConsoleAction action))
                {
                    if (_inMonitor)
                    {
                        await _monitor!.Take(buffer[i]).ConfigureAwait(false);
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
                        return true;
                    case ConsoleAction.Help:
                        Print($"\n{Help(EscapeFilter.NameOf(escapeKey))}\n");
                        break;
                    case ConsoleAction.SwitchMonitor:
                        Switch();
                        break;
                }
            }

            if (forGuest.Count > 0)
            {
                _sendToGuest!([.. forGuest]);
            }
        }

        return false;
    }

    private void Switch()
    {
        lock (_lock)
        {
            _inMonitor = !_inMonitor;
            Print("\n");
            if (_inMonitor)
            {
                _monitor!.Show();
            }
        }
    }

    // The terminal is in raw mode, in which a line needs a carriage return.
    private void Print(string text)
    {
        if (text.Length > 0)
        {
            Write(Encoding.UTF8.GetBytes(text.Replace("\n", "\r\n", StringComparison.Ordinal)));
        }
    }
}
