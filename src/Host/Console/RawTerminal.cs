using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Vmm.Host.Console;

/// <summary>The terminal in raw mode from creation to disposal, also when a signal ends the program. Nothing if stdin is no terminal.</summary>
public sealed class RawTerminal : IDisposable
{
    private readonly string? _saved;
    private readonly List<PosixSignalRegistration> _signals = [];
    private int _restored;

    /// <param name="terminate">Called on SIGTERM, SIGHUP, SIGINT and SIGQUIT: end the program in good order.</param>
    public RawTerminal(Action terminate)
    {
        foreach (PosixSignal signal in (ReadOnlySpan<PosixSignal>)[PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGINT, PosixSignal.SIGQUIT])
        {
            _signals.Add(PosixSignalRegistration.Create(signal, context =>
            {
                context.Cancel = true;
                Restore();
                terminate();
            }));
        }

        if (!System.Console.IsInputRedirected)
        {
            _saved = Stty("-g");
            Stty("raw -echo");
            AppDomain.CurrentDomain.ProcessExit += (_, _) => Restore();
        }
    }

    public void Dispose()
    {
        Restore();
        _signals.ForEach(s => s.Dispose());
    }

    private void Restore()
    {
        if (_saved is { Length: > 0 } && Interlocked.Exchange(ref _restored, 1) == 0)
        {
            Stty(_saved);
        }
    }

    // stty works on the terminal that it inherits as its stdin.
    private static string Stty(string arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("stty", arguments) { RedirectStandardOutput = true, UseShellExecute = false })!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return output.Trim();
    }
}
