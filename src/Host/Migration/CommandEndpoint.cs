using System.ComponentModel;
using System.Diagnostics;
using Serilog;
using Vmm.Actors.Migration;
using Vmm.Management.Text;

namespace Vmm.Host.Migration;

/// <summary>
/// A command of the shell, which gets the migration at its standard input or gives it at its standard output. Its errors go where Vmm's go.
/// </summary>
internal sealed class CommandEndpoint(string command) : IMigrationEndpoint
{
    // How long a command that gives a migration may take to end when nobody reads it any more, before it is killed.
    private static readonly TimeSpan s_grace = TimeSpan.FromSeconds(1);

    public bool HasReturnPath => false;

    public bool TakesChannels => false;

    public IMigrationFile? File => null;

    public Task<Stream> ConnectAsync(CancellationToken stop)
    {
        Process process = Start();
        _ = Drain(process);
        return Task.FromResult<Stream>(
            new OneWayStream(process.StandardInput.BaseStream, writes: true, () => _ = End(process, kill: false)));
    }

    public IMigrationListener Listen()
    {
        Process process = Start();
        process.StandardInput.Close();
        return new SingleListener(
            $"exec:{command}",
            new OneWayStream(process.StandardOutput.BaseStream, writes: false, () => _ = End(process, kill: true)));
    }

    private Process Start()
    {
        try
        {
            return Process.Start(new ProcessStartInfo("/bin/sh", ["-c", command])
            {
                RedirectStandardInput = true, RedirectStandardOutput = true, UseShellExecute = false,
            })!;
        }
        catch (Win32Exception e)
        {
            throw new IOException($"cannot start '{UserText.Legible(command)}': {SystemError.Describe(e)}");
        }
    }

    // What a command prints that gets a migration is for nobody.
    private static async Task Drain(Process process)
    {
        try
        {
            await process.StandardOutput.BaseStream.CopyToAsync(Stream.Null).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            Log.Debug("The output of a migration's command: {Reason}", e.Message);
        }
    }

    // A command that gets a migration works on for as long as it likes.
    private async Task End(Process process, bool kill)
    {
        using (process)
        {
            try
            {
                using var patience = new CancellationTokenSource(kill ? s_grace : Timeout.InfiniteTimeSpan);
                await process.WaitForExitAsync(patience.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                return;
            }

            if (process.ExitCode != 0)
            {
                Log.Warning("exec:{Command} has ended with status {Status}", UserText.Legible(command), process.ExitCode);
            }
        }
    }
}
