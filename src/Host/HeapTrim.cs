using System.Runtime.InteropServices;

namespace Vmm.Host;

/// <summary>Gives back to the host what only the start of the program has used: garbage, and the room that the heaps have grown by.</summary>
internal static class HeapTrim
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(10);

    /// <summary>Once, when the program has little to do: in the first ten seconds of which it uses less than one of CPU time. It takes some tens of milliseconds of one core of the host.</summary>
    public static void Schedule() => _ = TrimWhenIdle();

    private static async Task TrimWhenIdle()
    {
        TimeSpan used;
        do
        {
            used = Environment.CpuUsage.TotalTime;
            await Task.Delay(s_interval).ConfigureAwait(false);
        }
        while (Environment.CpuUsage.TotalTime - used > s_interval / 10);

        Trim();
    }

    private static void Trim()
    {
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
