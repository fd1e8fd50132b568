using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Vmm.Host.Console;

/// <summary>
/// Keeps the terminal in raw mode from creation to disposal, and restores it also when a signal ends the program. When a shell stops the
/// program, the terminal is restored, and <c>fg</c> makes it raw again. Does nothing if stdin is no terminal.
/// </summary>
public sealed class RawTerminal : IDisposable
{
    private const int StandardInput = 0;
    private const int Now = 0;

    // SIGSTOP of signal(7), the same on x86-64 and arm64.
    private const int StopSignal = 19;

    // A size larger than struct termios on any Linux. Its layout differs between hosts and does not matter here.
    private const int TermiosSize = 256;

    private readonly List<PosixSignalRegistration> _signals = [];
    private readonly Lock _lock = new();

    // The settings in cooked and in raw mode; null if there is no terminal. Guarded by _lock, because signals and the end of the program
    // use them.
    private byte[]? _cooked;
    private byte[]? _raw;

    /// <summary>
    /// Stdin as a stream of bytes as they are typed. The runtime's own stream reads a terminal by lines, echoes, and sets modes of its own.
    /// </summary>
    public static Stream OpenInput() =>
        new FileStream(new SafeFileHandle(StandardInput, ownsHandle: false), FileAccess.Read, bufferSize: 0);

    /// <param name="raw">False: nothing reads the terminal, and it stays as it is.</param>
    /// <param name="terminate">Called on SIGTERM, SIGHUP, SIGINT and SIGQUIT, to end the program in good order.</param>
    public RawTerminal(bool raw, Action terminate)
    {
        foreach (PosixSignal signal in (ReadOnlySpan<PosixSignal>)[PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGINT,
            PosixSignal.SIGQUIT])
        {
            On(signal, () =>
            {
                Restore();
                terminate();
            });
        }

        byte[] settings = new byte[TermiosSize];
        if (raw && OperatingSystem.IsLinux() && GetAttributes(StandardInput, settings) == 0)
        {
            _cooked = [.. settings];
            MakeRaw(settings);
            _raw = settings;
            EnterRaw();
            On(PosixSignal.SIGTSTP, Stop);
            On(PosixSignal.SIGCONT, EnterRaw);
            AppDomain.CurrentDomain.ProcessExit += (_, _) => Restore();
        }
    }

    public void Dispose()
    {
        Restore();
        _signals.ForEach(s => s.Dispose());
    }

    // The action replaces the signal's default effect. At SIGCONT the runtime would set modes of its own.
    private void On(PosixSignal signal, Action action) => _signals.Add(PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        action();
    }));

    // Restores the terminal for the shell, and stops the program.
    private void Stop()
    {
        Set(raw: false);
        _ = SendSignal(Environment.ProcessId, StopSignal);
    }

    // A program in the background must not set the terminal. `fg` sends another SIGCONT.
    private void EnterRaw()
    {
        if (ForegroundGroup(StandardInput) == ProcessGroup())
        {
            Set(raw: true);
        }
    }

    private void Restore()
    {
        lock (_lock)
        {
            Set(raw: false);
            _cooked = _raw = null;
        }
    }

    private void Set(bool raw)
    {
        lock (_lock)
        {
            if ((raw ? _raw : _cooked) is { } settings)
            {
                _ = SetAttributes(StandardInput, Now, settings);
            }
        }
    }

    // Functions of termios(3). The program stty is no way: the runtime resets the terminal whenever a child process ends.
    [DllImport("libc", EntryPoint = "tcgetattr")]
    private static extern int GetAttributes(int descriptor, byte[] settings);

    [DllImport("libc", EntryPoint = "tcsetattr")]
    private static extern int SetAttributes(int descriptor, int when, byte[] settings);

    [DllImport("libc", EntryPoint = "cfmakeraw")]
    private static extern void MakeRaw(byte[] settings);

    [DllImport("libc", EntryPoint = "tcgetpgrp")]
    private static extern int ForegroundGroup(int descriptor);

    [DllImport("libc", EntryPoint = "getpgrp")]
    private static extern int ProcessGroup();

    [DllImport("libc", EntryPoint = "kill")]
    private static extern int SendSignal(int process, int signal);
}
