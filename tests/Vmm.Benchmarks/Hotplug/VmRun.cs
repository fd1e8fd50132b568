using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;

namespace Vmm.Benchmarks.Hotplug;

/// <summary>The process of a VM, as a person starts it: its console on a pipe, and QMP at a socket.</summary>
internal sealed partial class VmRun : IDisposable
{
    private readonly Process _process;
    private readonly string _folder;
    private readonly Action<string> _consoleLine;
    private readonly StringBuilder _errors = new();
    private readonly List<QmpConnection> _connections = [];

    /// <param name="command">The program and its arguments, as QEMU takes them; the console and QMP are added.</param>
    /// <param name="consoleLine">Hears each line of the guest's console, in order.</param>
    /// <param name="awaitsQmp">The VM begins when somebody has connected by QMP.</param>
    public VmRun(IReadOnlyList<string> command, Action<string> consoleLine, bool awaitsQmp = false)
    {
        _folder = Directory.CreateTempSubdirectory("vmm-run-").FullName;
        _consoleLine = consoleLine;
        var start = new ProcessStartInfo(command[0])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        foreach (string argument in (string[])[.. command.Skip(1),
            "-serial", "stdio", "-monitor", "none", "-qmp", $"unix:{SocketPath},server=on,wait={(awaitsQmp ? "on" : "off")}"])
        {
            start.ArgumentList.Add(argument);
        }

        StartedAt = Stopwatch.GetTimestamp();
        _process = Process.Start(start)!;
        _process.StandardInput.AutoFlush = true;
        ConsoleEnded = ReadConsoleAsync();
        _process.ErrorDataReceived += (_, e) => Complain(e.Data);
        _process.BeginErrorReadLine();
    }

    public long StartedAt { get; }

    /// <summary>Completes when the console has ended, which it does with the process.</summary>
    public Task ConsoleEnded { get; }

    /// <summary>What the process has said on stderr.</summary>
    public string Errors
    {
        get
        {
            lock (_errors)
            {
                return _errors.ToString();
            }
        }
    }

    public bool HasExited => _process.HasExited;

    public int ProcessId => _process.Id;

    /// <summary>How much memory of the process is in RAM; 0 when it has ended.</summary>
    public long ResidentBytes
    {
        get
        {
            _process.Refresh();
            return _process.HasExited ? 0 : _process.WorkingSet64;
        }
    }

    private string SocketPath => Path.Combine(_folder, "qmp");

    /// <summary>Whether a line of the console is a kernel's warning or worse.</summary>
    public static bool IsKernelFault(string line) => KernelFault().IsMatch(line);

    /// <summary>Opens one more QMP connection, which ends with this.</summary>
    /// <exception cref="IOException">The process ended before it listened.</exception>
    public async Task<QmpConnection> ConnectAsync(Action<QmpEvent>? heard = null)
    {
        using var ended = new CancellationTokenSource();
        Task<QmpConnection> opening = QmpConnection.OpenAsync(SocketPath, heard, ended.Token);
        if (await Task.WhenAny(opening, ConsoleEnded).ConfigureAwait(false) != opening)
        {
            await ended.CancelAsync().ConfigureAwait(false);
            throw new IOException($"the process ended: {Errors}");
        }

        QmpConnection connection = await opening.ConfigureAwait(false);
        _connections.Add(connection);
        return connection;
    }

    /// <summary>Types a line at the guest's console.</summary>
    public void Type(string line)
    {
        try
        {
            _process.StandardInput.Write(line + "\n");
        }
        catch (IOException)
        {
            // The process has ended; who waits for an answer finds that out.
        }
    }

    /// <summary>SIGKILL, and the end of the process.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync().ConfigureAwait(false);
    }

    public void Dispose()
    {
        foreach (QmpConnection connection in _connections)
        {
            connection.Dispose();
        }

        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit();
        }

        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private void Complain(string? line)
    {
        if (line != null)
        {
            lock (_errors)
            {
                _errors.AppendLine(line);
            }
        }
    }

    private async Task ReadConsoleAsync()
    {
        while (await _process.StandardOutput.ReadLineAsync().ConfigureAwait(false) is { } line)
        {
            _consoleLine(line.TrimEnd('\r'));
        }
    }

    [GeneratedRegex(
        "WARNING:|BUG:|Oops|Call trace|rcu: INFO|rcu:.*stall|lockup|blocked for more than|Kernel panic|Unable to handle|Unhandled fault")]
    private static partial Regex KernelFault();
}
