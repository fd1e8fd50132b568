using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vcpu;
using Vmm.Actors.Vm;
using Vmm.Emulation.Block;
using Vmm.Emulation.Block.Qcow2;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Block;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Snapshots;

namespace Vmm.Actors.Tests;

/// <summary>A VM with two disks that is saved, loaded and cut off: both disks go with it, or none, and leftovers are found.</summary>
public sealed class DiskSnapshotTests : VmTestKit
{
    private const int Size = 1 << 20;

    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-disk-snapshots-").FullName;
    private readonly FakeJournal _journal = new();
    private readonly BlockBackend[] _disks;

    public DiskSnapshotTests()
    {
        _disks = [Disk("d0"), Disk("d1")];
        _machine.Disks = [.. _disks.Select(Place)];
    }

    protected override void AfterAll()
    {
        base.AfterAll();
        Shutdown(s_patience);
        Array.ForEach(_disks, d => d.Dispose());
        Directory.Delete(_folder, recursive: true);
    }

    private SnapshotStore Store => new(Path.Combine(_folder, "snapshots"));

    private string ImageOf(string name) => Path.Combine(_folder, $"{name}.qcow2");

    private BlockBackend Disk(string name, string format = "qcow2", bool readOnly = false)
    {
        string path = ImageOf(name);
        if (!File.Exists(path) && format == "qcow2")
        {
            BlockImage.CreateQcow2(path, new Qcow2Options { Size = Size, ClusterSize = 4096 });
        }
        else if (!File.Exists(path))
        {
            File.WriteAllBytes(path, new byte[Size]);
        }

        var disk = new BlockBackend(name, readOnly, () => BlockImage.Open(path, format, !readOnly, new ImageOptions()))
        {
            Order = name[^1],
        };
        disk.Open();
        return disk;
    }

    private PlacedDevice Place(BlockBackend disk)
    {
        var space = new PhysicalAddressSpace();
        space.AddMemory(_machine.Ram);
        var blk = new VirtioBlk(space, new VirtioBlkConfig("", disk));
        return new PlacedDevice($"virtio-{disk.Name}", new VirtioMmio(31, UnconnectedLine.New(), blk), new([], []));
    }

    private IActorRef StartVm()
    {
        _journal.PowerOn(_machine);
        var options = new VmOptions(VcpuManager.VcpuDispatcher, Patience.Limit, _ => { }) { Journal = _journal, Snapshots = Store };
        IActorRef vm = Sys.ActorOf(Props.Create(() => new VmSupervisor(_machine, options)));
        vm.Tell(new StartVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);
        return vm;
    }

    private void Ask<T>(IActorRef vm, IProtocolMessage request)
    {
        vm.Tell(request, TestActor);
        object answer = ExpectMsg<object>(s_patience);
        Assert.True(answer is T, $"{answer}");
    }

    private string Refused(IActorRef vm, IProtocolMessage request)
    {
        vm.Tell(request, TestActor);
        string reason = ExpectMsg<VmCommandRejected>(s_patience).Reason;
        AwaitStatus(vm, VmRunState.Running);
        return reason;
    }

    private static SaveSnapshot SaveOf(string tag, bool replace = true) => new(tag, replace, Compress: false);

    private static void Fill(BlockBackend disk, byte value)
    {
        byte[] bytes = new byte[Size];
        Array.Fill(bytes, value);
        Assert.Equal(Errno.None, disk.Root!.Write(0, bytes));
    }

    private static byte First(BlockBackend disk)
    {
        byte[] bytes = new byte[Size];
        Assert.Equal(Errno.None, disk.Root!.Read(0, bytes));
        Assert.True(bytes.AsSpan().IndexOfAnyExcept(bytes[0]) < 0);
        return bytes[0];
    }

    private void FillAll(byte value) => Array.ForEach(_disks, d => Fill(d, value));

    private void AllAre(byte value) => Assert.All(_disks, d => Assert.Equal(value, First(d)));

    private static string[] TagsOf(BlockBackend disk) => [.. ((Qcow2Node)disk.Image!).Snapshots.Select(s => s.Name)];

    [Fact]
    public void Disks_go_back_with_the_VM_and_their_snapshots_go_with_its_own()
    {
        FillAll(1);
        IActorRef vm = StartVm();
        Ask<SnapshotSaved>(vm, SaveOf("one"));
        FillAll(2);
        Ask<SnapshotSaved>(vm, SaveOf("two"));
        FillAll(3);
        Ask<SnapshotLoaded>(vm, new LoadSnapshot("one"));
        AllAre(1);
        Ask<SnapshotLoaded>(vm, new LoadSnapshot("two"));
        AllAre(2);

        // One of the same name takes its place, in the folder and in each image.
        Ask<SnapshotSaved>(vm, SaveOf("one"));
        Assert.All(_disks, d => Assert.Equal(["two", "one"], TagsOf(d)));
        FillAll(4);
        Ask<SnapshotLoaded>(vm, new LoadSnapshot("one"));
        AllAre(2);
        Assert.Equal(3, Store.Open("one").Manifest.Format);
        Ask<SnapshotDeleted>(vm, new DeleteSnapshot("one"));
        Assert.All(_disks, d => Assert.Equal(["two"], TagsOf(d)));
        Assert.False(Directory.Exists(Path.Combine(_folder, "snapshots", "one")));
        AwaitStatus(vm, VmRunState.Running);
    }

    /// <summary>The deletion runs beside the guest, and stands still before the write that makes it true.</summary>
    [Fact]
    public void Disk_is_resized_when_the_deletion_of_its_snapshot_has_ended()
    {
        string path = ImageOf("d2");
        BlockImage.CreateQcow2(path, new Qcow2Options { Size = Size, ClusterSize = 512 });
        HeldFile? file = null;
        using (var disk = new BlockBackend("d2", false, () => Qcow2Image.Open(
            file = new HeldFile(FileNode.Open(path, true, new ImageOptions())), true, new ImageOptions(), (_, _) => null!)))
        {
            disk.Open();
            Fill(disk, 1);
            _machine.Disks = [.. _machine.Disks, Place(disk)];
            IActorRef vm = StartVm();
            Ask<SnapshotSaved>(vm, SaveOf("one"));
            file!.Hold();
            vm.Tell(new DeleteSnapshot("one"), TestActor);
            AwaitCondition(() => file.IsHeld, s_patience);
            vm.Tell(new ResizeBlock("d2", 64 * Size), TestActor);
            ExpectNoMsg(TimeSpan.FromMilliseconds(300));
            file.LetGo();
            object[] answers = [ExpectMsg<object>(s_patience), ExpectMsg<object>(s_patience)];
            Assert.Contains(new BlockCommandDone(), answers);
            Assert.Contains(new SnapshotDeleted("one"), answers);
            Assert.Equal(64 * Size, disk.Size);
            Assert.Equal(Errno.None, disk.Root!.Write(63 * Size, new byte[] { 7, 8 }));
        }

        using BlockBackend again = Disk("d2");
        Assert.Equal(64 * Size, again.Size);
        byte[] bytes = new byte[2];
        Assert.Equal(Errno.None, again.Root!.Read(Size - 2, bytes));
        Assert.Equal([1, 1], bytes);
        Assert.Equal(Errno.None, again.Root.Read(63 * Size, bytes));
        Assert.Equal([7, 8], bytes);
    }

    [Fact]
    public void Disk_that_can_have_no_snapshot_is_named_and_one_that_is_read_only_passed_over()
    {
        using BlockBackend raw = Disk("r2", "raw");
        using BlockBackend readOnly = Disk("r3", "raw", readOnly: true);
        _machine.Disks = [.. _machine.Disks, Place(readOnly)];
        IActorRef vm = StartVm();
        Ask<SnapshotSaved>(vm, SaveOf("one"));
        _machine.Disks = [.. _machine.Disks, Place(raw)];
        foreach (IProtocolMessage request in new IProtocolMessage[] { SaveOf("two"), new LoadSnapshot("one"), new DeleteSnapshot("one") })
        {
            Assert.Equal("Device 'r2' is writable but does not support snapshots", Refused(vm, request));
        }

        Assert.False(Store.Exists("two"));
        Assert.True(Store.Exists("one"));
        Assert.All(_disks, d => Assert.Equal(["one"], TagsOf(d)));
    }

    [Fact]
    public void Disk_without_the_snapshot_or_with_another_one_leaves_the_VM_as_it_was()
    {
        FillAll(1);
        IActorRef vm = StartVm();
        Ask<SnapshotSaved>(vm, SaveOf("one"));
        FillAll(2);

        // The second disk has lost its snapshot, and then has another one of that name.
        Qcow2Node image = (Qcow2Node)_disks[1].Image!;
        using (Qcow2Change change = image.DeleteSnapshots(image.Snapshots))
        {
            change.Commit();
        }

        Assert.Contains("'d1' has none of that name", Refused(vm, new LoadSnapshot("one")), StringComparison.Ordinal);
        using (Qcow2Change change = image.CreateSnapshot("one", DateTimeOffset.UnixEpoch, TimeSpan.Zero))
        {
            change.Commit();
        }

        Assert.Contains("is another one", Refused(vm, new LoadSnapshot("one")), StringComparison.Ordinal);
        AllAre(2);
        vm.Tell(new GetSnapshots(), TestActor);
        SnapshotList list = ExpectMsg<SnapshotList>(s_patience);
        Assert.Equal(["snapshots", "d0", "d1"], list.Places);
        Assert.Equal(["", "1", "1"], list.Ids);
        Assert.Contains("already exists in one or more devices", Refused(vm, SaveOf("one", replace: false)), StringComparison.Ordinal);

        _disks[1].Close();
        Assert.Equal("Device 'd1' is not open", Refused(vm, SaveOf("three")));
        _disks[1].Open();
        Ask<SnapshotSaved>(vm, SaveOf("one"));
        Assert.All(_disks, d => Assert.Equal(["one"], TagsOf(d)));
    }

    /// <summary>
    /// Refcounts of one bit cannot count a second reference: the last disk refuses when the others are prepared already.
    /// </summary>
    [Fact]
    public void Second_disk_that_cannot_be_saved_leaves_the_first_without_a_snapshot()
    {
        BlockImage.CreateQcow2(ImageOf("d2"), new Qcow2Options { Size = Size, RefcountBits = 1 });
        using BlockBackend narrow = Disk("d2");
        Fill(narrow, 1);
        FillAll(1);
        _machine.Disks = [.. _machine.Disks, Place(narrow)];
        IActorRef vm = StartVm();
        Assert.Contains("refcounts of 1 bits", Refused(vm, SaveOf("one")), StringComparison.Ordinal);
        Assert.All(_disks, d => Assert.Empty(TagsOf(d)));
        Assert.False(Directory.Exists(Path.Combine(_folder, "snapshots", "one")));
        _machine.Disks = [.. _machine.Disks.Take(2)];
        Ask<SnapshotSaved>(vm, SaveOf("two"));
        FillAll(2);
        Ask<SnapshotLoaded>(vm, new LoadSnapshot("two"));
        AllAre(1);
    }

    [Fact]
    public void Reset_under_way_ends_before_the_disks_go_back()
    {
        FillAll(1);
        IActorRef vm = StartVm();
        Ask<SnapshotSaved>(vm, SaveOf("one"));
        FillAll(2);
        int resets = _machine.Resets;
        vm.Tell(new ResetVm(), TestActor);
        vm.Tell(new LoadSnapshot("one"), TestActor);
        FishForMessage(m => m is SnapshotLoaded, s_patience);
        AllAre(1);
        Assert.Equal(resets + 1, _machine.Resets);
        AwaitStatus(vm, VmRunState.Running);
    }

    /// <summary>A kill between the disks and the manifest, and between the folder and the disks.</summary>
    [Fact]
    public void What_a_kill_leaves_in_the_images_is_deleted_at_the_next_start_or_named()
    {
        IActorRef vm = StartVm();
        Ask<SnapshotSaved>(vm, SaveOf("kept"));
        Ask<SnapshotSaved>(vm, SaveOf("gone"));
        var disks = new SnapshotDisks(_machine.Devices);
        using (SnapshotSave save = Store.Save("half", replace: true))
        {
            SavedDisk[] planned = disks.Plan(DateTimeOffset.UtcNow);
            save.WriteDisks(planned);
            disks.Create("half", planned, TimeSpan.Zero);
        }

        using (SnapshotSave save = Store.Save("kept", replace: true))
        {
            SavedDisk[] planned = disks.Plan(DateTimeOffset.UtcNow);
            save.WriteDisks(planned);
            disks.Create("kept", planned, TimeSpan.Zero);
        }

        Store.Remove("gone");
        Assert.All(_disks, d => Assert.Equal(["kept", "gone", "half", "kept"], TagsOf(d)));

        // A start with one of the disks alone settles that one, and names the image of the other.
        IReadOnlyList<string> left = Store.SettleDisks(new SnapshotDisks([_machine.Disks[0]]));
        Assert.Equal(["gone", "half", "kept"], left.Select(l => l.Split("'")[3]).Order(StringComparer.Ordinal));
        Assert.All(left, l => Assert.StartsWith($"'{ImageOf("d1")}' has a snapshot", l, StringComparison.Ordinal));
        Assert.Equal(["kept"], TagsOf(_disks[0]));
        Assert.Empty(Store.CleanUp());
        Assert.Empty(Store.SettleDisks(disks));
        Assert.All(_disks, d => Assert.Equal(["kept"], TagsOf(d)));
        Assert.Equal(["kept"], Directory.GetDirectories(Path.Combine(_folder, "snapshots")).Select(Path.GetFileName));
        FillAll(7);
        Ask<SnapshotLoaded>(vm, new LoadSnapshot("kept"));
        AllAre(0);
        Store.NoteLoading("kept", begins: true);
        Assert.Equal(["kept"], Store.TakeCutOffLoads());
        Assert.Empty(Store.TakeCutOffLoads());
    }

    /// <summary>An image's file that can keep the next write of its header waiting.</summary>
    private sealed class HeldFile(BlockNode file) : FilterNode(file)
    {
        // The first byte that a change of the snapshots writes of the header.
        private const int DiskSize = 24;

        private readonly ManualResetEventSlim _go = new(true);

        public override string Driver => "held";

        public volatile bool IsHeld;

        public void Hold() => _go.Reset();

        public void LetGo() => _go.Set();

        public override Errno Write(long offset, ReadOnlySpan<byte> data)
        {
            if (offset == DiskSize && !_go.IsSet && !IsHeld)
            {
                IsHeld = true;
                _go.Wait(s_patience);
            }

            return base.Write(offset, data);
        }

        protected override void Close()
        {
            _go.Dispose();
            base.Close();
        }
    }
}
