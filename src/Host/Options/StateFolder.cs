using Vmm.Actors.Hotplug;
using Vmm.Actors.Journals;
using Vmm.Actors.Migration;
using Vmm.Emulation.Snapshots;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// The folder of <c>--state DIR</c>, which holds the journal of a machine's CPUs from one run to the next, its snapshots, and the times of
/// its vCPUs. Only one process at a time can have it.
/// </summary>
public sealed class StateFolder : IDisposable
{
    private const string JournalName = "hotplug.db";
    private const string MigrationJournalName = "migration.db";
    private const string SnapshotsName = "snapshots";
    private const string TimesName = "times";

    private readonly FileStream _lock;
    private readonly JournalFile _journal;
    private readonly MigrationJournalFile _migrationJournal;

    private StateFolder(
        string path, FileStream held, JournalFile journal, MigrationJournalFile migrationJournal, SnapshotStore snapshots)
    {
        Times = Path.Combine(path, TimesName);
        Snapshots = snapshots;
        _lock = held;
        _journal = journal;
        _migrationJournal = migrationJournal;
    }

    public IHotplugJournal Journal => _journal;

    public IMigrationJournal MigrationJournal => _migrationJournal;

    public SnapshotStore Snapshots { get; }

    /// <summary>The file of the times of the vCPUs (<see cref="Vmm.Actors.Vcpu.VcpuMeter"/>).</summary>
    public string Times { get; }

    /// <summary>Snapshots of which a save was cut off; what it had left was removed.</summary>
    public IReadOnlyList<string> CutOffSaves { get; private init; } = [];

    /// <summary>Takes a snapshot that another state folder has.</summary>
    /// <param name="path">The snapshot's own folder.</param>
    /// <returns>Its tag, by which it is here, too.</returns>
    /// <exception cref="OptionException">It cannot be taken: one line.</exception>
    public string TakeSnapshot(string path)
    {
        try
        {
            return Snapshots.Adopt(path);
        }
        catch (SnapshotException e)
        {
            throw new OptionException($"-loadvm {UserText.Legible(path)}: {e.Message}");
        }
    }

    /// <summary>Where in a state folder its snapshots are.</summary>
    public static string SnapshotsOf(string path) => Path.Combine(path, SnapshotsName);

    /// <summary>Makes the folder if it is missing, reads its contents, and tries whether it can be written to.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static StateFolder Open(string path)
    {
        FileStream held;
        try
        {
            DurableFolder.Make(path);
            held = new FileStream(Path.Combine(path, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new OptionException(
                $"cannot keep the state in '{UserText.Legible(path)}', or another VM does: {SystemError.Describe(e)}");
        }

        JournalFile? journal = null;
        try
        {
            var snapshots = new SnapshotStore(SnapshotsOf(path));
            IReadOnlyList<string> cutOff = snapshots.CleanUp();
            journal = JournalFile.Open(Path.Combine(path, JournalName));
            var migrations = MigrationJournalFile.Open(Path.Combine(path, MigrationJournalName));
            return new StateFolder(path, held, journal, migrations, snapshots) { CutOffSaves = cutOff };
        }
        catch (Exception e) when (e is JournalException or SnapshotException)
        {
            journal?.Dispose();
            held.Dispose();
            throw new OptionException(e.Message);
        }
    }

    public void Dispose()
    {
        _migrationJournal.Dispose();
        _journal.Dispose();
        _lock.Dispose();
    }
}
