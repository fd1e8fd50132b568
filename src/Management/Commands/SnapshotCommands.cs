using System.Globalization;
using Vmm.Actors.Protocol;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

public sealed record SnapshotArguments(string JobId, string Tag, string Vmstate, string[] Devices);

public sealed record SnapshotDeleteArguments(string JobId, string Tag, string[] Devices);

/// <summary>
/// Snapshots (QEMU, qapi/migration.json and hmp-commands.hx). QEMU keeps them in disk images; here they are in the state folder, which QMP
/// names as if it were the one block node, <see cref="Node"/>.
/// </summary>
public sealed class SnapshotCommands(MonitorVm vm, JobCommands jobs)
{
    /// <summary>The node name of where snapshots are kept.</summary>
    public const string Node = "snapshots";

    public void Register(QapiCommandTable table)
    {
        table.Add<SnapshotArguments>("snapshot-save", a => Start(JobType.SnapshotSave, a.JobId, [a.Vmstate, .. a.Devices], () =>
            vm.Ask<SnapshotSaved>(new SaveSnapshot(a.Tag, Replace: false, Compress: false))));
        table.Add<SnapshotArguments>("snapshot-load", a => Start(JobType.SnapshotLoad, a.JobId, [a.Vmstate, .. a.Devices], () =>
            vm.Ask<SnapshotLoaded>(new LoadSnapshot(a.Tag))));
        table.Add<SnapshotDeleteArguments>("snapshot-delete", a => Start(JobType.SnapshotDelete, a.JobId, [Node, .. a.Devices], () =>
            vm.Ask<SnapshotDeleted>(new DeleteSnapshot(a.Tag))));
    }

    private Task Start(JobType type, string id, string[] nodes, Func<Task> work)
    {
        jobs.Start(id, type, () => nodes.Length < 2 ? throw new QapiException("At least one device is required for snapshot")
            : nodes.FirstOrDefault(n => n != Node) is { } other ? throw new QapiException($"No block device node '{other}'")
            : work());
        return Task.CompletedTask;
    }

    /// <summary>Saves the VM under a name, or one made of the time; takes the place of a snapshot of that name.</summary>
    /// <param name="parent">The snapshot from which the difference is saved; null for a save of all.</param>
    /// <exception cref="QapiException">It cannot be.</exception>
    public Task Save(string? tag, bool compress, string? parent) => vm.Ask<SnapshotSaved>(new SaveSnapshot(
        tag ?? DateTime.Now.ToString("'vm-'yyyyMMddHHmmss", CultureInfo.InvariantCulture), Replace: true, compress, parent ?? ""));

    /// <exception cref="QapiException">It cannot be.</exception>
    public Task Load(string tag) => vm.Ask<SnapshotLoaded>(new LoadSnapshot(tag));

    /// <exception cref="QapiException">It cannot be.</exception>
    public Task Delete(string tag) => vm.Ask<SnapshotDeleted>(new DeleteSnapshot(tag));

    /// <exception cref="QapiException">The folder cannot be read.</exception>
    public Task<SnapshotList> List() => vm.Ask<SnapshotList>(new GetSnapshots());

    /// <summary>The snapshots as QEMU's <c>info snapshots</c> has them.</summary>
    public async Task<string> Describe()
    {
        SnapshotList list = await List().ConfigureAwait(false);
        if (list.Tags.Length == 0)
        {
            return "There is no snapshot available.";
        }

        const string Row = "{0,-7} {1,-16} {2,8} {3,19} {4,15} {5,10}";
        var lines = new List<string>
        {
            "List of snapshots present on all disks:",
            string.Format(CultureInfo.InvariantCulture, Row, "ID", "TAG", "VM_SIZE", "DATE", "VM_CLOCK", "ICOUNT"),
        };
        for (int i = 0; i < list.Tags.Length; i++)
        {
            TimeSpan clock = TimeSpan.FromMilliseconds(list.GuestMilliseconds[i]);
            DateTimeOffset date = DateTimeOffset.FromUnixTimeSeconds(list.SavedAt[i]).ToLocalTime();
            lines.Add(string.Format(
                CultureInfo.InvariantCulture, Row, "--", list.Tags[i], Size(list.Bytes[i]),
                date.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture),
                string.Create(CultureInfo.InvariantCulture, $"{(long)clock.TotalHours:0000}:{clock:mm\\:ss\\.fff}"), "--"));
        }

        return string.Join('\n', lines);
    }

    // Three digits and a unit, as QEMU has it.
    private static string Size(long bytes)
    {
        string[] units = ["B", "KiB", "MiB", "GiB", "TiB"];
        double value = bytes;
        int unit = 0;
        for (; value >= 1000 && unit < units.Length - 1; unit++)
        {
            value /= 1024;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{value:G3} {units[unit]}");
    }
}
