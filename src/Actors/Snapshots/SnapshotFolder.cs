using Vmm.Emulation.Snapshots;

namespace Vmm.Actors.Snapshots;

/// <summary>A folder with snapshots of a machine that does not run in this process.</summary>
public static class SnapshotFolder
{
    /// <summary>Takes a snapshot of another such folder, by hard links where it can be.</summary>
    /// <param name="snapshot">Its own folder.</param>
    /// <returns>Its tag, by which it is here, too.</returns>
    /// <exception cref="IOException">It cannot be taken: one line.</exception>
    public static string Take(string folder, string snapshot)
    {
        try
        {
            return new SnapshotStore(folder).Adopt(snapshot);
        }
        catch (SnapshotException e)
        {
            throw new IOException(e.Message, e);
        }
    }
}
