using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Snapshots;

/// <summary>
/// What is done in the background with RAM that was mapped from a snapshot, while its guest runs. Blocks are read in the order in which a
/// guest has touched them after an earlier load, and mapped, so that the guest need not wait for the disk; then the others are read. Each
/// is compared with its checksum, which the load itself has left out; that blocks of zeros are zeros is left to
/// <see cref="Snapshot.Verify"/>. When no earlier load has left an order, this one's is recorded.
/// </summary>
/// <param name="snapshot">Not compressed. Its files stay open as long as this is used.</param>
/// <param name="ram">Was mapped from it.</param>
/// <param name="isStopped">Whether it is to end early. Any thread.</param>
public sealed class MappedRam(Snapshot snapshot, GuestMemory ram, Func<bool> isStopped)
{
    // A guest that was loaded is looked at ever more rarely, for so long.
    private static readonly TimeSpan s_firstLook = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan s_allLooks = TimeSpan.FromSeconds(2);

    private readonly int[]? _order = snapshot.TryReadWorkingSet();

    /// <summary>Whether an earlier load has left an order.</summary>
    public bool HasOrder => _order != null;

    /// <summary>Whether the blocks that this load's guest touches are to be recorded: there is a folder to keep their order in.</summary>
    public bool WantsOrder => _order == null && snapshot.Tag.Length > 0;

    /// <summary>Reads and maps, and returns when all is read.</summary>
    /// <exception cref="SnapshotException">A block is damaged: the guest may have read it.</exception>
    public void Read() => Snapshot.Named(snapshot.Name, () =>
    {
        using RamReader reader = snapshot.ReadRam();
        var read = new HashSet<int>();
        foreach (int block in (_order ?? []).Where(read.Add).TakeWhile(_ => !isStopped()))
        {
            reader.Read(block);
            ram.Populate((ulong)block * RamImage.BlockSize, RamImage.BlockSize);
        }

        for (int block = 0; block < reader.Blocks && !isStopped(); block++)
        {
            if (!read.Contains(block))
            {
                reader.Read(block);
            }
        }

        return 0;
    });

    /// <summary>Looks on while the guest touches RAM, for seconds.</summary>
    /// <returns>The blocks in the order in which it did; empty when it was to end early.</returns>
    public IReadOnlyList<int> Record()
    {
        var order = new List<int>();
        var seen = new HashSet<int>();
        TimeSpan wait = s_firstLook;
        for (TimeSpan waited = TimeSpan.Zero; waited < s_allLooks; waited += wait, wait *= 1.2)
        {
            Thread.Sleep(wait);
            if (isStopped())
            {
                return [];
            }

            order.AddRange(RamImage.BlocksOf(ram.PagesInUse()).Select(block => (int)block).Where(seen.Add));
        }

        return order;
    }
}
