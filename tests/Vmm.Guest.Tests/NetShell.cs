using System.Net;
using System.Net.Sockets;
using Vmm.Host.Guest;

namespace Vmm.Guest.Tests;

/// <summary>What shells of guests are told to do with a network of 192.168.7.0/24 (<see cref="TestPackages.NetModules"/>).</summary>
internal static class NetShell
{
    /// <summary>Finds the network device and gives it an address.</summary>
    public static string Start(int host) =>
        "for m in failover net_failover virtio_mmio virtio_net; do insmod /$m.ko; done; ip link set eth0 up; "
        + $"ip addr add 192.168.7.{host}/24 dev eth0";

    /// <summary>A port of the host's loopback that nobody has.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>Busybox's nc, which says nothing, and ends when the other side has said all.</summary>
    public static string Hear(string arguments) => $"rm -f /tmp/nothing; mkfifo /tmp/nothing; nc {arguments} 0<> /tmp/nothing";

    /// <summary>Takes what comes to port 7 into a file, in the background.</summary>
    public static async Task TakeAsync(GuestShell shell)
    {
        await shell.RunAsync($"rm -f /tmp/got; {Hear("-l -p 7")} > /tmp/got &");
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
