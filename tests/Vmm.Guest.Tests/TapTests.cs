using System.Security.Cryptography;
using Vmm.Host.Guest;

namespace Vmm.Guest.Tests;

/// <summary>
/// Guests on interfaces of the host, in a bridge that the host is on, too, within a network namespace of the test's own.
/// </summary>
public sealed class TapTests : IDisposable
{
    // Makes an interface as a program does that hands its descriptor (here 3) over: without the header of virtio (IFF_TAP, IFF_NO_PI).
    private const string HandOver =
        "$^F = 9; sysopen(F, '/dev/net/tun', 2) or die; $r = pack('a16s', 'handed', 0x1002); ioctl(F, 0x400454ca, $r) or die; "
        + "system('ip', 'link', 'set', 'handed', 'master', 'br7', 'up'); exec @ARGV";

    // The helper asks /etc/qemu/bridge.conf which bridges users may have; ip gives each command of a namespace its own mounts.
    private const string Allow =
        "mkdir -p {0}/etc/qemu && echo allow br7 > {0}/etc/qemu/bridge.conf && mount -t overlay overlay -o lowerdir={0}/etc:/etc /etc && "
        + "exec \"$@\"";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-tap-");

    public void Dispose() => _folder.Delete(recursive: true);

    [TapTheory]
    [InlineData("bridge,br=br7", "tap,fd=3,vhost=off")]
    [InlineData("tap,ifname=named,script={0}/up,downscript={0}/down", "tap,helper=/usr/lib/qemu/qemu-bridge-helper,br=br7")]
    public async Task Guests_and_the_host_are_on_one_bridge(string first, string second)
    {
        await using BridgedNetwork network = await BridgedNetwork.MakeAsync();
        await network.ShellAsync($"echo -e '#!/bin/sh\nip link set $1 master {BridgedNetwork.Bridge} up' > {_folder}/up; "
            + $"echo -e '#!/bin/sh\necho $1 > {_folder}/downed' > {_folder}/down; chmod +x {_folder}/up {_folder}/down");
        await using (ProcessGuest one = await StartAsync(network, first, 1))
        {
            await using ProcessGuest two = await StartAsync(network, second, 2);
            await one.Shell.RunAsync(NetShell.Start(1));
            await two.Shell.RunAsync(NetShell.Start(2));
            Assert.Contains(" 0% packet loss", await one.Shell.RunAsync("ping -c 3 192.168.7.2"), StringComparison.Ordinal);
            Assert.Contains(" 0% packet loss", await two.Shell.RunAsync("ping -c 3 192.168.7.1"), StringComparison.Ordinal);
            await NetShell.CopyAsync(one.Shell, two.Shell, "192.168.7.2");
            await NetShell.CopyAsync(two.Shell, one.Shell, "192.168.7.1");
            await CopyAsync(network, one.Shell, "192.168.7.1");
            await CopyAsync(network, two.Shell, "192.168.7.2");

            // Somebody removes the interface: the guest has no link any more, and goes on.
            string link = (await network.ShellAsync(
                $"ip -o link show master {BridgedNetwork.Bridge} | cut -d: -f2 | tr -d ' ' | tail -n 1")).Trim();
            await network.ShellAsync($"ip link del {link}");
            Assert.Equal(
                "down", (await two.Shell.RunAsync("until grep down /sys/class/net/eth0/operstate; do sleep 0.1; done")).Trim());
            one.Shell.Type("poweroff -f");
            await one.EndAsync();
        }

        Assert.Equal(first.Contains("downscript=", StringComparison.Ordinal), File.Exists($"{_folder}/downed"));
    }

    // 32 MiB each way between the host and the guest: by large frames, where the interface has them.
    private async Task CopyAsync(BridgedNetwork network, GuestShell shell, string address)
    {
        string file = Path.Combine(_folder.FullName, "data");
        byte[] data = new byte[32 << 20];
        new Random(1).NextBytes(data);
        await File.WriteAllBytesAsync(file, data);
        string sum = Convert.ToHexStringLower(SHA256.HashData(data));
        await NetShell.TakeAsync(shell);
        await network.ShellAsync($"cat {file} > /dev/tcp/{address}/7");
        Assert.Contains(sum, await shell.RunAsync("wait; sha256sum < /tmp/got"), StringComparison.Ordinal);
        await shell.RunAsync("nc -l -p 7 < /tmp/got &");
        await NetShell.AwaitListenerAsync(shell);
        Assert.StartsWith(sum, await network.ShellAsync($"cat < /dev/tcp/{address}/7 | sha256sum"), StringComparison.Ordinal);
        await shell.RunAsync("wait; rm /tmp/got");
    }

    private async Task<ProcessGuest> StartAsync(BridgedNetwork network, string netdev, int number)
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        string initrd = Path.Combine(_folder.FullName, "initrd");
        if (!File.Exists(initrd))
        {
            await File.WriteAllBytesAsync(initrd, [.. await File.ReadAllBytesAsync(files.Initramfs), .. TestPackages.NetModules]);
        }

        string[] command =
        [
            "dotnet", VmmProcess.Program, "run", "-m", "300", "-kernel", files.Kernel, "-initrd", initrd, "-append", TestGuest.Patient,
            "-display", "none", "-monitor", "none", "-serial", "stdio",
            "-netdev", $"{netdev.Replace("{0}", _folder.FullName, StringComparison.Ordinal)},id=n0",
            "-device", $"virtio-net-pci,netdev=n0,mac=52:54:00:12:34:5{number}",
        ];
        if (netdev.Contains("fd=", StringComparison.Ordinal))
        {
            command = ["perl", "-e", HandOver, .. command];
        }
        else if (netdev.Contains("helper=", StringComparison.Ordinal))
        {
            command = ["bash", "-c", Allow.Replace("{0}", _folder.FullName, StringComparison.Ordinal), "bash", .. command];
        }

        return await ProcessGuest.StartAsync(network.Command(command));
    }
}
