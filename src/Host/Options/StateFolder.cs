using Vmm.Actors.Hotplug;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// The folder of <c>--state DIR</c>, which holds the journal of a machine's CPUs from one run to the next, and its snapshots. Only one
/// process at a time can have it.
/// </summary>
public sealed class StateFolder : IDisposable
{
    private const string JournalName = "hotplug.db";
    private const string SnapshotsName = "snapshots";

    private readonly FileStream _lock;
    private readonly JournalFile _journal;

    private StateFolder(FileStream held, JournalFile journal)
    {
        _lock = held;
        _journal = journal;
    }

    public IHotplugJournal Journal => _journal;

    /// <summary>Where in a state folder its snapshots are.</summary>
    public static string SnapshotsOf(string path) => Path.Combine(path, SnapshotsName);

    /// <summary>Makes the folder if it is missing, reads its contents, and tries whether it can be written to.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static StateFolder Open(string path)
    {
        FileStream held;
        try
        {
            Directory.CreateDirectory(path);
            held = new FileStream(Path.Combine(path, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new OptionException(
                $"cannot keep the state in '{UserText.Legible(path)}', or another VM does: {SystemError.Describe(e)}");
        }

        try
        {
            return new StateFolder(held, JournalFile.Open(Path.Combine(path, JournalName)));
        }
        catch (JournalException e)
        {
            held.Dispose();
            throw new OptionException(e.Message);
        }
    }

    public void Dispose()
    {
        _journal.Dispose();
        _lock.Dispose();
    }
}
