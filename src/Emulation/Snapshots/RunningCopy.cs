using System.Diagnostics;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Snapshots;

/// <summary>
/// Writes RAM into a snapshot while the guest runs, and the rest when it is held.
/// <code>
/// log on → all blocks → (those written meanwhile, again)* → VM held → the rest → log off
/// </code>
/// One thread at a time, which no vCPU waits for.
/// </summary>
/// <param name="log">Has no other user meanwhile.</param>
public sealed class RunningCopy(SnapshotSave files, GuestMemory ram, DirtyLog log, RamCompression compression)
{
    // When so much time is needed for what is left, the guest can be held for it.
    private static readonly TimeSpan s_shortHold = TimeSpan.FromMilliseconds(50);

    // A guest that writes less in each round than in the one before, but not much less.
    private const int MostRounds = 30;

    private IReadOnlyList<int> _left = [];

    /// <summary>Writes all of RAM, and returns when what was written meanwhile is little, or does not become less.</summary>
    /// <exception cref="SnapshotException">It cannot be written.</exception>
    public void CopyWhileRunning()
    {
        log.Start();
        long copied = RamImage.Blocks(ram.Size);
        long start = Stopwatch.GetTimestamp();
        long stored = files.WriteRam(ram, compression);
        for (int round = 0; round < MostRounds; round++)
        {
            TimeSpan each = Stopwatch.GetElapsedTime(start) / Math.Max(stored, 1);
            _left = log.Harvest();
            long left = RamImage.BlocksOf(_left).LongCount();
            if (each * left <= s_shortHold || left >= copied)
            {
                return;
            }

            copied = left;
            start = Stopwatch.GetTimestamp();
            stored = files.WriteRamAgain(_left);
        }
    }

    /// <summary>Writes the rest. The VM is held.</summary>
    /// <exception cref="SnapshotException">It cannot be written.</exception>
    public void CopyRest()
    {
        files.WriteRamAgain([.. _left, .. log.Harvest()]);
        Stop();
    }

    /// <summary>Turns the log off, whether or not anything was finished.</summary>
    public void Stop() => log.Stop();
}
