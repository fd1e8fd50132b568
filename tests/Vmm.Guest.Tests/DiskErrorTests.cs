using System.Text;
using System.Threading.Channels;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;

namespace Vmm.Guest.Tests;

/// <summary>
/// Debian's kernel on disks whose host fails: no room, bytes that cannot be read, a file that has gone. The guest is told or the VM
/// stops, as its options say; the monitor answers, and nothing is lost.
/// </summary>
public sealed class DiskErrorTests : IDisposable
{
    // What a compressed image has before the guest's data: header, refcount table and block, L1 and L2 table.
    private const int Metadata = 5 << 16;

    private readonly DiskFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("raw")]
    [InlineData("qcow2")]
    public async Task Without_room_the_VM_stops_and_goes_on_when_there_is_some(string format)
    {
        if (!_folder.TryLimit(80))
        {
            return;
        }

        string image = _folder.MakeImage(format);
        Assert.True(_folder.TryLimit(24));
        MachineConfig config = await DiskFolder.ConfigAsync(acpi: true, "-drive", $"file={image},format={format},id=d0");
        string sum;
        await using (ShellVm vm = await ShellVm.StartAsync(config))
        {
            Channel<BlockIoFailed> errors = ErrorsOf(vm);
            await DiskFolder.MountAsync(vm);
            vm.Shell.Type("dd if=/dev/urandom of=/m/file bs=64k count=640 2>/dev/null; sync; echo result=$?");
            for (int i = 0; i < 2; i++)
            {
                await AwaitStopAsync(vm, errors, new BlockIoFailed(
                    "", "d0", "#block000", false, BlockErrorAction.Stop, NoSpace: true, "No space left on device"));
                Assert.Contains("I/O status:       nospace", await vm.MonitorAsync("info block"), StringComparison.Ordinal);

                // The first time nobody has made room.
                Assert.True(i == 0 || _folder.TryLimit(256));
                Assert.Equal("", await vm.MonitorAsync("cont"));
            }

            await vm.Shell.UntilAsync("result=0");
            await vm.Shell.PromptAsync();
            Assert.DoesNotContain("I/O status", await vm.MonitorAsync("info block"), StringComparison.Ordinal);
            sum = await vm.Shell.RunAsync("md5sum < /m/file");
            Assert.Equal(sum, await DiskFolder.ReadSumAsync(vm));
            Assert.Equal("", await vm.Shell.RunAsync("umount /m"));
            await vm.PowerOffAsync();
        }

        DiskFolder.Close(config);
        Assert.Equal(sum.Split(' ')[0], _folder.SumOf(image, format));
    }

    [Theory]
    [InlineData("raw")]
    [InlineData("qcow2")]
    public async Task Guest_is_told_of_an_error_of_a_write_and_can_write_again(string format)
    {
        if (!_folder.TryLimit(80))
        {
            return;
        }

        string image = _folder.MakeImage(format);
        Assert.True(_folder.TryLimit(24));
        MachineConfig config = await DiskFolder.ConfigAsync(
            acpi: true, "-drive", $"file={image},format={format},id=d0,werror=report");
        await using (ShellVm vm = await ShellVm.StartAsync(config))
        {
            Channel<BlockIoFailed> errors = ErrorsOf(vm);
            await vm.AwaitShellAsync();
            Assert.Equal("", await vm.Shell.RunAsync("dmesg -n 1; insmod /virtio_blk.ko"));
            const string Write = "dd if=/dev/urandom of=/dev/vda bs=64k count=640 conv=fsync 2>&1 | grep -i error";
            Assert.Contains("Input/output error", await vm.Shell.RunAsync(Write), StringComparison.Ordinal);
            BlockIoFailed error = await errors.Reader.ReadAsync();
            Assert.Equal((false, BlockErrorAction.Report, true), (error.IsRead, error.Action, error.NoSpace));
            Assert.Equal("VM status: running", await vm.MonitorAsync("info status"));
            Assert.True(_folder.TryLimit(256));
            Assert.Equal("", await vm.Shell.RunAsync(Write));
            await vm.PowerOffAsync();
        }

        DiskFolder.Close(config);
    }

    [Theory]
    [InlineData("report")]
    [InlineData("stop")]
    public async Task Bytes_that_cannot_be_read_are_told_of_and_are_read_when_they_can_be(string policy)
    {
        // Text, so that each cluster is a compressed one.
        byte[] disk = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(0, 1 << 17).Select(i => $"line {i,-25}\n\n")))[..(2 << 20)];
        string raw = _folder.PathOf("disk.raw");
        await File.WriteAllBytesAsync(raw, disk);
        string image = _folder.PathOf("disk.qcow2");
        DiskFolder.Run("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", raw, image);
        byte[] whole = await File.ReadAllBytesAsync(image);
        MachineConfig config = await DiskFolder.ConfigAsync(
            acpi: true, "-drive", $"file={image},format=qcow2,id=d0,rerror={policy}");
        await using (ShellVm vm = await ShellVm.StartAsync(config))
        {
            Channel<BlockIoFailed> errors = ErrorsOf(vm);
            await vm.AwaitShellAsync();
            Assert.Equal("", await vm.Shell.RunAsync("dmesg -n 1; insmod /virtio_blk.ko"));
            Overwrite(image, [.. Enumerable.Repeat((byte)0xFF, whole.Length - Metadata)]);
#pragma warning disable CA5351 // what busybox has
            string sum = Convert.ToHexStringLower(System.Security.Cryptography.MD5.HashData(disk[(1 << 20)..]));
#pragma warning restore CA5351
            if (policy == "stop")
            {
                vm.Shell.Type("dd if=/dev/vda bs=64k skip=16 count=16 2>/dev/null | md5sum");
                await AwaitStopAsync(vm, errors, new BlockIoFailed(
                    "", "d0", "#block000", true, BlockErrorAction.Stop, NoSpace: false, "Input/output error"));
                Overwrite(image, whole[Metadata..]);
                Assert.Equal("", await vm.MonitorAsync("cont"));
                await vm.Shell.UntilAsync(sum);
                await vm.Shell.PromptAsync();
            }
            else
            {
                Assert.Contains("Input/output error", await vm.Shell.RunAsync("dd if=/dev/vda bs=64k skip=16 count=16 2>&1 >/dev/null"),
                    StringComparison.Ordinal);
                BlockIoFailed error = await errors.Reader.ReadAsync();
                Assert.Equal((true, BlockErrorAction.Report, false), (error.IsRead, error.Action, error.NoSpace));
                Assert.Equal("VM status: running", await vm.MonitorAsync("info status"));
                Overwrite(image, whole[Metadata..]);
                Assert.StartsWith(sum, await vm.Shell.RunAsync("dd if=/dev/vda bs=64k skip=16 count=16 2>/dev/null | md5sum"),
                    StringComparison.Ordinal);
            }

            await vm.PowerOffAsync();
        }

        DiskFolder.Close(config);
        DiskFolder.Run("qemu-img", "check", "-q", image);
    }

    [Fact]
    public async Task File_that_has_gone_is_the_guests_until_it_leaves_and_is_waited_for_where_it_arrives()
    {
        string image = _folder.MakeImage("raw");
        string[] drive = ["-drive", $"file={image},format=raw,id=d0"];
        MachineConfig here = await DiskFolder.ConfigAsync(acpi: true, drive);
        MachineConfig there = await DiskFolder.ConfigAsync(acpi: true, [.. drive, "-incoming", "defer"]);
        string sum;
        await using (ShellVm vm = await ShellVm.StartAsync(here))
        {
            await DiskFolder.MountAsync(vm);
            string elsewhere = _folder.PathOf("elsewhere");
            File.Move(image, elsewhere);
            Assert.Equal("", await vm.Shell.RunAsync("dd if=/dev/urandom of=/m/file bs=64k count=100 2>/dev/null; sync"));
            sum = await DiskFolder.ReadSumAsync(vm);
            var notices = Channel.CreateUnbounded<string>();
            var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await using ShellVm moved = await vm.MoveAsync(there, message =>
            {
                if (message is VmNotice notice)
                {
                    notices.Writer.TryWrite(notice.Text);
                }
                else if (message is VmStatus { RunState: VmRunState.IoError })
                {
                    stopped.TrySetResult();
                }
            });
            await stopped.Task.WaitAsync(Vmm.Tests.Patience.Limit);
            Assert.Contains($"'{image}' cannot be opened: No such file or directory", await notices.Reader.ReadAsync());
            Assert.Contains("io-error", await moved.MonitorAsync("info status"), StringComparison.Ordinal);
            Assert.Contains("[not inserted]", await moved.MonitorAsync("info block"), StringComparison.Ordinal);
            File.Move(elsewhere, image);
            Assert.Equal("", await moved.MonitorAsync("cont"));
            Assert.Equal(sum, await DiskFolder.ReadSumAsync(moved));
            Assert.Equal("", await moved.Shell.RunAsync("umount /m"));
            await moved.PowerOffAsync();
        }

        DiskFolder.Close(here);
        DiskFolder.Close(there);
        Assert.Equal(sum.Split(' ')[0], _folder.SumOf(image, "raw"));
    }

    [Fact]
    public async Task Slow_disk_keeps_neither_monitor_nor_vCPU_and_has_an_overlay_while_it_is_written()
    {
        string image = _folder.MakeImage("qcow2");
        string overlay = _folder.PathOf("overlay.qcow2");
        MachineConfig config = await DiskFolder.ConfigAsync(
            acpi: true, "-drive", $"file={image},format=qcow2,id=d0,throttling.bps-total=1000000");
        string sum;
        await using (ShellVm vm = await ShellVm.StartAsync(config))
        {
            await DiskFolder.MountAsync(vm);

            // At these limits it would take the rest of the day.
            Assert.Equal("", await vm.MonitorAsync("block_set_io_throttle d0 1000 0 0 0 0 0"));
            Assert.Contains("bps=1000 bps_rd=0", await vm.MonitorAsync("info block"), StringComparison.Ordinal);
            Assert.Equal("", await vm.Shell.RunAsync(
                "(dd if=/dev/urandom of=/m/file bs=64k count=200; sync; echo done > /done) 2>/dev/null &"));
            for (int i = 0; i < 3; i++)
            {
                Assert.Equal("6", (await vm.Shell.RunAsync("echo $((2 * 3))")).Trim());
                Assert.Equal("VM status: running", await vm.MonitorAsync("info status"));
                Assert.Equal("", await vm.MonitorAsync("stop"));
                Assert.Equal("VM status: paused", await vm.MonitorAsync("info status"));
                Assert.Equal("", await vm.MonitorAsync("cont"));
            }

            Assert.Equal("", await vm.MonitorAsync($"snapshot_blkdev d0 {overlay} qcow2"));
            Assert.Contains($": {overlay} (qcow2)", await vm.MonitorAsync("info block"), StringComparison.Ordinal);
            Assert.Contains($"Backing file:     {image} (chain depth: 1)", await vm.MonitorAsync("info block"), StringComparison.Ordinal);
            Assert.Equal("", await vm.MonitorAsync("block_set_io_throttle d0 0 0 0 0 0 0"));
            Assert.StartsWith("done", await vm.Shell.RunAsync("while [ ! -e /done ]; do sleep 0.2; done; cat /done"),
                StringComparison.Ordinal);
            sum = await DiskFolder.ReadSumAsync(vm);
            Assert.Equal("", await vm.Shell.RunAsync("umount /m"));
            await vm.PowerOffAsync();
        }

        DiskFolder.Close(config);
        DiskFolder.Run("qemu-img", "check", "-q", image);
        Assert.Equal(sum.Split(' ')[0], _folder.SumOf(overlay, "qcow2"));
    }

    private static Channel<BlockIoFailed> ErrorsOf(ShellVm vm)
    {
        var errors = Channel.CreateUnbounded<BlockIoFailed>();
        vm.Published += message =>
        {
            if (message is BlockIoFailed error)
            {
                errors.Writer.TryWrite(error);
            }
        };
        return errors;
    }

    // Waits until the VM has stopped for an error; other requests may have met the same one.
    private static async Task AwaitStopAsync(ShellVm vm, Channel<BlockIoFailed> errors, BlockIoFailed expected)
    {
        using var patience = new CancellationTokenSource(Vmm.Tests.Patience.Limit);
        BlockIoFailed error = await errors.Reader.ReadAsync(patience.Token);
        Assert.Equal(expected, error with { QomPath = "" });
        while (await vm.MonitorAsync("info status") != "VM status: paused (io-error)")
        {
            patience.Token.ThrowIfCancellationRequested();
        }

        while (errors.Reader.TryRead(out _))
        {
        }
    }

    // What of an image is the guest's data.
    private static void Overwrite(string image, byte[] data)
    {
        using FileStream file = new(image, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        file.Position = Metadata;
        file.Write(data);
    }
}
