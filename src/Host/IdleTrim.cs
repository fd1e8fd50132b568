using System.Runtime.InteropServices;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vm;
using Vmm.Emulation.Boards.Virt;

namespace Vmm.Host;

/// <summary>
/// Gives back to the host what only the start of the VM has used, once, when it is over: translated code of the guest's boot, garbage, and
/// the room that the heaps have grown by. The start is over with the first ten seconds in which the program uses less than one second of
/// CPU time. It takes some tens of milliseconds of one core of the host.
/// </summary>
internal sealed class IdleTrim : IAsyncDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(10);

    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _runs = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _trim;

    /// <param name="session">Outlives this. It has not been told to run yet.</param>
    public IdleTrim(VmSession session)
    {
        session.Published += message =>
        {
            if (message is VmStatus { RunState: VmRunState.Running })
            {
                _runs.TrySetResult();
            }
        };
        _trim = TrimWhenIdle(session.Machine, _runs.Task, _stop.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _trim.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private static async Task TrimWhenIdle(VirtMachine machine, Task runs, CancellationToken stop)
    {
        await runs.WaitAsync(stop).ConfigureAwait(false);
        TimeSpan used;
        do
        {
            used = Environment.CpuUsage.TotalTime;
            await Task.Delay(s_interval, stop).ConfigureAwait(false);
        }
        while (Environment.CpuUsage.TotalTime - used > s_interval / 10);

        machine.TrimTranslations();
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        try
        {
            _ = TrimNative(0);
        }
        catch (EntryPointNotFoundException)
        {
            // Only the GNU C library has it.
        }
    }

    [DllImport("libc", EntryPoint = "malloc_trim")]
    private static extern int TrimNative(nuint left);
}
