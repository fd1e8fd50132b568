using Vmm.Host.Guest;

namespace Vmm.Guest.Tests;

/// <summary>What shells of guests are told to do with a network of 192.168.7.0/24 (<see cref="TestPackages.NetModules"/>).</summary>
internal static class NetShell
{
    /// <summary>Finds the network device and gives it an address.</summary>
    public static string Start(int host) =>
        "for m in failover net_failover virtio_mmio virtio_net; do insmod /$m.ko; done; ip link set eth0 up; "
        + $"ip addr add 192.168.7.{host}/24 dev eth0";

    /// <summary>Takes what comes to port 7 into a file, in the background.</summary>
    public static async Task TakeAsync(GuestShell shell)
    {
        // Busybox's nc ends when the other side has said all, so the one that takes the file never does.
        await shell.RunAsync("rm -f /tmp/got /tmp/nothing; mkfifo /tmp/nothing; nc -l -p 7 > /tmp/got 0<> /tmp/nothing &");
        await AwaitListenerAsync(shell);
    }

    /// <summary>Waits until something listens at port 7.</summary>
    public static Task AwaitListenerAsync(GuestShell shell) => shell.RunAsync("until netstat -ltn | grep -q ':7 '; do sleep 0.1; done");

    /// <summary>Sends 8 MiB from one guest to another.</summary>
    public static async Task CopyAsync(GuestShell from, GuestShell to, string address)
    {
        await TakeAsync(to);
        await from.RunAsync($"dd if=/dev/urandom of=/tmp/sent bs=1M count=8 2>/dev/null; nc {address} 7 < /tmp/sent");
        string sent = (await from.RunAsync("sha256sum < /tmp/sent")).Trim();
        Assert.Contains(sent, await to.RunAsync("wait; sha256sum < /tmp/got"), StringComparison.Ordinal);
    }
}
