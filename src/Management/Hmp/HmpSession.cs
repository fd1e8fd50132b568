using Vmm.Management.Commands;

namespace Vmm.Management.Hmp;

/// <summary>A person at a monitor: keys in, text out.</summary>
public sealed class HmpSession
{
    /// <summary>Before each line.</summary>
    public const string Prompt = "(vmm) ";

    private readonly Lock _lock = new();
    private Task _last = Task.CompletedTask;
    private readonly HmpMonitor _monitor;
    private readonly LineEditor _editor;
    private readonly Action<string> _print;

    /// <param name="commands">The VM's.</param>
    /// <param name="print">Sends text; line ends are \n.</param>
    public HmpSession(MonitorCommands commands, Action<string> print)
    {
        _print = print;
        _editor = new LineEditor(Prompt, print, line => _monitor!.Complete(line));
        _monitor = new HmpMonitor(commands, new HmpContext { History = _editor.History });
    }

    /// <summary>What a monitor says first.</summary>
    public static string Banner => $"{HmpInfoCommands.Version} monitor - type 'help' for more information\n";

    /// <summary>Shows the prompt.</summary>
    public void Show() => _editor.Show();

    /// <summary>
    /// Prints something that nobody has asked for, above the line that is being edited, when no command is under way. Any thread.
    /// </summary>
    public Task Interrupt(string text) => InTurn(() =>
    {
        _editor.Interrupt(text);
        return Task.CompletedTask;
    });

    /// <summary>Takes one key.</summary>
    public Task Take(byte key) => InTurn(async () =>
    {
        if (await _editor.Take(key).ConfigureAwait(false) is { } line)
        {
            string answer = await _monitor.Execute(line).ConfigureAwait(false);
            _print(answer.Length == 0 ? "" : $"{answer}\n");
            _editor.Show();
        }
    });

    // After what came before it.
    private Task InTurn(Func<Task> step)
    {
        lock (_lock)
        {
            return _last = _last.ContinueWith(_ => step(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default)
                .Unwrap();
        }
    }
}
