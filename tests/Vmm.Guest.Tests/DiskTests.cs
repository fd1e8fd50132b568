using Vmm.Emulation.Boards;

namespace Vmm.Guest.Tests;

/// <summary>
/// Debian's kernel on disks: it mounts a file system, writes and reads it, over stops, resets and moves; Debian's own tools look at the
/// image afterwards.
/// </summary>
public sealed class DiskTests : IDisposable
{
    private readonly DiskFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("raw", true, "virtio-blk-device")]
    [InlineData("qcow2", true, "virtio-blk-device,packed=on,num-queues=2")]
    [InlineData("qcow2", false, "virtio-blk-device,event_idx=off,indirect_desc=off")]
    [InlineData("raw", true, "virtio-blk-pci,addr=5")]
    [InlineData("qcow2", true, "pcie-root-port,id=rp1 -device virtio-blk-pci,bus=rp1,packed=on,num-queues=4")]
    [InlineData("qcow2", false, "virtio-blk-pci,vectors=0")]
    public async Task Guest_keeps_its_files_over_stop_and_reset(string format, bool acpi, string device)
    {
        string image = _folder.MakeImage(format);
        string[] drive = ["-drive", $"if=none,id=d0,file={image},format={format},discard=unmap", "-device",
            .. $"{device},drive=d0,serial=number-1".Split(' ')];
        MachineConfig config = await DiskFolder.ConfigAsync(acpi, drive);
        string sum;
        await using (ShellVm vm = await ShellVm.StartAsync(config))
        {
            await DiskFolder.MountAsync(vm);
            Assert.Equal("number-1", (await vm.Shell.RunAsync("cat /sys/block/vda/serial; echo")).Trim());
            Assert.Equal("", await vm.Shell.RunAsync("dd if=/dev/urandom of=/m/file bs=64k count=200 2>/dev/null; sync"));
            sum = await vm.Shell.RunAsync("md5sum < /m/file");

            // What is written while the VM stops and goes on is there.
            vm.Shell.Type("for i in 1 2 3 4 5 6; do cp /m/file /m/copy; sync; done; md5sum < /m/copy");
            for (int i = 0; i < 5; i++)
            {
                Assert.Equal("", await vm.MonitorAsync("stop"));
                Assert.Contains("paused", await vm.MonitorAsync("info status"), StringComparison.Ordinal);
                Assert.Equal("", await vm.MonitorAsync("cont"));
            }

            await vm.Shell.UntilAsync(sum.Trim());
            await vm.Shell.PromptAsync();
            Assert.Contains($"d0 (#block000): {image} ({format})", await vm.MonitorAsync("info block"), StringComparison.Ordinal);
            Assert.Equal("", await vm.MonitorAsync("block_resize d0 96M"));
            Assert.Equal("196608", (await vm.Shell.RunAsync("cat /sys/block/vda/size")).Trim());
            Assert.Equal("", await vm.MonitorAsync("system_reset"));
            await DiskFolder.MountAsync(vm);
            Assert.Equal(sum, await DiskFolder.ReadSumAsync(vm));
            Assert.Equal("", await vm.Shell.RunAsync("umount /m"));
            await vm.PowerOffAsync();
        }

        DiskFolder.Close(config);
        Assert.Equal(sum.Split(' ')[0], _folder.SumOf(image, format));
    }

    [Fact]
    public async Task Guest_moves_with_its_disk_which_one_process_at_a_time_has()
    {
        string image = _folder.MakeImage("qcow2");
        string[] drive = ["-drive", $"file={image},format=qcow2"];
        MachineConfig here = await DiskFolder.ConfigAsync(acpi: true, drive);
        MachineConfig there = await DiskFolder.ConfigAsync(acpi: true, [.. drive, "-incoming", "defer"]);
        string sum;
        await using (ShellVm vm = await ShellVm.StartAsync(here))
        {
            await DiskFolder.MountAsync(vm);
            Assert.Equal("", await vm.Shell.RunAsync("dd if=/dev/urandom of=/m/file bs=64k count=100 2>/dev/null"));
            sum = await vm.Shell.RunAsync("md5sum < /m/file");
            await using ShellVm moved = await vm.MoveAsync(there);
            Assert.Equal(sum, await DiskFolder.ReadSumAsync(moved));
            Assert.Equal("", await moved.Shell.RunAsync("cp /m/file /m/copy; umount /m"));
            await moved.PowerOffAsync();
        }

        DiskFolder.Close(here);
        DiskFolder.Close(there);
        Assert.Equal(sum.Split(' ')[0], _folder.SumOf(image, "qcow2"));
    }
}
