using Vmm.Management.Commands;
using Vmm.Management.Qapi;

namespace Vmm.Management.Hmp;

/// <summary>Commands for people about disks that come and go, their limits and their overlays.</summary>
internal static class HmpBlockCommands
{
    private static readonly string[] s_limits = ["bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"];

    public static void Register(HmpCommandTable table, BlockCommands blocks)
    {
        var device = new HmpParameter("device", HmpParameterKind.Text);
        table.Add(
            "drive_add", "[-n] [[<domain>:]<bus>:]<slot> file=file,if=none,id=name,...", "add drive (-n: a node, as -blockdev has it)",
            [new("-n", HmpParameterKind.Flag), new("slot", HmpParameterKind.Text), new("opts", HmpParameterKind.Text)],
            async (arguments, _) =>
            {
                bool isNode = arguments.Has("-n");
                await Plainly(blocks.Add(arguments.Text("opts"), isNode)).ConfigureAwait(false);
                return isNode ? "" : "OK";
            });
        table.Add("drive_del", "device", "remove host block device", [new("id", HmpParameterKind.Text)],
            (arguments, _) => Plainly(blocks.Remove(arguments.Text("id"), isNode: false)));
        table.Add(
            "block_set_io_throttle", $"device {string.Join(' ', s_limits)}", "change I/O throttle limits for a block drive",
            [device, .. s_limits.Select(l => new HmpParameter(l, HmpParameterKind.Expression))],
            (arguments, _) =>
            {
                long[] l = [.. s_limits.Select(arguments.Number)];
                return HmpCommands.Silently(blocks.Limit(new BlockIoThrottle(
                    arguments.Text(device.Name), null, l[0], l[1], l[2], l[3], l[4], l[5], null, null, null, null, null, null, null, null,
                    null, null, null, null, null, null)));
            });
        table.Add(
            "snapshot_blkdev", "[-n] device new-image-file [format]",
            "initiates a live snapshot of device: new-image-file takes what is written from now on (-n: it was made before)",
            [
                new("-n", HmpParameterKind.Flag), device, new("snapshot-file", HmpParameterKind.Text, Optional: true),
                new("format", HmpParameterKind.Text, Optional: true),
            ],
            (arguments, _) => HmpCommands.Silently(blocks.PutOverlay(new BlockdevSnapshotSync(
                arguments.Text(device.Name), null,
                arguments.TextOrNull("snapshot-file") ?? throw new QapiException("Parameter 'snapshot-file' is missing"), null,
                arguments.TextOrNull("format"), arguments.Has("-n") ? NewImageMode.Existing : null))));
        var name = new HmpParameter("name", HmpParameterKind.Text);
        table.Add(
            "snapshot_blkdev_internal", "device name",
            "take an internal snapshot of device. The format of the image used by device must support it, such as qcow2.",
            [device, name],
            (arguments, _) => HmpCommands.Silently(blocks.MakeSnapshot(
                new BlockdevSnapshotInternal(arguments.Text(device.Name), arguments.Text(name.Name)))));
        table.Add(
            "snapshot_delete_blkdev_internal", "device name [id]",
            "delete an internal snapshot of device; where id is given, the snapshot must match both id and name",
            [device, name, new("id", HmpParameterKind.Text, Optional: true)],
            (arguments, _) => HmpCommands.Silently(blocks.DeleteSnapshot(new BlockdevSnapshotDeleteInternalArguments(
                arguments.Text(device.Name), arguments.TextOrNull("id"), arguments.Text(name.Name)))));    }

    // QEMU has no "Error:" before what these two say.
    private static async Task<string> Plainly(Task command)
    {
        try
        {
            return await HmpCommands.Silently(command).ConfigureAwait(false);
        }
        catch (QapiException e)
        {
            throw new HmpException(e.Message);
        }
    }
}
