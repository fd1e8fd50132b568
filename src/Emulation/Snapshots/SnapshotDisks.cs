using System.Diagnostics.CodeAnalysis;
using Vmm.Emulation.Block;
using Vmm.Emulation.Block.Qcow2;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Block;

namespace Vmm.Emulation.Snapshots;

/// <summary>
/// The disks of a machine that its guest may write, in the machine's snapshots. Each has an internal snapshot in its image, of the
/// same name as the machine's, which is told from others of that name by its time (<see cref="SavedDisk"/>). All disks get theirs, or go
/// back to theirs, or none does. The caller sees to it that the guest makes no requests; deleting is done beside them.
/// </summary>
/// <param name="devices">Those of the machine; disks that are only read or have no medium are passed over.</param>
public sealed class SnapshotDisks(IReadOnlyList<PlacedDevice> devices)
{
    private readonly BlockBackend[] _disks =
    [
        .. devices.Select(d => ((d.Device as IVirtioTransport)?.Device as VirtioBlk)?.Disk).OfType<BlockBackend>()
            .Where(d => !d.IsReadOnly && !d.IsEjected).OrderBy(d => d.Order),
    ];

    /// <summary>Refuses disks that can have no snapshots (QEMU, block/snapshot.c).</summary>
    /// <exception cref="SnapshotException">Which one, in QEMU's words.</exception>
    public void RequireSupport()
    {
        foreach (BlockBackend disk in _disks)
        {
            _ = ImageOf(disk);
        }
    }

    /// <summary>Whether a disk has a snapshot of a name.</summary>
    public bool Have(string tag) => _disks.Any(d => ImageOf(d).Snapshots.Any(s => s.Name == tag));

    /// <summary>What the disks' snapshots are going to be.</summary>
    /// <param name="at">The time of the machine's.</param>
    public SavedDisk[] Plan(DateTimeOffset at) =>
        [.. _disks.Select((disk, i) => new SavedDisk(NameOf(disk), FileOf(disk), at.ToUniversalTime().AddTicks(i)))];

    /// <summary>Makes the snapshots.</summary>
    /// <param name="saved">As planned.</param>
    /// <param name="clock">The guest's time.</param>
    /// <exception cref="SnapshotException">Why not; no disk has one then.</exception>
    public void Create(string tag, IReadOnlyList<SavedDisk> saved, TimeSpan clock) =>
        Together((disk, image) => image.CreateSnapshot(tag, Of(disk, saved)!.SavedAt, clock));

    /// <summary>Looks whether the disks can go back to a snapshot.</summary>
    /// <param name="saved">What the snapshot says of its disks.</param>
    /// <exception cref="SnapshotException">Why not.</exception>
    public void Require(string tag, IReadOnlyList<SavedDisk> saved)
    {
        if (saved.FirstOrDefault(s => _disks.All(d => NameOf(d) != s.Name)) is { } missing)
        {
            throw Mismatch(
                $"Snapshot '{tag}' is of a machine with the disk '{SnapshotFormat.Legible(missing.Name)}', which this one has not");
        }

        foreach (BlockBackend disk in _disks)
        {
            _ = Find(disk, ImageOf(disk), tag, saved);
        }
    }

    /// <summary>Takes the disks back to a snapshot.</summary>
    /// <exception cref="SnapshotException">Why not; all disks are then as they were.</exception>
    public void Apply(string tag, IReadOnlyList<SavedDisk> saved) =>
        Together((disk, image) => image.ApplySnapshot(Find(disk, image, tag, saved)));

    /// <summary>Deletes snapshots of a name, in each disk by itself. The guest may run.</summary>
    /// <param name="which">Those to delete.</param>
    /// <exception cref="SnapshotException">A disk cannot be written; others may have theirs no more.</exception>
    public void Delete(string tag, Func<BlockBackend, Qcow2Snapshot, bool> which)
    {
        foreach (BlockBackend disk in _disks)
        {
            disk.Use(() => Writing(() =>
            {
                if (disk.Image is Qcow2Node { IsReadOnly: false } image
                    && image.Snapshots.Where(s => s.Name == tag && which(disk, s)).ToArray() is { Length: > 0 } doomed)
                {
                    using Qcow2Change change = image.DeleteSnapshots(doomed);
                    change.Commit();
                }
            }));
        }
    }

    /// <summary>Deletes all snapshots of a name but those of a list.</summary>
    /// <exception cref="SnapshotException">A disk cannot be written.</exception>
    public void DeleteOthers(string tag, IReadOnlyList<SavedDisk> kept) => Delete(tag, (disk, s) => Of(disk, kept)?.SavedAt != s.Time);

    /// <summary>Deletes the snapshots of a list where they are.</summary>
    /// <returns>Images that are none of these disks' and still exist: theirs remain.</returns>
    /// <exception cref="SnapshotException">A disk cannot be written.</exception>
    public IReadOnlyList<string> DeleteListed(string tag, IReadOnlyList<SavedDisk> listed)
    {
        Delete(tag, (_, s) => listed.Any(l => l.SavedAt == s.Time));
        string[] here = [.. _disks.Where(d => d.Root != null).Select(FileOf)];
        return [.. listed.Select(l => l.File).Where(file => !here.Contains(file) && File.Exists(file))];
    }

    /// <summary>The snapshots of each disk, in the disks' order.</summary>
    public IEnumerable<(string Disk, Qcow2Snapshot Snapshot)> List() =>
        _disks.SelectMany(d => ((d.Image as Qcow2Node)?.Snapshots ?? []).Select(s => (NameOf(d), s)));

    /// <summary>Whether the disks have what a snapshot says of them.</summary>
    public bool Fit(string tag, IReadOnlyList<SavedDisk> saved)
    {
        try
        {
            Require(tag, saved);
            return true;
        }
        catch (SnapshotException)
        {
            return false;
        }
    }

    private static SavedDisk? Of(BlockBackend disk, IReadOnlyList<SavedDisk> saved) => saved.FirstOrDefault(s => s.Name == NameOf(disk));

    // As QEMU names a disk in messages.
    private static string NameOf(BlockBackend disk) => disk.Name.Length > 0 ? disk.Name : disk.NodeName;

    private static string FileOf(BlockBackend disk) => Path.GetFullPath(disk.Image?.FileName ?? ".");

    private static Qcow2Node ImageOf(BlockBackend disk) => disk.Image switch
    {
        Qcow2Node { IsReadOnly: false } image => image,
        null => throw Mismatch($"Device '{NameOf(disk)}' is not open"),
        _ => throw Mismatch($"Device '{NameOf(disk)}' is writable but does not support snapshots"),
    };

    private static Qcow2Snapshot Find(BlockBackend disk, Qcow2Node image, string tag, IReadOnlyList<SavedDisk> saved)
    {
        string None(string why) => $"Snapshot '{tag}' does not exist in one or more devices: {why}";
        SavedDisk wanted = Of(disk, saved) ?? throw Mismatch(None($"it was saved without '{NameOf(disk)}'"));
        Qcow2Snapshot[] named = [.. image.Snapshots.Where(s => s.Name == tag)];
        return named.FirstOrDefault(s => s.Time == wanted.SavedAt) ?? throw Mismatch(named.Length == 0
            ? None($"the image '{image.FileName}' of '{NameOf(disk)}' has none of that name")
            : None($"that of the image '{image.FileName}' of '{NameOf(disk)}' is another one; it was replaced, or made anew"));
    }

    // Each disk's change is prepared, then each is committed; where one fails, those before it are taken back.
    [SuppressMessage("Reliability", "CA2000", Justification = "All changes are disposed.")]
    private void Together(Func<BlockBackend, Qcow2Node, Qcow2Change> begin)
    {
        var changes = new List<Qcow2Change>();
        void From(int index)
        {
            if (index < _disks.Length)
            {
                _disks[index].Use(() =>
                {
                    changes.Add(begin(_disks[index], ImageOf(_disks[index])));
                    From(index + 1);
                });
                return;
            }

            int committed = 0;
            try
            {
                for (; committed < changes.Count; committed++)
                {
                    changes[committed].Commit();
                }
            }
            catch
            {
                changes.Take(committed).ToList().ForEach(c => c.Undo());
                throw;
            }
        }

        Writing(() =>
        {
            try
            {
                From(0);
            }
            finally
            {
                changes.ForEach(c => c.Dispose());
            }
        });
    }

    private static void Writing(Action write)
    {
        try
        {
            write();
        }
        catch (BlockException e)
        {
            throw new SnapshotException(SnapshotFault.Host, e.Message, e);
        }
    }

    private static SnapshotException Mismatch(string message) => new(SnapshotFault.Mismatch, message);
}
