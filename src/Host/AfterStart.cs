using Serilog;
using Vmm.Actors.Protocol;

namespace Vmm.Host;

/// <summary>
/// Work for the host's own good, which is stopped with this: rehearsals begin when the VM runs for the first time or waits for a migration,
/// <see cref="IdleTrim"/> when it runs. The VM goes on without them where they fail; the log has the failure.
/// </summary>
internal sealed class AfterStart : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _waits = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _runs = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _all;

    /// <param name="session">Outlives this. It has not been told to run yet.</param>
    /// <param name="rehearse">May go on beside the other.</param>
    public AfterStart(VmSession session, Func<CancellationToken, Task> rehearse, Func<CancellationToken, Task> trim)
    {
        session.Published += message =>
        {
            if (message is VmStatus { RunState: VmRunState.Running or VmRunState.InMigrate } status)
            {
                _waits.TrySetResult();
                if (status.RunState == VmRunState.Running)
                {
                    _runs.TrySetResult();
                }
            }
        };
        _all = Task.WhenAll(RunAsync(_waits.Task, rehearse), RunAsync(_runs.Task, trim));
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _all.ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task RunAsync(Task begin, Func<CancellationToken, Task> work)
    {
        try
        {
            await begin.WaitAsync(_stop.Token).ConfigureAwait(false);
            await work(_stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The VM ends first.
        }
        catch (Exception e)
        {
            Log.Error(e, "Work beside the VM failed");
        }
    }
}
