using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Tests;
using Vmm.Host.Guest;
using Vmm.Host.Options;

namespace Vmm.Guest.Tests;

/// <summary>Debian's kernel mounts a folder of the host (9p), works in it, and cannot leave it.</summary>
public sealed class SharedFolderTests : IDisposable
{
    private const string Drivers =
        "insmod /netfs.ko; insmod /9pnet.ko; insmod /9p.ko; insmod /9pnet_virtio.ko; insmod /virtio_mmio.ko; mkdir -p /m";

    private const string Mount = "mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 share /m";

    private readonly DirectoryInfo _host = Directory.CreateTempSubdirectory("vmm-share-");
    private readonly string _folder;

    public SharedFolderTests()
    {
        _folder = _host.CreateSubdirectory("shared").FullName;
        File.WriteAllText(Path.Combine(_host.FullName, "secret"), "outside");
    }

    public void Dispose() => _host.Delete(recursive: true);

    [Theory]
    [InlineData("-virtfs", "local,path={0},mount_tag=share,security_model=passthrough")]
    [InlineData("-fsdev", "local,id=f,path={0},security_model=none", "-device", "virtio-9p-device,fsdev=f,mount_tag=share,packed=on")]
    public async Task Guest_works_in_a_folder_of_the_host_and_cannot_leave_it(params string[] options)
    {
        File.WriteAllText(Path.Combine(_folder, "greeting"), "hello from the host\n");
        File.CreateSymbolicLink(Path.Combine(_folder, "out"), Path.Combine(_host.FullName, "secret"));
        File.CreateSymbolicLink(Path.Combine(_folder, "up"), "..");
        MachineConfig config = await ConfigAsync([.. options.Select(o => string.Format(null, o, _folder))]);
        await using (ShellVm vm = await ShellVm.StartAsync(config))
        {
            await vm.AwaitShellAsync();
            Assert.Equal("", await vm.Shell.RunAsync(Drivers));
            Assert.Equal("", await vm.Shell.RunAsync(Mount));
            Assert.Equal("hello from the host", (await vm.Shell.RunAsync("cat /m/greeting")).Trim());

            // A tree of files, large and small, and back.
            Assert.Equal("", await vm.Shell.RunAsync(
                "mkdir /m/tree; dd if=/dev/urandom of=/m/tree/large bs=64k count=100 2>/dev/null; sync"));
            string sum = (await vm.Shell.RunAsync("md5sum < /m/tree/large")).Split(' ')[0];
            Assert.Equal(sum, SumOf("tree/large"));
            Assert.Equal("", await vm.Shell.RunAsync("for i in $(seq 300); do echo $i > /m/tree/f$i; done; cp -r /m/tree /m/copy"));
            Assert.Equal("301", (await vm.Shell.RunAsync("ls /m/copy | wc -l")).Trim());
            Assert.Equal("300\n", File.ReadAllText(Path.Combine(_folder, "copy", "f300")));
            Assert.Equal("", await vm.Shell.RunAsync(
                "mv /m/copy/f1 /m/one; ln /m/one /m/two; ln -s one /m/soft; chmod 600 /m/one; rm -r /m/copy"));
            Assert.Equal("1", (await vm.Shell.RunAsync("cat /m/soft")).Trim());
            Assert.Equal("600 2", (await vm.Shell.RunAsync("stat -c '%a %h' /m/two")).Trim());
            Assert.Equal("", await vm.Shell.RunAsync("truncate -s 12345 /m/one; mkfifo /m/fifo; touch -d @1000000 /m/two"));
            Assert.Equal((12345, DateTime.UnixEpoch.AddSeconds(1000000)),
                (new FileInfo(Path.Combine(_folder, "two")).Length, File.GetLastWriteTimeUtc(Path.Combine(_folder, "one"))));
            Assert.Contains("through", await vm.Shell.RunAsync("(echo through > /m/fifo &) ; cat /m/fifo"), StringComparison.Ordinal);

            // Links are the guest's to follow, in its own tree.
            Assert.Contains("No such file", await vm.Shell.RunAsync("cat /m/out"), StringComparison.Ordinal);
            Assert.Contains("No such file", await vm.Shell.RunAsync("cat /m/up/secret"), StringComparison.Ordinal);
            Assert.DoesNotContain("outside", await vm.Shell.RunAsync("cat /m/../secret /m/tree/../../secret"), StringComparison.Ordinal);
            Assert.Contains("not permitted", await vm.Shell.RunAsync("mknod /m/node c 1 3"), StringComparison.Ordinal);

            // A machine whose folder is mounted stays where it is.
            const string Blocked = "is mounted in the guest using mount_tag 'share'";
            Assert.Contains(Blocked, await vm.MonitorAsync("migrate tcp:127.0.0.1:1"), StringComparison.Ordinal);
            Assert.Equal("", await vm.Shell.RunAsync("umount /m"));
            Assert.DoesNotContain(Blocked, await vm.MonitorAsync("migrate tcp:127.0.0.1:1"), StringComparison.Ordinal);

            // Stops and resets meanwhile.
            Assert.Equal("", await vm.Shell.RunAsync(Mount));
            vm.Shell.Type("for i in 1 2 3 4; do cp /m/tree/large /m/again; done; md5sum < /m/again");
            for (int i = 0; i < 5; i++)
            {
                Assert.Equal("", await vm.MonitorAsync("stop"));
                Assert.Equal("", await vm.MonitorAsync("cont"));
            }

            await vm.Shell.UntilAsync(sum);
            await vm.Shell.PromptAsync();
            Assert.Equal("", await vm.MonitorAsync("system_reset"));
            await vm.AwaitShellAsync();
            Assert.Equal("", await vm.Shell.RunAsync($"{Drivers}; {Mount}"));
            Assert.Equal(sum, (await vm.Shell.RunAsync("md5sum < /m/again")).Split(' ')[0]);
            Assert.Equal("", await vm.Shell.RunAsync("umount /m"));
            await vm.PowerOffAsync();
        }

        Close(config);
        Assert.Equal("outside", File.ReadAllText(Path.Combine(_host.FullName, "secret")));
    }

    /// <summary>What a guest of ours has noted beside files, a guest of QEMU's sees, and the other way round.</summary>
    [Fact]
    public async Task Mapped_folder_is_the_same_to_a_guest_of_QEMU()
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Pages16K);
        string initrd = Path.Combine(_host.FullName, "initrd");
        await File.WriteAllBytesAsync(
            initrd, [.. await File.ReadAllBytesAsync(files.Initramfs), .. TestPackages.SharedFolderModules]);
        string[] machine =
        [
            "-machine", "virt,gic-version=3", "-m", "512M", "-nodefaults", "-serial", "stdio", "-kernel", files.Kernel, "-initrd", initrd,
            "-append", TestGuest.Patient, "-fsdev", $"local,id=f,path={_folder},security_model=mapped-xattr",
            "-device", "virtio-9p-device,fsdev=f,mount_tag=share",
        ];
        string ours;
        await using (ProcessGuest vm = await ProcessGuest.StartAsync(["dotnet", VmmProcess.Program, .. machine, "-cpu", "max"]))
        {
            ours = await MakeTreeAsync(vm.Shell, "ours");
            Assert.Contains("node character special file 1 3 644 0 0 1", ours, StringComparison.Ordinal);
        }

        RequireOwnFilesAlone();
        string theirs;
        await using (ProcessGuest vm = await ProcessGuest.StartAsync(
            [.. RecentQemu.System, .. machine, "-cpu", "max,pauth-impdef=on", "-display", "none", "-monitor", "none"]))
        {
            theirs = await MakeTreeAsync(vm.Shell, "theirs");
            Assert.Equal(ours, await ListAsync(vm.Shell, "ours"));
        }

        Assert.Equal(ours, theirs);
        await using (ProcessGuest vm = await ProcessGuest.StartAsync(["dotnet", VmmProcess.Program, .. machine, "-cpu", "max"]))
        {
            Assert.Equal("", await vm.Shell.RunAsync($"{Drivers}; {Mount}"));
            Assert.Equal(theirs, await ListAsync(vm.Shell, "theirs"));
            Assert.Equal("", await vm.Shell.RunAsync("rm -r /m/theirs /m/ours; ls /m"));
        }

        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder));
    }

    private static async Task<string> MakeTreeAsync(GuestShell shell, string name)
    {
        Assert.Equal("", await shell.RunAsync($"{Drivers}; {Mount}; mkdir -m 751 /m/{name}; cd /m/{name}"));
        Assert.Equal("", await shell.RunAsync(
            "echo text > plain; echo more > given; chown 1000:1001 given; chmod 4755 given; mkdir -m 1777 d; chown 7:8 d; touch d/inner"));
        Assert.Equal("", await shell.RunAsync(
            "ln -s ../no/where soft; ln -s given link; ln given hard; mknod node c 1 3; mknod disk b 259 70000; mkfifo fifo"));
        Assert.Equal("", await shell.RunAsync("chown 9:10 fifo; chown -h 11:12 soft"));
        Assert.Equal("", await shell.RunAsync("echo gone > node; cat node; chmod 600 fifo; touch moved; chown 5:6 moved; mv moved d/here"));
        Assert.Equal("more", (await shell.RunAsync("cat link")).Trim());
        Assert.Contains("through", await shell.RunAsync("(echo through > fifo &) ; cat fifo"), StringComparison.Ordinal);
        Assert.Equal("", await shell.RunAsync("cd /; sync"));
        return await ListAsync(shell, name);
    }

    // Kind, device, mode, owner, links and target of all files.
    private static Task<string> ListAsync(GuestShell shell, string name) => shell.RunAsync(
        $"cd /m/{name}; for f in . plain given d d/inner d/here soft link hard node disk fifo; do stat -c '%n %F %t %T %a %u %g %h' $f;"
        + " readlink $f; done; cat plain given; cd /");

    private void RequireOwnFilesAlone()
    {
        foreach (string path in Directory.EnumerateFileSystemEntries(_folder, "*", SearchOption.AllDirectories))
        {
            bool isFolder = Directory.Exists(path);
            UnixFileMode mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | (isFolder ? UnixFileMode.UserExecute : 0);
            var file = new FileInfo(path);
            Assert.True(isFolder || file.LinkTarget == null, path);
            Assert.Equal(mode, file.UnixFileMode);
        }
    }

    [Fact]
    public async Task Folder_comes_and_goes_while_the_guest_runs()
    {
        File.WriteAllText(Path.Combine(_folder, "greeting"), "hello from the host\n");
        MachineOptions options = CommandLine.Parse([
            "-kernel", TestGuest.Files(GuestFlavour.Pages16K).Kernel, "-device", "pcie-root-port,id=rp1",
            "-fsdev", $"local,id=f,path={_folder},security_model=none"]).Machine;
        MachineConfig config = await ConfigAsync(["-device", "pcie-root-port,id=rp1"]);
        using var devices = new DeviceMaker(options, config);
        await using ShellVm vm = await ShellVm.StartAsync(config, devices: devices);
        await vm.AwaitShellAsync();
        Assert.Equal("", await vm.Shell.RunAsync(Drivers));
        Assert.Contains("9pfs device couldn't find fsdev with the id = g",
            await vm.MonitorAsync("device_add virtio-9p-pci,fsdev=g,mount_tag=share,id=s,bus=rp1"), StringComparison.Ordinal);
        for (int round = 0; round < 2; round++)
        {
            Assert.Equal("done", await vm.HotplugAsync("device_add virtio-9p-pci,fsdev=f,mount_tag=share,id=s,bus=rp1"));
            Assert.Equal("", await vm.Shell.RunAsync($"{Mount}; echo $((41 + {round})) > /m/answer"));
            Assert.Equal("hello from the host", (await vm.Shell.RunAsync("cat /m/greeting")).Trim());
            Assert.Equal($"{41 + round}\n", File.ReadAllText(Path.Combine(_folder, "answer")));
            Assert.Equal("", await vm.Shell.RunAsync("umount /m"));
            Assert.Equal("done", await vm.HotplugAsync("device_del s"));
            Assert.Contains("No such file", await vm.Shell.RunAsync($"{Mount} 2>&1"), StringComparison.Ordinal);
        }

        await vm.PowerOffAsync();
    }

    private static async Task<MachineConfig> ConfigAsync(string[] options)
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Pages16K);
        byte[] initramfs = [.. await File.ReadAllBytesAsync(files.Initramfs), .. TestPackages.SharedFolderModules];
        MachineConfig parsed = CommandLine.Parse(["-kernel", files.Kernel, .. options]).Machine.ToConfig();
        return new MachineConfig(CpuModel.Find("max")!, 2, new CpuTopology(1, 1, 2, 1), 512 << 20,
            new BootConfig(await File.ReadAllBytesAsync(files.Kernel), initramfs, TestGuest.Patient))
        {
            VirtioMmio = parsed.VirtioMmio,
            PciDevices = parsed.PciDevices,
        };
    }

    private static void Close(MachineConfig config)
    {
        foreach (VirtioConfig device in config.VirtioDevices)
        {
            device.Dispose();
        }
    }

    private string SumOf(string name)
    {
#pragma warning disable CA5351 // what busybox has
        return Convert.ToHexStringLower(System.Security.Cryptography.MD5.HashData(File.ReadAllBytes(Path.Combine(_folder, name))));
#pragma warning restore CA5351
    }
}
