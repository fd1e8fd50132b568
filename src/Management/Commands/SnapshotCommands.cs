using System.Globalization;
using Vmm.Actors.Protocol;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

public sealed record SnapshotArguments(string JobId, string Tag, string Vmstate, string[] Devices);

public sealed record SnapshotDeleteArguments(string JobId, string Tag, string[] Devices);

/// <summary>
/// Snapshots (QEMU, qapi/migration.json and hmp-commands.hx). QEMU keeps the machine's state in a disk image; here it is in the state
/// folder, which QMP names as if it were a block node, <see cref="Node"/>. Disks have theirs in their images.
/// </summary>
public sealed class SnapshotCommands(MonitorVm vm, JobCommands jobs)
{
    /// <summary>The node name of where snapshots are kept.</summary>
    public const string Node = SnapshotList.Folder;

    public void Register(QapiCommandTable table)
    {
        table.Add<SnapshotArguments>("snapshot-save", a => Start(JobType.SnapshotSave, a.JobId, a.Vmstate, a.Devices, () =>
            vm.Ask<SnapshotSaved>(new SaveSnapshot(a.Tag, Replace: false, Compress: false))));
        table.Add<SnapshotArguments>("snapshot-load", a => Start(JobType.SnapshotLoad, a.JobId, a.Vmstate, a.Devices, () =>
            vm.Ask<SnapshotLoaded>(new LoadSnapshot(a.Tag))));
        table.Add<SnapshotDeleteArguments>("snapshot-delete", a => Start(JobType.SnapshotDelete, a.JobId, Node, a.Devices, () =>
            vm.Ask<SnapshotDeleted>(new DeleteSnapshot(a.Tag))));
    }

    private Task Start(JobType type, string id, string vmstate, string[] devices, Func<Task> work)
    {
        jobs.Start(id, type, async () =>
        {
            await Require(vmstate, devices).ConfigureAwait(false);
            await work().ConfigureAwait(false);
        });
        return Task.CompletedTask;
    }

    // The machine's state is in the folder. A snapshot is of all disks that can be written, or a later load would destroy file systems.
    private async Task Require(string vmstate, string[] devices)
    {
        if (devices.Length == 0)
        {
            throw new QapiException("At least one device is required for snapshot");
        }

        BlockDevices disks = await vm.Ask<BlockDevices>(new GetBlockDevices()).ConfigureAwait(false);
        string[] known = [Node, .. disks.NodeNames.Where(n => n.Length > 0)];
        if (devices.Prepend(vmstate).FirstOrDefault(n => !known.Contains(n)) is { } unknown)
        {
            throw new QapiException($"No block device node '{unknown}'");
        }

        if (vmstate != Node)
        {
            throw new QapiException($"vmstate block device '{vmstate}' is a disk; the machine's state is kept in '{Node}'");
        }

        string? missing = disks.NodeNames.Where((n, i) => n.Length > 0 && !disks.ReadOnly[i]).FirstOrDefault(n => !devices.Contains(n));
        if (missing != null)
        {
            throw new QapiException(
                $"Block device node '{missing}' is writable and is not among the devices; a snapshot is of all of them");
        }
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

        string[] loadable = [.. Rows(list, "")];
        var lines = new List<string> { "List of snapshots present on all disks:" };
        lines.AddRange(loadable.Length > 0 ? [SnapshotText.Head, .. loadable] : ["None"]);
        foreach (string place in list.Places.Where(p => p.Length > 0).Distinct())
        {
            lines.AddRange(["", $"List of partial (non-loadable) snapshots on '{place}':", SnapshotText.Head, .. Rows(list, place)]);
        }

        return string.Join('\n', lines);
    }

    private static IEnumerable<string> Rows(SnapshotList list, string place)
    {
        for (int i = 0; i < list.Tags.Length; i++)
        {
            if (list.Places[i] == place)
            {
                yield return SnapshotText.Row(
                    list.Ids[i], list.Tags[i], list.Bytes[i], list.SavedAt[i], TimeSpan.FromMilliseconds(list.GuestMilliseconds[i]), null);
            }
        }
    }
}
