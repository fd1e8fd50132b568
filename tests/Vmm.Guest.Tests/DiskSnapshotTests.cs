using Vmm.Emulation.Boards;
using Vmm.Host.Options;

namespace Vmm.Guest.Tests;

/// <summary>
/// Debian's kernel with a file system on a disk that goes back to a snapshot with the VM: what the kernel has in its cache and what is on
/// the disk are of one time. Debian's own tools look at the image afterwards.
/// </summary>
public sealed class DiskSnapshotTests : IDisposable
{
    private const string DropCaches = "sync; echo 3 > /proc/sys/vm/drop_caches";

    private readonly DiskFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Files_are_those_of_the_snapshot_in_this_VM_and_in_another_one()
    {
        string image = _folder.MakeImage("qcow2");
        string[] drive = ["-drive", $"if=none,id=d0,file={image},format=qcow2,discard=unmap", "-device", "virtio-blk-pci,drive=d0"];
        string states = _folder.PathOf("state");
        MachineConfig config = await DiskFolder.ConfigAsync(acpi: true, drive);
        string sum;
        using (StateFolder state = StateFolder.Open(states))
        await using (ShellVm vm = await ShellVm.StartAsync(config, state))
        {
            await DiskFolder.MountAsync(vm);

            // Part of it is in the kernel's memory alone when the VM is saved.
            Assert.Equal("", await vm.Shell.RunAsync("dd if=/dev/urandom of=/m/file bs=64k count=150 2>/dev/null; sync"));
            Assert.Equal("", await vm.Shell.RunAsync("for i in $(seq 50); do echo $i > /m/small$i; done; echo before > /m/when"));
            sum = await vm.Shell.RunAsync("md5sum < /m/file");
            Assert.Equal("", await vm.MonitorAsync("savevm one"));
            await ChangeAsync(vm);
            Assert.Equal("", await vm.MonitorAsync("savevm two"));
            Assert.Equal("", await vm.MonitorAsync("loadvm one"));
            await RequireOldAsync(vm, sum);
            Assert.Equal("", await vm.Shell.RunAsync("rm /m/file; dd if=/dev/urandom of=/m/file bs=64k count=99 2>/dev/null"));
            Assert.Equal("", await vm.Shell.RunAsync(DropCaches));
            Assert.Equal("", await vm.MonitorAsync("loadvm two"));
            Assert.Equal("after", (await vm.Shell.RunAsync($"{DropCaches}; cat /m/when")).Trim());
            Assert.Equal("", await vm.MonitorAsync("delvm two"));
            Assert.Contains(" one ", await vm.MonitorAsync("info snapshots"), StringComparison.Ordinal);
            Assert.Contains("does not exist", await vm.MonitorAsync("loadvm two"), StringComparison.Ordinal);

            // The VM ends here as it is, with the file system mounted and written.
            await ChangeAsync(vm);
        }

        DiskFolder.Close(config);
        DiskFolder.Run("qemu-img", "check", "-q", "-f", "qcow2", image);
        MachineConfig other = await DiskFolder.ConfigAsync(acpi: true, drive);
        using (StateFolder state = StateFolder.Open(states))
        await using (ShellVm vm = await ShellVm.LoadAsync(other, state, "one"))
        {
            await RequireOldAsync(vm, sum);
            Assert.Equal("", await vm.Shell.RunAsync("cp /m/file /m/copy; sync; umount /m"));
            await vm.PowerOffAsync();
        }

        DiskFolder.Close(other);
        Assert.Equal(sum.Split(' ')[0], _folder.SumOf(image, "qcow2"));
    }

    private static async Task ChangeAsync(ShellVm vm)
    {
        Assert.Equal("", await vm.Shell.RunAsync("rm -r /m/*; mkdir /m/d; echo after > /m/when"));
        Assert.Equal("", await vm.Shell.RunAsync("dd if=/dev/urandom of=/m/d/other bs=64k count=200 2>/dev/null"));
        Assert.Equal("", await vm.Shell.RunAsync(DropCaches));
    }

    private static async Task RequireOldAsync(ShellVm vm, string sum)
    {
        Assert.Equal(sum, await vm.Shell.RunAsync("md5sum < /m/file"));
        Assert.Equal(sum, await vm.Shell.RunAsync($"{DropCaches}; md5sum < /m/file"));
        Assert.Equal("before 50", (await vm.Shell.RunAsync("echo $(cat /m/when) $(cat /m/small50)")).Trim());
        Assert.Equal("", await vm.Shell.RunAsync("ls /m | grep -x d"));
    }

    /// <summary>Each snapshot of a disk under load holds a file system as a cut of the power would leave it.</summary>
    [Fact]
    public async Task Disk_gets_snapshots_and_loses_them_while_the_guest_writes()
    {
        string image = _folder.MakeImage("qcow2");
        MachineConfig config = await DiskFolder.ConfigAsync(
            acpi: true, "-drive", $"if=none,id=d0,file={image},format=qcow2,discard=unmap", "-device", "virtio-blk-pci,drive=d0");
        string sum;
        string after;
        await using (ShellVm vm = await ShellVm.StartAsync(config))
        {
            await DiskFolder.MountAsync(vm);
            Assert.Equal("", await vm.Shell.RunAsync("dd if=/dev/urandom of=/m/file bs=64k count=150 2>/dev/null; umount /m"));
            Assert.Equal("", await vm.MonitorAsync("snapshot_blkdev_internal d0 rest"));
            Assert.Equal("", await vm.Shell.RunAsync("mount -t ext4 /dev/vda /m"));
            sum = await DiskFolder.ReadSumAsync(vm);
            Assert.Equal("", await vm.Shell.RunAsync(
                "(while [ ! -e /stop ]; do dd if=/dev/urandom of=/m/file bs=64k count=100; sync; rm /m/file; done; echo done > /done)"
                + " > /dev/null 2>&1 &"));
            for (int i = 0; i < 12; i++)
            {
                Assert.Equal("", await vm.MonitorAsync($"snapshot_blkdev_internal d0 s{i}"));
                Assert.Equal("6", (await vm.Shell.RunAsync("echo $((2 * 3))")).Trim());
                if (i % 3 == 2)
                {
                    Assert.Equal("", await vm.MonitorAsync($"snapshot_delete_blkdev_internal d0 s{i - 1}"));
                }
            }

            Assert.StartsWith("done", await vm.Shell.RunAsync("touch /stop; while [ ! -e /done ]; do sleep 0.2; done; cat /done"),
                StringComparison.Ordinal);
            Assert.Equal("", await vm.Shell.RunAsync("dd if=/dev/urandom of=/m/file bs=64k count=120 2>/dev/null; sync"));
            after = await DiskFolder.ReadSumAsync(vm);
            Assert.Equal("", await vm.Shell.RunAsync("umount /m; dmesg | grep -i 'i/o error\\|EXT4-fs error'"));
            await vm.PowerOffAsync();
        }

        DiskFolder.Close(config);
        Assert.Equal(after.Split(' ')[0], _folder.SumOf(image, "qcow2"));
        string raw = _folder.PathOf("then.raw");
        foreach (string name in new[] { "rest", "s0", "s2", "s3", "s5", "s6", "s8", "s9", "s11" })
        {
            DiskFolder.Run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", "-l", $"snapshot.name={name}", image, raw);
            if (name == "rest")
            {
                Assert.Equal(sum.Split(' ')[0], _folder.SumOf(raw, "raw"));
            }
            else
            {
                // The journal is replayed; nothing else is to be mended.
                DiskFolder.Run("/usr/sbin/e2fsck", "-E", "journal_only", "-y", raw);
                DiskFolder.Run("/usr/sbin/e2fsck", "-fn", raw);
            }
        }

        Assert.Throws<Xunit.Sdk.TrueException>(() =>
            DiskFolder.Run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", "-l", "snapshot.name=s1", image, raw));
    }

    [Fact]
    public async Task Raw_disk_is_refused_by_name_and_the_guest_goes_on()
    {
        string image = _folder.MakeImage("raw");
        MachineConfig config = await DiskFolder.ConfigAsync(
            acpi: true, "-drive", $"if=none,id=d0,file={image},format=raw", "-device", "virtio-blk-pci,drive=d0");
        using (StateFolder state = StateFolder.Open(_folder.PathOf("state")))
        await using (ShellVm vm = await ShellVm.StartAsync(config, state))
        {
            foreach (string command in new[] { "savevm one", "loadvm one", "delvm one" })
            {
                Assert.Contains("Error: Device 'd0' is writable but does not support snapshots", await vm.MonitorAsync(command),
                    StringComparison.Ordinal);
            }

            Assert.Contains("running", await vm.MonitorAsync("info status"), StringComparison.Ordinal);
            Assert.Contains("There is no snapshot available.", await vm.MonitorAsync("info snapshots"), StringComparison.Ordinal);
        }

        DiskFolder.Close(config);
    }
}
