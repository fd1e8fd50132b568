using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Vmm.Host.Console;

/// <summary>
/// The terminal in raw mode from creation to disposal, also when a signal ends the program. A shell that stops the program has its terminal
/// as it was, and <c>fg</c> makes it raw again. Nothing if stdin is no terminal.
/// </summary>
public sealed class RawTerminal : IDisposable
{
    private const int StandardInput = 0;
    private const int Now = 0;

    // SIGSTOP of signal(7), the same on x86-64 and arm64.
    private const int StopSignal = 19;

    // Larger than struct termios is on any Linux: its layout differs between hosts and does not matter here.
    private const int TermiosSize = 256;

    private readonly List<PosixSignalRegistration> _signals = [];
    private readonly Lock _lock = new();

    // The settings before and after; null where there is nothing to set. Under the lock: they are set by signals and by the end of the
    // program.
    private byte[]? _cooked;
    private byte[]? _raw;

    /// <summary>
    /// The bytes of stdin as they come. The runtime's own stream reads a terminal by lines, echoes them, and sets its modes.
    /// </summary>
    public static Stream OpenInput() =>
        new FileStream(new SafeFileHandle(StandardInput, ownsHandle: false), FileAccess.Read, bufferSize: 0);

    /// <param name="raw">False: the terminal stays as it is, for nothing reads it.</param>
    /// <param name="terminate">Called on SIGTERM, SIGHUP, SIGINT and SIGQUIT: end the program in good order.</param>
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

    // The action stands in place of what the signal does otherwise; at SIGCONT the runtime would set modes of its own.
    private void On(PosixSignal signal, Action action) => _signals.Add(PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        action();
    }));

    // The shell takes the terminal as it was before.
    private void Stop()
    {
        Set(raw: false);
        _ = SendSignal(Environment.ProcessId, StopSignal);
    }

    // A program in the background has no terminal to set; `fg` sends SIGCONT again.
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

    // termios(3). A child process that did this (stty) would not do: the runtime resets the terminal when a child ends.
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
