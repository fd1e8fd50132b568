using System.Text;
using Vmm.Emulation.Block.Qcow2;

namespace Vmm.Emulation.Block;

/// <summary>
/// Internal snapshots of a single disk, which are made and deleted while the guest has it (QEMU, blockdev.c, whose words these are). They
/// are in the disk's image, beside those of the whole VM.
/// </summary>
public static class BlockSnapshots
{
    // QEMU keeps a name in an array of 256 bytes.
    private const int MaxNameBytes = 255;

    /// <summary>Makes a snapshot of the disk as it is. No request is under way.</summary>
    /// <param name="name">No other snapshot of the image may have it.</param>
    /// <param name="device">What people call the disk.</param>
    /// <param name="vmClock">How long the guest has run.</param>
    /// <exception cref="BlockException">Why not, as one line; the disk is as it was.</exception>
    public static void Create(BlockBackend disk, string device, string name, TimeSpan vmClock) => disk.Use(() =>
    {
        RequireWritable(disk, device);
        Qcow2Node image = disk.Image as Qcow2Node ?? throw new BlockException(
            $"Block format '{disk.Image?.Driver}' used by device '{device}' does not support internal snapshots");
        if (name.Length == 0 || Encoding.UTF8.GetByteCount(name) > MaxNameBytes)
        {
            throw new BlockException(name.Length == 0 ? "Name is empty" : $"Name has more than {MaxNameBytes} bytes");
        }

        if (image.Snapshots.Any(s => s.Name == name))
        {
            throw new BlockException($"Snapshot with name '{name}' already exists on device '{device}'");
        }

        try
        {
            using Qcow2Change change = image.CreateSnapshot(name, DateTimeOffset.UtcNow, vmClock);
            change.Commit();
        }
        catch (BlockException e)
        {
            throw new BlockException($"Failed to create snapshot '{name}' on device '{device}': {e.Message}");
        }
    });

    /// <summary>Deletes a snapshot. No request is under way.</summary>
    /// <param name="device">What people call the disk.</param>
    /// <param name="id">Its number in the image; null for any.</param>
    /// <param name="name">Its name; null for any. The first one that fits both is meant.</param>
    /// <returns>What was deleted.</returns>
    /// <exception cref="BlockException">Why not, as one line; the disk is as it was.</exception>
    public static Qcow2Snapshot Delete(BlockBackend disk, string device, string? id, string? name)
    {
        Qcow2Snapshot? deleted = null;
        disk.Use(() =>
        {
            if (id == null && name == null)
            {
                throw new BlockException("Name or id must be provided");
            }

            Qcow2Node image = disk.Image as Qcow2Node
                ?? throw new BlockException("Failed to get a snapshot list: Operation not supported");
            deleted = image.Snapshots.FirstOrDefault(s => (id == null || s.Id == id) && (name == null || s.Name == name))
                ?? throw new BlockException(
                    $"Snapshot with id '{id ?? "null"}' and name '{name ?? "null"}' does not exist on device '{device}'");
            RequireWritable(disk, device);
            using Qcow2Change change = image.DeleteSnapshots([deleted]);
            change.Commit();
        });
        return deleted!;
    }

    private static void RequireWritable(BlockBackend disk, string device)
    {
        if (disk.IsReadOnly)
        {
            throw new BlockException($"Device '{device}' is read only");
        }
    }
}
