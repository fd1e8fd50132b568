using Vmm.Emulation.Block;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Devices.Pci;
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
    [InlineData("-hda RAW -drive file=QCOW2.raw", "virtio0 raw 1048576|virtio1 raw 512")]
    [InlineData("-cdrom RAW -hdb QCOW2.raw", "virtio2 raw 1048576|virtio1 raw 512")]
    [InlineData("-drive if=none,id=a,file=QCOW2,format=qcow2 -device virtio-blk-device,drive=a,serial=S", "a qcow2 2097152 S")]
    [InlineData("-blockdev driver=qcow2,node-name=n,file.driver=file,file.filename=QCOW2 "
        + "-device virtio-blk-device,drive=n", "n qcow2 2097152")]
    [InlineData("-blockdev driver=file,node-name=f,filename=QCOW2 -blockdev driver=qcow2,node-name=n,file=f "
        + "-device virtio-blk-device,drive=n", "n qcow2 2097152")]
    [InlineData("-drive file=RAW,format=raw,id=a,node-name=n", "a raw 1048576")]
    [InlineData("-drive file=RAW,format=raw,id=x -drive if=none,id=y,file=QCOW2,format=qcow2 -device virtio-blk-device,drive=y",
        "x raw 1048576|y qcow2 2097152")]
    public void Disks_are_those_of_QEMU_in_its_order(string line, string disks)
    {
        File.WriteAllBytes(Qcow2 + ".raw", new byte[512]);
        Assert.Equal(disks, string.Join('|', Make(line).Select(d =>
            $"{(d.Disk.Name.Length > 0 ? d.Disk.Name : d.Disk.NodeName)} {d.Disk.Root!.Driver} {d.Disk.Size}"
            + $"{(d.Serial.Length > 0 ? $" {d.Serial}" : "")}")));
    }

    [Fact]
    public void Disks_are_on_PCI_in_the_order_of_devices_with_a_queue_of_each_CPU()
    {
        File.WriteAllBytes(Qcow2 + ".raw", new byte[512]);
        MachineConfig config = CommandLine.Parse([
            "-kernel", Raw, "-smp", "2,maxcpus=4", "-drive", $"file={Raw}", "-device", "virtio-rng-pci", "-device", "pcie-root-port,id=rp",
            "-drive", $"if=none,id=d,file={Qcow2}.raw", "-device", "virtio-blk-pci,drive=d,bus=rp,vectors=2,bootindex=1",
            "-device", "virtio-rng-pci,id=last"]).Machine.ToConfig();
        _made.AddRange(config.PciDevices.OfType<VirtioPciConfig>().Select(d => d.Device));
        using var board = new VirtBoard(config);
        PciFunction[] functions = [.. board.Devices.Select(d => d.Device).OfType<PciFunction>()];
        Assert.Equal("01.0 02.0 00.0 03.0 04.0", string.Join(' ', functions.Select(f => f.Slot)));
        Assert.Equal("rp virtio0", string.Join(' ', board.Devices.Select(d => d.Device).OfType<VirtioPci>()
            .Select(p => ((IVirtioTransport)p).Device).OfType<VirtioBlk>().Select(b => b.Disk.Name == "d" ? "rp" : b.Disk.Name)));
        Assert.Equal(["/pci@ffffffffffffffff/pci-bridge@2/scsi@0/disk@0,0"],
            board.Devices.Select(d => d.Boot?.Path).OfType<string>());
        Assert.Equal((2, 2), (((VirtioPciConfig)config.PciDevices[^1]).Device is VirtioBlkConfig disk ? disk.Queues : 0,
            ((VirtioPciConfig)config.PciDevices[2]).Vectors));
        Assert.Equal(["/machine/peripheral-anon/device[0]", "/machine/peripheral/rp", "/machine/peripheral-anon/device[1]",
            "/machine/peripheral/last", "/machine/peripheral-anon/device[2]"],
            board.Devices.Where(d => d.Device is PciFunction).Select(d => d.QomPath));
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

    [Fact]
    public void Disks_of_a_group_share_its_limits()
    {
        VirtioBlkConfig[] disks = Make(
            "-object throttle-group,id=g,limits.iops-total=100,x-bps-read=5 "
            + "-blockdev driver=raw,node-name=n,file.driver=file,file.filename=RAW "
            + "-blockdev driver=throttle,node-name=t,throttle-group=g,file=n "
            + "-device virtio-blk-device,drive=t -drive file=QCOW2,format=qcow2,throttling.group=h,throttling.bps-write=7");
        Assert.Equal(["g", "h"], disks.Select(d => d.Disk.Limits!.Name));
        Assert.Equal((100, 5), (Limit(disks[0], "iops-total"), Limit(disks[0], "bps-read")));
        Assert.Equal((0, 7), (Limit(disks[1], "iops-total"), Limit(disks[1], "bps-write")));
        Assert.All(disks, d => Assert.IsType<ThrottleNode>(d.Disk.Root));
        Assert.Equal("t", disks[0].Disk.NodeName);

        static long Limit(VirtioBlkConfig disk, string name) =>
            disk.Disk.Limits!.Limits.Values[ThrottleLimits.Names.ToList().IndexOf(name)];
    }

    [Fact]
    public void Images_come_and_go_while_the_machine_runs()
    {
        MachineOptions options = CommandLine.Parse([
            "-kernel", Raw, "-object", "throttle-group,id=g,limits.iops-total=100",
            "-blockdev", $"driver=raw,node-name=n,file.driver=file,file.filename={Raw}"]).Machine;
        using var maker = new DeviceMaker(options, options.ToConfig());
        maker.AddImage($"if=none,id=d,file={Qcow2},format=qcow2", isNode: false);
        maker.AddImage("{\"driver\":\"throttle\",\"node-name\":\"t\",\"throttle-group\":\"g\",\"file\":\"n\"}", isNode: true);
        Assert.Equal("d t", string.Join(' ', Unused()));
        Assert.Equal("Duplicate ID 'd' for drive", Refusal(() => maker.AddImage($"if=none,id=d,file={Raw}", false)));
        Assert.Equal("a drive that is added has no device yet: give if=none", Refusal(() => maker.AddImage($"file={Raw}", false)));
        Assert.Equal("Duplicate nodes with node-name='n'",
            Refusal(() => maker.AddImage($"driver=raw,node-name=n,file.filename={Raw}", true)));
        Assert.Equal("'/nowhere' cannot be opened: No such file or directory",
            Refusal(() => maker.AddImage("driver=raw,node-name=x,file.filename=/nowhere", true)));
        Assert.Equal("Throttle group 'h' does not exist",
            Refusal(() => maker.AddImage("driver=throttle,node-name=x,throttle-group=h,file=n", true)));
        Assert.Equal("Failed to find node with node-name='x'", Refusal(() => maker.RemoveImage("x", true)));
        Assert.Equal("Failed to find node with node-name='d'", Refusal(() => maker.RemoveImage("d", true)));
        Assert.Equal("Device 'x' not found", Refusal(() => maker.RemoveImage("x", false)));
        Assert.Equal("Block device n is in use", Refusal(() => maker.RemoveImage("n", true)));

        // A device takes them, and they cannot go, but for the medium of a drive.
        PciDeviceConfig drive = maker.Make([("driver", "virtio-blk-pci"), ("drive", "d")]);
        PciDeviceConfig node = maker.Make([("driver", "virtio-blk-pci"), ("drive", "t")]);
        Assert.Equal("g", ((VirtioBlkConfig)((VirtioPciConfig)node).Device).Disk.Limits!.Name);
        Assert.Empty(Unused());
        Assert.Equal("Node t is in use", Refusal(() => maker.RemoveImage("t", true)));
        Assert.False(maker.RemoveImage("d", false));
        node.Dispose();
        maker.Left(node);
        drive.Dispose();
        maker.Left(drive);
        Assert.Equal("t", string.Join(' ', Unused()));
        Assert.True(maker.RemoveImage("t", true));
        Assert.True(maker.RemoveImage("n", false));
        Assert.Empty(Unused());

        static string Refusal(Action action) => Assert.Throws<InvalidDataException>(action).Message;

        string[] Unused()
        {
            IReadOnlyList<BlockBackend> disks = maker.OpenUnused();
            string[] names = [.. disks.Select(d => d.Name.Length > 0 ? d.Name : d.NodeName)];
            Assert.All(disks, d => Assert.NotNull(d.Root));
            disks.ToList().ForEach(d => d.Dispose());
            return names;
        }
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
    [InlineData("-drive file=RAW,node-name=n -drive file=RAW,node-name=n", "Duplicate nodes with node-name='n'")]
    [InlineData("-drive file=RAW,id=n,node-name=n", "Device name 'n' conflicts with an existing node name")]
    [InlineData("-drive file=RAW,id=a,node-name=n -drive file=RAW,id=n", "Device name 'n' conflicts with an existing node name")]
    [InlineData("-drive file=RAW,id=n -drive file=RAW,node-name=n", "node-name=n is conflicting with a device id")]
    [InlineData("-blockdev driver=file,filename=RAW,node-name=n -drive file=RAW,id=n",
        "Device name 'n' conflicts with an existing node name")]
    [InlineData("-drive file=RAW,node-name=1n", "Invalid node-name: '1n'")]
    [InlineData("-drive id=a,if=none,file=RAW -device virtio-blk-device,drive=a,queue-size=100", "it's not a power of 2")]
    [InlineData("-hda RAW -drive file=QCOW2.raw,index=0", "drive with bus=0, unit=0 (index=0) exists")]
    [InlineData("-drive if=none,id=a,file=RAW -device virtio-blk-device,drive=a,addr=3", "Property 'virtio-blk-device.addr' not found")]
    [InlineData("-drive if=none,id=a,file=RAW -device virtio-blk-pci,drive=a,addr=20", "'virtio-blk-pci.addr' doesn't take value '20'")]
    [InlineData("-drive if=none,id=a,file=RAW -device virtio-blk-pci,drive=a,addr=0", "PCI: slot 0 function 0 not available")]
    [InlineData("-drive if=none,id=a,file=RAW -device virtio-blk-pci,drive=a,bus=nowhere", "Bus 'nowhere' not found")]
    [InlineData("-drive if=none,id=a,file=RAW -device virtio-blk-pci,drive=a,disable-legacy=off", "it is a modern device")]
    [InlineData("-drive if=none,id=a,file=RAW -device virtio-blk-pci,drive=a,bootindex=1 "
        + "-drive if=none,id=b,file=QCOW2.raw -device virtio-blk-pci,drive=b,bootindex=1", "The bootindex 1 has already been used")]
    [InlineData("-drive if=none,id=a,file=RAW -device virtio-blk-pci,drive=a,id=x "
        + "-device virtio-rng-pci,id=x", "Duplicate device ID 'x'")]
    [InlineData("-object throttle-group,id=g,iops-total=1", "Property 'throttle-group.iops-total' not found")]
    [InlineData("-object throttle-group,id=g,limits.iops-max=1", "there is no limit 'throttling.iops-max'")]
    [InlineData("-blockdev driver=raw,node-name=n,file.filename=RAW -blockdev driver=throttle,node-name=t,throttle-group=g,file=n "
        + "-device virtio-blk-device,drive=t", "Throttle group 'g' does not exist")]
    [InlineData("-blockdev driver=throttle,node-name=t,file=n", "Parameter 'throttle-group' is missing")]
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
        MachineConfig config = machine.ToConfig();
        VirtioBlkConfig[] made =
            [.. config.VirtioMmio.Concat(config.PciDevices.OfType<VirtioPciConfig>().Select(d => d.Device))
                .OfType<VirtioBlkConfig>().OrderBy(d => d.Disk.Order)];
        _made.AddRange(made);
        return made;
    }
}
