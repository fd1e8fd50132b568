using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Vmm.Emulation.Net;
using Vmm.Tests;

namespace Vmm.Emulation.Tests.Net;

/// <summary>A link over a connection that comes, ends and comes again.</summary>
public sealed class StreamNetdevTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-stream-");
    private readonly NetPoll _poll = new();

    public void Dispose()
    {
        _poll.Dispose();
        _folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Client_connects_again_where_nobody_is_at_first_and_when_the_connection_has_ended(bool isUnix)
    {
        EndPoint address = isUnix ? new UnixDomainSocketEndPoint(Path.Combine(_folder.FullName, "s")) : FreePort();
        using var client = new StreamNetdev("n", "stream", address, isServer: false) { ReconnectMs = 20 };
        client.Open();
        Turn(client);
        Assert.False(client.IsConnected);
        for (int round = 0; round < 3; round++)
        {
            if (isUnix)
            {
                File.Delete(address.ToString()!);
            }

            using var server = new Socket(
                address.AddressFamily, SocketType.Stream, isUnix ? ProtocolType.Unspecified : ProtocolType.Tcp);
            if (!isUnix)
            {
                server.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            }

            server.Bind(address);
            server.Listen(1);
            Patience.Until(() => Turn(client).IsConnected, "the client is connected");
            using Socket peer = server.Accept();
            server.Dispose();
            peer.Send([0, 0, 0, 3, 7, 8, 9]);
            var frame = new NetFrame();
            Patience.Until(() => Turn(client).TryReceive(frame), "the frame is there");
            Assert.Equal([7, 8, 9], frame.Bytes.ToArray());
            Assert.True(client.TrySend(frame));
            byte[] got = new byte[7];
            Assert.Equal(7, peer.Receive(got));
            Assert.Equal([0, 0, 0, 3, 7, 8, 9], got);
            peer.Dispose();
            Patience.Until(() => !Turn(client).TryReceive(frame) && !client.IsConnected, "the connection has ended");
            Assert.True(client.TrySend(frame));
        }
    }

    [Fact]
    public void Client_that_does_not_connect_again_waits_for_nothing()
    {
        var client = new StreamNetdev("n", "stream", FreePort(), isServer: false);
        Assert.Throws<NetException>(client.Open);
        _poll.Clear();
        client.AddTo(_poll, takes: true, gives: false);
        _poll.Wake();
        _poll.Wait(-1);
    }

    /// <summary>The attempts are as far from each other as was asked for: a client alone costs nothing.</summary>
    [Fact]
    public void Attempts_wait_for_their_time()
    {
        using var client = new StreamNetdev("n", "stream", FreePort(), isServer: false) { ReconnectMs = 200 };
        client.Open();
        long begun = Stopwatch.GetTimestamp();

        // An attempt, its failure and the wait for the next one are a turn each, at most.
        for (int i = 0; i < 5; i++)
        {
            Turn(client, patient: true);
        }

        Assert.True(Stopwatch.GetElapsedTime(begun) > TimeSpan.FromMilliseconds(300));
    }

    // What the device's thread does in a turn.
    private StreamNetdev Turn(StreamNetdev netdev, bool patient = false)
    {
        _poll.Clear();
        netdev.AddTo(_poll, takes: true, gives: false);
        _poll.Wait(patient ? -1 : 10);
        netdev.Work();
        return netdev;
    }

    private static IPEndPoint FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return (IPEndPoint)listener.LocalEndpoint;
    }
}
