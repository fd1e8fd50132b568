using System.Runtime.InteropServices;
using Vmm.Emulation.Boards.Virt;

namespace Vmm.Host;

/// <summary>
/// Gives back to the host what only the start of the VM has used, once, when it is over: translated code of the guest's boot, garbage, and
/// the room that the heaps have grown by. The start is over with the first ten seconds in which the program uses less than one second of
/// CPU time. It takes some tens of milliseconds of one core of the host.
/// </summary>
internal static class IdleTrim
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(10);

    /// <summary>Waits for the end of the start and gives back.</summary>
    /// <exception cref="OperationCanceledException">It was stopped before.</exception>
    public static async Task RunAsync(VirtMachine machine, CancellationToken stop)
    {
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
