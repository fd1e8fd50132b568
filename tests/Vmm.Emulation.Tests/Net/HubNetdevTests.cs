using System.Net.Sockets;
using Vmm.Emulation.Net;
using Vmm.Tests;

namespace Vmm.Emulation.Tests.Net;

/// <summary>Ports of a hub: those of devices, which the test is, and one with a backend.</summary>
public sealed class HubNetdevTests : IDisposable
{
    private static readonly byte[] s_frame = [.. Enumerable.Range(0, 60).Select(i => (byte)i)];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-hub-");
    private readonly NetdevTable _table = new();

    public void Dispose()
    {
        _table.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public void Frame_of_one_port_comes_out_at_all_others_and_at_the_backend()
    {
        string here = Path.Combine(_folder.FullName, "here");
        string there = Path.Combine(_folder.FullName, "there");
        using var peer = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        peer.Bind(new UnixDomainSocketEndPoint(there));
        var backend = new DatagramNetdev("n", "dgram", new UnixDomainSocketEndPoint(here), new UnixDomainSocketEndPoint(there));
        backend.Open();
        HubNetdev a = Port("a");
        HubNetdev b = Port("b");
        HubNetdev other = Port("other", number: 1);
        Assert.True(_table.TryAdd(backend));
        HubNetdev joined = Port("c", backend: "n");
        Assert.Equal("hubid=0,peer=n", joined.Details);
        Send(a, s_frame);
        Assert.Equal(s_frame, Receive(b));
        byte[] got = new byte[100];
        peer.ReceiveTimeout = (int)Patience.Limit.TotalMilliseconds;
        Assert.Equal(s_frame, got[..peer.Receive(got)]);
        peer.SendTo(s_frame[..20], new UnixDomainSocketEndPoint(here));
        Assert.Equal(s_frame[..20], Receive(a));
        Assert.Equal(s_frame[..20], Receive(b));
        Assert.False(a.TryReceive(new NetFrame()));
        Assert.False(other.TryReceive(new NetFrame()));

        // A port that takes nothing loses what it has no room for, and holds up nobody.
        for (int i = 0; i < 1000; i++)
        {
            Send(a, s_frame);
            Assert.Equal(s_frame, Receive(b));
        }

        // The one that has left hears no more.
        Assert.Equal(b, _table.Remove("b"));
        Send(a, s_frame);
        Assert.False(b.TryReceive(new NetFrame()));
        b.Dispose();
    }

    [Fact]
    public void Backend_that_is_not_there_or_taken_is_refused()
    {
        Assert.Equal("netdev 'n' not found", Assert.Throws<NetException>(() => Port("a", backend: "n")).Message);
        Assert.Empty(_table.All);
        Port("b");
        Assert.Equal("netdev 'b' already has a peer", Assert.Throws<NetException>(() => Port("c", backend: "b")).Message);
    }

    private HubNetdev Port(string id, int number = 0, string? backend = null)
    {
        var port = new HubNetdev(id, number, backend);
        try
        {
            Assert.True(_table.TryAdd(port));
            return port;
        }
        catch (NetException)
        {
            port.Dispose();
            throw;
        }
    }

    private static void Send(HubNetdev port, byte[] bytes)
    {
        var frame = new NetFrame();
        frame.Set(bytes);
        Assert.True(port.TrySend(frame));
    }

    // As a device's thread does it: the bell says when.
    private static byte[] Receive(HubNetdev port)
    {
        using var poll = new NetPoll();
        var frame = new NetFrame();
        Patience.Until(
            () =>
            {
                poll.Clear();
                port.AddTo(poll, takes: true, gives: false);
                poll.Wait(100);
                return port.TryReceive(frame);
            },
            "a frame has come");
        return frame.Bytes.ToArray();
    }
}
