using Serilog;
using Vmm.Actors.Protocol;

namespace Vmm.Host;

/// <summary>
/// Work for the host's own good that begins when the VM runs for the first time and is stopped with this: <see cref="Rehearsal"/> and
/// <see cref="IdleTrim"/>. The VM goes on without it where it fails; the log has the failure.
/// </summary>
internal sealed class AfterStart : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _runs = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _all;

    /// <param name="session">Outlives this. It has not been told to run yet.</param>
    /// <param name="work">Each is started in turn and may go on beside the others.</param>
    public AfterStart(VmSession session, params Func<CancellationToken, Task>[] work)
    {
        session.Published += message =>
        {
            if (message is VmStatus { RunState: VmRunState.Running })
            {
                _runs.TrySetResult();
            }
        };
        _all = Task.WhenAll(Array.ConvertAll(work, RunAsync));
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _all.ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task RunAsync(Func<CancellationToken, Task> work)
    {
        try
        {
            await _runs.Task.WaitAsync(_stop.Token).ConfigureAwait(false);
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
