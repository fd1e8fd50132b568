using System.Runtime.InteropServices;
using Vmm.Host.Guest;

namespace Vmm.Benchmarks.Fleet;

/// <summary><c>bench/fleet faults</c>: nothing of it is left, also after Ctrl-C.</summary>
internal static class FleetFaultsCommand
{
    /// <returns>The exit code: 0, or 1 if a round was wrong or late, or 130 after Ctrl-C.</returns>
    /// <param name="logs">Where the logs of the nodes stay; they go without.</param>
    public static async Task<int> RunAsync(
        IReadOnlyList<string> program, IReadOnlyList<FleetFault> faults, int times, int seed, string? logs)
    {
        using var cancellation = new CancellationTokenSource();
        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            cancellation.Cancel();
        }

        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        string folder = logs ?? Directory.CreateTempSubdirectory("vmm-logs-").FullName;
        try
        {
            using var fleet = new FleetFaults(program, seed, folder, Console.Out, cancellation.Token);
            return await fleet.RunAsync(faults, times).ConfigureAwait(false) == 0 ? 0 : 1;
        }
        catch (GuestAssetsException e)
        {
            await Console.Error.WriteLineAsync($"fleet: {e.Message}").ConfigureAwait(false);
            return 1;
        }
        catch (OperationCanceledException)
        {
            return 130;
        }
        finally
        {
            if (logs == null)
            {
                Directory.Delete(folder, recursive: true);
            }
        }
    }
}
