using System.Runtime.InteropServices;

namespace Vmm.Host;

/// <summary>Gives back to the host what only the start of the program has used: garbage, and the room that the heaps have grown by.</summary>
internal static class HeapTrim
{
    // The guest has booted by then, and translates little.
    private static readonly TimeSpan s_delay = TimeSpan.FromSeconds(10);

    /// <summary>Once, a while from now. It takes some tens of milliseconds of one core of the host.</summary>
    public static void Schedule() => _ = Task.Delay(s_delay).ContinueWith(_ => Trim(), TaskScheduler.Default);

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
