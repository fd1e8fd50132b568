using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Vmm.Tests;

namespace Vmm.Host.Tests;

/// <summary>The program itself at a pseudoterminal that is its controlling one, as a person has it in a window.</summary>
internal sealed class Pty : IDisposable
{
    // A start takes a second; only what hangs takes this long.
    private static readonly TimeSpan s_patience = Patience.Limit;

    // struct termios of Linux: four words of flags, of which the last has these (termios(3)).
    private const int LocalFlags = 12;
    private const int Canonical = 2;
    private const int Echo = 8;
    private const int TermiosSize = 256;

    private readonly FileStream _master;
    private readonly int _slave;
    private readonly Process _process;
    private readonly StringBuilder _seen = new();
    private readonly byte[] _original = new byte[TermiosSize];

    public Pty(params string[] arguments)
    {
        Assert.Equal(0, Open(out int master, out _slave, 0, 0, 0));
        _master = new FileStream(new SafeFileHandle(master, ownsHandle: true), FileAccess.ReadWrite, bufferSize: 0);
        Assert.Equal(0, GetAttributes(_slave, _original));

        // A session of its own takes the first terminal that it opens for its controlling one.
        string name = $"/dev/pts/{Path.GetFileName(File.ResolveLinkTarget($"/proc/self/fd/{_slave}", returnFinalTarget: false)!.FullName)}";
        var start = new ProcessStartInfo("setsid",
            ["sh", "-c", $"exec \"$@\" <>{name} >&0 2>&0", "sh", "dotnet", VmmProcess.Program, .. arguments]);
        _process = Process.Start(start)!;
        new Thread(Read) { IsBackground = true }.Start();
    }

    /// <summary>What was printed so far.</summary>
    public string Seen
    {
        get
        {
            lock (_seen)
            {
                return _seen.ToString();
            }
        }
    }

    public bool IsRaw => (Flags() & (Canonical | Echo)) == 0;

    public bool IsCooked => (Flags() & (Canonical | Echo)) == (Canonical | Echo);

    public bool HasExited => _process.HasExited;

    public int ExitCode => _process.ExitCode;

    /// <summary>The state of the program in /proc/PID/stat: T is stopped. setsid and sh have become the program.</summary>
    public char State => File.ReadAllText($"/proc/{_process.Id}/stat").Split(") ")[1][0];

    public void Type(string keys) => _master.Write(Encoding.Latin1.GetBytes(keys));

    /// <summary>As a shell does that takes its terminal back.</summary>
    public void Cook() => Assert.Equal(0, SetAttributes(_slave, 0, _original));

    public void Send(string signal)
    {
        using Process kill = Process.Start("kill", [$"-{signal}", $"{_process.Id}"]);
        kill.WaitForExit();
    }

    public void WaitFor(Func<Pty, bool> what, string name)
    {
        for (long start = Stopwatch.GetTimestamp(); !what(this); Thread.Sleep(20))
        {
            Assert.True(Stopwatch.GetElapsedTime(start) < s_patience, $"{name}: {Seen}");
        }
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        _process.Dispose();
        _ = Close(_slave);
        _master.Dispose();
    }

    private int Flags()
    {
        byte[] settings = new byte[TermiosSize];
        Assert.Equal(0, GetAttributes(_slave, settings));
        return BitConverter.ToInt32(settings, LocalFlags);
    }

    // The end of a terminal is an error.
    private void Read()
    {
        byte[] buffer = new byte[4096];
        try
        {
            while (_master.Read(buffer) is > 0 and int count)
            {
                lock (_seen)
                {
                    _seen.Append(Encoding.Latin1.GetString(buffer, 0, count));
                }
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
        }
    }

    [DllImport("libc", EntryPoint = "openpty")]
    private static extern int Open(out int master, out int slave, nint name, nint settings, nint window);

    [DllImport("libc", EntryPoint = "close")]
    private static extern int Close(int descriptor);

    [DllImport("libc", EntryPoint = "tcgetattr")]
    private static extern int GetAttributes(int descriptor, byte[] settings);

    [DllImport("libc", EntryPoint = "tcsetattr")]
    private static extern int SetAttributes(int descriptor, int when, byte[] settings);
}
