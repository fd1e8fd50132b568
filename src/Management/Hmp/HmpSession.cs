using Vmm.Management.Commands;

namespace Vmm.Management.Hmp;

/// <summary>A monitor for one person: takes keys and prints text.</summary>
public sealed class HmpSession
{
    /// <summary>The text before each line.</summary>
    public const string Prompt = "(vmm) ";

    private readonly Lock _lock = new();
    private Task _last = Task.CompletedTask;
    private readonly HmpMonitor _monitor;
    private readonly LineEditor _editor;
    private readonly Action<string> _print;

    /// <param name="commands">The commands of the VM.</param>
    /// <param name="print">Prints text whose line ends are \n.</param>
    public HmpSession(MonitorCommands commands, Action<string> print)
    {
        _print = print;
        _editor = new LineEditor(Prompt, print, line => _monitor!.Complete(line));
        _monitor = new HmpMonitor(commands, new HmpContext
        {
            History = _editor.History,
            Progress = text => print($"\r{text}\e[K"),
        });
    }

    /// <summary>The first line of a monitor.</summary>
    public static string Banner => $"{HmpInfoCommands.Version} monitor - type 'help' for more information\n";

    /// <summary>Shows the prompt.</summary>
    public void Show() => _editor.Show();

    /// <summary>
    /// Prints text that no command has asked for, above the line that is being edited, once no command is being executed. Any thread.
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

    // Runs a step after all steps before it.
    private Task InTurn(Func<Task> step)
    {
        lock (_lock)
        {
            return _last = _last.ContinueWith(_ => step(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default)
                .Unwrap();
        }
    }
}
