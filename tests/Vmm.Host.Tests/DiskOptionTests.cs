using Vmm.Emulation.Block;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Block;
using Vmm.Host.Options;

namespace Vmm.Host.Tests;

/// <summary>Disks on the command line: which images and devices they make, and what is refused.</summary>
public sealed class DiskOptionTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-disks-");
    private readonly List<VirtioConfig> _made = [];

    public DiskOptionTests()
    {
        File.WriteAllBytes(Raw, new byte[1 << 20]);
        BlockImage.CreateQcow2(Qcow2, new() { Size = 2 << 20 });
    }

    private string Raw => Path.Combine(_folder.FullName, "raw.img");

    private string Qcow2 => Path.Combine(_folder.FullName, "disk.qcow2");

    public void Dispose()
    {
        _made.ForEach(d => d.Dispose());
        _folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData("-drive file=RAW,format=raw", "virtio0 raw 1048576")]
    [InlineData("-drive file=RAW -hda QCOW2.raw", "virtio0 raw 1048576|virtio1 raw 512")]
    [InlineData("-drive if=none,id=a,file=QCOW2,format=qcow2 -device virtio-blk-device,drive=a,serial=S", "a qcow2 2097152 S")]
    [InlineData("-blockdev driver=qcow2,node-name=n,file.driver=file,file.filename=QCOW2 "
        + "-device virtio-blk-device,drive=n", "n qcow2 2097152")]
    [InlineData("-blockdev driver=file,node-name=f,filename=QCOW2 -blockdev driver=qcow2,node-name=n,file=f "
        + "-device virtio-blk-device,drive=n", "n qcow2 2097152")]
    [InlineData("-drive file=RAW,format=raw,id=x -drive if=none,id=y,file=QCOW2,format=qcow2 -device virtio-blk-device,drive=y",
        "y qcow2 2097152|x raw 1048576")]
    public void Disks_are_those_of_QEMU_in_its_order(string line, string disks)
    {
        File.WriteAllBytes(Qcow2 + ".raw", new byte[512]);
        Assert.Equal(disks, string.Join('|', Make(line).Select(d =>
            $"{(d.Disk.Name.Length > 0 ? d.Disk.Name : d.Disk.NodeName)} {d.Disk.Root!.Driver} {d.Disk.Size}"
            + $"{(d.Serial.Length > 0 ? $" {d.Serial}" : "")}")));
    }

    [Fact]
    public void Json_is_the_same_as_names_with_dots()
    {
        VirtioBlkConfig disk = Assert.Single(Make([
            "-blockdev", $"{{\"driver\":\"qcow2\",\"node-name\":\"n\",\"file\":{{\"driver\":\"file\",\"filename\":\"{Qcow2}\"}}}}",
            "-device", "{\"driver\":\"virtio-blk-device\",\"drive\":\"n\",\"num-queues\":4,\"rerror\":\"stop\",\"packed\":true}"]));
        Assert.Equal((4, BlockErrorPolicy.Stop, true), (disk.Queues, disk.ReadError, disk.Rings.HasFlag(VirtioFeatures.PackedRings)));
    }

    [Fact]
    public void Snapshot_leaves_the_image_as_it_is()
    {
        VirtioBlkConfig disk = Assert.Single(Make("-snapshot -drive file=RAW,format=raw"));
        Assert.Equal(Errno.None, disk.Disk.Root!.Write(0, new byte[] { 1, 2, 3 }));
        disk.Dispose();
        Assert.Equal(new byte[1 << 20], File.ReadAllBytes(Raw));
    }

    [Fact]
    public void Image_is_not_opened_twice_and_not_before_a_migration_arrives()
    {
        Make("-drive file=RAW,format=raw");
        Assert.Contains("is in use", Refusal("-drive file=RAW,format=raw"), StringComparison.Ordinal);
        Assert.Null(Assert.Single(Make("-drive file=RAW,format=raw -incoming defer")).Disk.Root);
    }

    [Theory]
    [InlineData("-drive file=QCOW2", "looks like a qcow2 image: give its format")]
    [InlineData("-drive file=RAW,format=vmdk", "'vmdk' invalid format: raw and qcow2 are supported")]
    [InlineData("-drive file=RAW,if=scsi", "machine type does not support if=scsi: give if=virtio, if=none or if=pflash")]
    [InlineData("-drive file=RAW,aio=io_uring", "aio=io_uring is not supported; aio=threads is")]
    [InlineData("-drive file=RAW,copy-on-read=on", "'copy-on-read=on' is not supported")]
    [InlineData("-drive file=RAW,detect-zeroes=unmap", "not allowed without setting discard operation to unmap")]
    [InlineData("-drive file=RAW,cache=fast", "invalid cache option")]
    [InlineData("-drive file=RAW,werror=explode", "'explode' invalid write error action")]
    [InlineData("-drive file=RAW,throttling.bps-total=1,throttling.bps-read=1", "excludes")]
    [InlineData("-drive file=/nowhere,format=raw", "'/nowhere' cannot be opened: No such file or directory")]
    [InlineData("-drive format=raw", "give file=")]
    [InlineData("-device virtio-blk-device,drive=a", "Property 'drive' can't find value 'a'")]
    [InlineData("-device virtio-blk-device", "drive property not set")]
    [InlineData("-drive id=a,if=none,file=RAW -device virtio-blk-device,drive=a,wce=on", "Property 'virtio-blk-device.wce' not found")]
    [InlineData("-drive id=a,file=RAW -device virtio-blk-device,drive=a", "Drive 'a' is already in use by another block device")]
    [InlineData("-drive id=a,file=RAW -drive id=a,file=RAW", "Duplicate ID 'a' for drive")]
    [InlineData("-drive id=a,if=none,file=RAW -device virtio-blk-device,drive=a,queue-size=100", "it's not a power of 2")]
    [InlineData("-blockdev driver=nbd,node-name=a", "the driver 'nbd' is not supported")]
    [InlineData("-blockdev driver=raw,file.filename=RAW", "'node-name' must be specified for the root node")]
    public void Wrong_says_what_in_one_line(string line, string message) =>
        Assert.Contains(message, Refusal(line), StringComparison.Ordinal);

    private string Refusal(string line)
    {
        string said = Assert.Throws<OptionException>(() => Make(line)).Message;
        Assert.DoesNotContain('\n', said);
        return said;
    }

    private VirtioBlkConfig[] Make(string line) => Make(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    private VirtioBlkConfig[] Make(string[] words)
    {
        string[] arguments = [.. words.Select(w => w
            .Replace("RAW", Raw, StringComparison.Ordinal).Replace("QCOW2", Qcow2, StringComparison.Ordinal))];
        MachineOptions machine = CommandLine.Parse(["-kernel", Raw, .. arguments]).Machine;
        IReadOnlyList<VirtioConfig> made = Disks.Make(machine.Disks, machine.DiskDevices, machine.Snapshot, !machine.IsIncoming);
        _made.AddRange(made);
        return [.. made.Cast<VirtioBlkConfig>()];
    }
}
