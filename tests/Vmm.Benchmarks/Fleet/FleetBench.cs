using System.Runtime.InteropServices;
using Vmm.Host.Commands;
using Vmm.Host.Guest;

namespace Vmm.Benchmarks.Fleet;

/// <summary>The parts of <c>bench/fleet</c>: nothing of them is left, also after Ctrl-C.</summary>
internal static class FleetBench
{
    /// <returns>The exit code: 0, or 1 if a goal is missed or something fails, or 130 after Ctrl-C.</returns>
    public static async Task<int> RunAsync(Func<CancellationToken, Task<int>> run)
    {
        using var cancellation = new CancellationTokenSource();
        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            cancellation.Cancel();
        }

        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        try
        {
            return await run(cancellation.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is GuestAssetsException or GuestSilentException or FleetException)
        {
            await Console.Error.WriteLineAsync($"fleet: {e.Message}").ConfigureAwait(false);
            return 1;
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return 130;
        }
    }

    /// <summary>Faults of a fleet.</summary>
    /// <param name="logs">Where the logs of the nodes stay; they go without.</param>
    public static Task<int> FaultsAsync(
        IReadOnlyList<string> program, IReadOnlyList<FleetFault> faults, int times, int seed, string? logs) => RunAsync(async stop =>
    {
        string folder = logs ?? Directory.CreateTempSubdirectory("vmm-logs-").FullName;
        try
        {
            using var fleet = new FleetFaults(program, seed, folder, Console.Out, stop);
            return await fleet.RunAsync(faults, times).ConfigureAwait(false) == 0 ? 0 : 1;
        }
        finally
        {
            if (logs == null)
            {
                Directory.Delete(folder, recursive: true);
            }
        }
    });
}
