using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Vmm.Host.Console;

/// <summary>The terminal in raw mode from creation to disposal, also when a signal ends the program. Nothing if stdin is no terminal.</summary>
public sealed class RawTerminal : IDisposable
{
    private const int StandardInput = 0;
    private const int Now = 0;

    // Larger than struct termios is on any Linux: its layout differs between hosts and does not matter here.
    private const int TermiosSize = 256;

    private readonly byte[]? _saved;
    private readonly List<PosixSignalRegistration> _signals = [];
    private int _restored;

    /// <summary>
    /// The bytes of stdin as they come. The runtime's own stream reads a terminal by lines, echoes them, and sets its modes.
    /// </summary>
    public static Stream OpenInput() => new FileStream(new SafeFileHandle(StandardInput, ownsHandle: false), FileAccess.Read, bufferSize: 0);

    /// <param name="raw">False: the terminal stays as it is, for nothing reads it.</param>
    /// <param name="terminate">Called on SIGTERM, SIGHUP, SIGINT and SIGQUIT: end the program in good order.</param>
    public RawTerminal(bool raw, Action terminate)
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

        byte[] settings = new byte[TermiosSize];
        if (raw && GetAttributes(StandardInput, settings) == 0)
        {
            _saved = [.. settings];
            MakeRaw(settings);
            _ = SetAttributes(StandardInput, Now, settings);
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
        if (_saved != null && Interlocked.Exchange(ref _restored, 1) == 0)
        {
            _ = SetAttributes(StandardInput, Now, _saved);
        }
    }

    // termios(3). A child process that did this (stty) would not do: the runtime resets the terminal when a child ends.
    [DllImport("libc", EntryPoint = "tcgetattr")]
    private static extern int GetAttributes(int descriptor, byte[] settings);

    [DllImport("libc", EntryPoint = "tcsetattr")]
    private static extern int SetAttributes(int descriptor, int when, byte[] settings);

    [DllImport("libc", EntryPoint = "cfmakeraw")]
    private static extern void MakeRaw(byte[] settings);
}
