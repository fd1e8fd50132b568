using System.IO.Pipes;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Vmm.Actors.Migration;
using Vmm.Host.Migration;
using Vmm.Host.Options;

namespace Vmm.Host.Tests.Migration;

/// <summary>Each kind of address with real sockets, files, commands and descriptors.</summary>
public sealed class MigrationTransportTests : IDisposable
{
    private readonly MigrationTransport _transport = new(new ObjectTable());
    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-migration-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string At(string name) => Path.Combine(_folder, name);

    private IMigrationEndpoint Endpoint(string uri) => _transport.Parse(uri, "", "");

    private static async Task SendAsync(Stream stream, string text) => await stream.WriteAsync(Encoding.ASCII.GetBytes(text));

    private static async Task<string> ReceiveAsync(Stream stream, int length)
    {
        byte[] bytes = new byte[length];
        int count = await stream.ReadAtLeastAsync(bytes, length, throwOnEndOfStream: false).AsTask().WaitAsync(Patience.Limit);
        return Encoding.ASCII.GetString(bytes, 0, count);
    }

    [Theory]
    [InlineData("tcp:127.0.0.1:0", "tcp:127.0.0.1:")]
    [InlineData("tcp:[::1]:0", "tcp:[::1]:")]
    [InlineData("tcp:localhost:0", "tcp:")]
    [InlineData("unix:", "unix:")]
    public async Task Sockets_carry_bytes_both_ways_and_many_links(string uri, string address)
    {
        if (uri.Contains("::1", StringComparison.Ordinal) && !Socket.OSSupportsIPv6)
        {
            return;
        }

        IMigrationEndpoint endpoint = Endpoint(uri == "unix:" ? uri + At("s") : uri);
        Assert.True(endpoint.HasReturnPath);
        Assert.Null(endpoint.File);
        await using IMigrationListener listener = endpoint.Listen();
        Assert.StartsWith(address, listener.Address, StringComparison.Ordinal);
        for (int link = 0; link < 3; link++)
        {
            Task<Stream> accepting = listener.AcceptAsync(CancellationToken.None);
            await using Stream sender = await Endpoint(listener.Address).ConnectAsync(CancellationToken.None).WaitAsync(Patience.Limit);
            await using Stream receiver = await accepting.WaitAsync(Patience.Limit);
            await SendAsync(sender, "there");
            Assert.Equal("there", await ReceiveAsync(receiver, 5));
            await SendAsync(receiver, "back");
            Assert.Equal("back", await ReceiveAsync(sender, 4));
        }
    }

    [Fact]
    public async Task Listener_that_is_closed_leaves_its_links_and_takes_no_more()
    {
        IMigrationListener listener = Endpoint($"unix:{At("s")}").Listen();
        Task<Stream> accepting = listener.AcceptAsync(CancellationToken.None);
        await using Stream sender = await Endpoint(listener.Address).ConnectAsync(CancellationToken.None);
        await using Stream receiver = await accepting.WaitAsync(Patience.Limit);
        Task<Stream> waiting = listener.AcceptAsync(CancellationToken.None);
        await listener.DisposeAsync();
        Assert.Contains("any more", (await Assert.ThrowsAsync<IOException>(() => waiting.WaitAsync(Patience.Limit))).Message,
            StringComparison.Ordinal);
        Assert.False(File.Exists(At("s")));
        await SendAsync(sender, "still");
        Assert.Equal("still", await ReceiveAsync(receiver, 5));
        await Assert.ThrowsAsync<IOException>(() => Endpoint(listener.Address).ConnectAsync(CancellationToken.None));
    }

    [Fact]
    public async Task Socket_file_that_nobody_listens_at_is_replaced_and_one_in_use_is_not()
    {
        using (var old = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            old.Bind(new UnixDomainSocketEndPoint(At("s")));
        }

        await using (IMigrationListener listener = Endpoint($"unix:{At("s")}").Listen())
        {
            Assert.Contains("Address already in use", Assert.Throws<IOException>(() => Endpoint(listener.Address).Listen()).Message,
                StringComparison.Ordinal);
        }

        File.WriteAllText(At("text"), "text");
        Assert.Throws<IOException>(() => Endpoint($"unix:{At("text")}").Listen());
        Assert.Equal("text", File.ReadAllText(At("text")));
    }

    /// <summary>What waits for the other side ends when its stream is disposed of, by whichever thread, and when it is cancelled.</summary>
    [Theory]
    [InlineData("socket", true)]
    [InlineData("socket", false)]
    [InlineData("command", true)]
    [InlineData("command", false)]
    [InlineData("pipe", true)]
    [InlineData("pipe", false)]
    public async Task Read_that_waits_ends_when_the_stream_is_closed(string kind, bool synchronous)
    {
        using var server = new AnonymousPipeServerStream(PipeDirection.Out);
        await using IMigrationListener listener = kind == "socket" ? Endpoint("tcp:127.0.0.1:0").Listen()
            : kind == "command" ? Endpoint("exec:sleep 1000").Listen()
            : Endpoint($"fd:{Take(server)}").Listen();
        await using Stream? other = kind == "socket" ? await Endpoint(listener.Address).ConnectAsync(CancellationToken.None) : null;
        Stream receiver = await listener.AcceptAsync(CancellationToken.None).WaitAsync(Patience.Limit);
        using var cancelled = new CancellationTokenSource();
        Task<int> first = receiver.ReadAsync(new byte[1], cancelled.Token).AsTask();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first.WaitAsync(Patience.Limit));
        Task<int> reading = synchronous ? Task.Run(() => receiver.Read(new byte[1], 0, 1)) : receiver.ReadAsync(new byte[1]).AsTask();
        await Task.Delay(50);
        await receiver.DisposeAsync();
        Exception? ended = await Record.ExceptionAsync(() => reading.WaitAsync(Patience.Limit));
        Assert.True(ended is IOException or ObjectDisposedException || (ended == null && await reading == 0), $"{ended}");
    }

    // The read end of a pipe, as the program inherits one.
    private static long Take(AnonymousPipeServerStream server)
    {
        long number = server.ClientSafePipeHandle.DangerousGetHandle();
        server.ClientSafePipeHandle.SetHandleAsInvalid();
        return number;
    }

    [Fact]
    public async Task Nobody_there_is_one_line()
    {
        using var free = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        free.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        int port = ((IPEndPoint)free.LocalEndPoint!).Port;
        async Task<string> Connect(string uri) => (await Assert.ThrowsAsync<IOException>(() =>
            Endpoint(uri).ConnectAsync(CancellationToken.None).WaitAsync(Patience.Limit))).Message;
        string Listen(string uri) => Assert.Throws<IOException>(() => Endpoint(uri).Listen()).Message;
        Assert.Equal($"Failed to connect to '127.0.0.1:{port}': Connection refused", await Connect($"tcp:127.0.0.1:{port}"));
        Assert.Equal($"Failed to connect to '{At("none")}': No such file or directory", await Connect($"unix:{At("none")}"));
        Assert.Equal("Could not create '/nonexistent/x': No such file or directory", await Connect("file:/nonexistent/x"));
        Assert.Equal($"Could not open '{_folder}': it is a directory, not a regular file", await Connect($"file:{_folder}"));
        Assert.StartsWith("fd:997: the program was not started with", await Connect("fd:997"), StringComparison.Ordinal);
        free.Listen();
        Assert.Equal($"Failed to listen at '127.0.0.1:{port}': Address already in use", Listen($"tcp:127.0.0.1:{port}"));
        Assert.Equal("Failed to bind socket to /nonexistent/s: No such file or directory", Listen("unix:/nonexistent/s"));
        Assert.Equal($"Could not open '{At("none")}': No such file or directory", Listen($"file:{At("none")}"));
        Assert.Equal("Could not open '/dev/zero': it is a character device, not a regular file", Listen("file:/dev/zero"));
    }

    [Fact]
    public async Task File_begins_at_its_offset_and_is_for_its_owner_alone()
    {
        File.WriteAllText(At("f"), "headOLD CONTENTS");
        IMigrationEndpoint endpoint = Endpoint($"file:{At("f")},offset=4");
        Assert.False(endpoint.HasReturnPath);
        Assert.Equal(At("f"), endpoint.File!.Path);
        await using (Stream sender = await endpoint.ConnectAsync(CancellationToken.None))
        {
            await SendAsync(sender, "new");
        }

        Assert.Equal("headnew", File.ReadAllText(At("f")));
        await using IMigrationListener listener = endpoint.Listen();
        await using Stream receiver = await listener.AcceptAsync(CancellationToken.None);
        Assert.Equal("new", await ReceiveAsync(receiver, 4));
        await using (await Endpoint($"file:{At("made")}").ConnectAsync(CancellationToken.None))
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, new FileInfo(At("made")).UnixFileMode);
        }
    }

    /// <summary>A guest's RAM may be mapped from a file: nobody changes it then.</summary>
    [Fact]
    public void File_that_is_mapped_is_replaced_and_not_changed()
    {
        File.WriteAllText(At("f"), "mapped");
        IMigrationFile file = Endpoint($"file:{At("f")}").File!;
        using SafeFileHandle mapped = file.Open();
        string behind = Assert.Throws<IOException>(() => Endpoint($"file:{At("f")},offset=4").File!.Create()).Message;
        Assert.Equal($"Could not open '{At("f")}': a guest's RAM is mapped from it, or it is being written", behind);
        File.CreateSymbolicLink(At("link"), At("f"));
        using (SafeFileHandle fresh = Endpoint($"file:{At("link")}").File!.Create())
        {
            RandomAccess.Write(fresh, "new"u8, 0);

            // What is being written by one is not replaced by another, nor read.
            Assert.Contains("it is being written", Assert.Throws<IOException>(() => file.Create()).Message);
            Assert.Equal($"Could not open '{At("f")}': it is being written", Assert.Throws<IOException>(() => file.Open()).Message);
        }

        Assert.Equal("new", File.ReadAllText(At("f")));
        byte[] was = new byte[6];
        Assert.Equal(6, RandomAccess.Read(mapped, was, 0));
        Assert.Equal("mapped"u8, was);
    }

    [Fact]
    public async Task Command_gets_the_stream_and_gives_it()
    {
        string command = $"exec:cat > {At("f")}; mv {At("f")} {At("done")}";
        await using (Stream sender = await Endpoint(command).ConnectAsync(CancellationToken.None))
        {
            await SendAsync(sender, "a machine");
        }

        Assert.True(SpinWait.SpinUntil(() => File.Exists(At("done")), Patience.Limit));
        await using IMigrationListener listener = Endpoint($"exec:cat {At("done")}").Listen();
        await using Stream receiver = await listener.AcceptAsync(CancellationToken.None);
        Assert.Equal("a machine", await ReceiveAsync(receiver, 20));
        await Assert.ThrowsAsync<IOException>(() => listener.AcceptAsync(CancellationToken.None));
    }

    [Fact]
    public async Task Command_that_has_ended_is_noticed()
    {
        await using Stream sender = await Endpoint("exec:exit 3").ConnectAsync(CancellationToken.None);
        byte[] much = new byte[1 << 20];
        await Assert.ThrowsAsync<IOException>(async () => await sender.WriteAsync(much).AsTask().WaitAsync(Patience.Limit));
    }

    [Fact]
    public async Task Descriptor_of_a_socket_goes_both_ways_and_of_a_pipe_one_way()
    {
        await using IMigrationListener listener = Endpoint("tcp:127.0.0.1:0").Listen();
        Task<Stream> accepting = listener.AcceptAsync(CancellationToken.None);
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPEndPoint.Parse(listener.Address["tcp:".Length..]));
        long number = socket.SafeHandle.DangerousGetHandle();
        IMigrationEndpoint endpoint = Endpoint($"fd:{number}");
        Assert.True(endpoint.HasReturnPath);
        await using Stream peer = await accepting.WaitAsync(Patience.Limit);
        socket.SafeHandle.SetHandleAsInvalid();
        await using (Stream sender = await endpoint.ConnectAsync(CancellationToken.None))
        {
            await SendAsync(sender, "there");
            Assert.Equal("there", await ReceiveAsync(peer, 5));
            await SendAsync(peer, "back");
            Assert.Equal("back", await ReceiveAsync(sender, 4));
        }

        await using var server = new AnonymousPipeServerStream(PipeDirection.Out);
        endpoint = Endpoint($"fd:{Take(server)}");
        Assert.False(endpoint.HasReturnPath);
        await using IMigrationListener once = endpoint.Listen();
        await using Stream receiver = await once.AcceptAsync(CancellationToken.None);
        await SendAsync(server, "piped");
        Assert.Equal("piped", await ReceiveAsync(receiver, 5));
    }

    [Theory]
    [InlineData("foo", "unknown migration protocol: foo")]
    [InlineData("", "unknown migration protocol")]
    [InlineData("rdma:h:1", "not supported: rdma:")]
    [InlineData("vsock:1:1", "not supported: vsock:")]
    [InlineData("tcp:localhost", "error parsing address 'localhost'")]
    [InlineData("tcp:::1:44", "error parsing address '::1:44'")]
    [InlineData("tcp:[::1:44", "error parsing address")]
    [InlineData("tcp:h:65536", "error parsing address")]
    [InlineData("tcp:h:http", "error parsing address")]
    [InlineData("tcp:h:44,ipv4=on", "not supported: 'ipv4=on'")]
    [InlineData("unix:", "'unix:' has no address behind it")]
    [InlineData("exec:", "'exec:' has no address behind it")]
    [InlineData("file:", "'file:' has no address behind it")]
    [InlineData("file:,offset=5", "'file:' has no address behind it")]
    [InlineData("file:/tmp/x,offset=abc", "file URI has bad offset abc: Invalid argument")]
    [InlineData("fd:-1", "'-1' is no number of a file descriptor")]
    [InlineData("fd:foo", "'foo' is no number of a file descriptor")]
    public void Address_wrong_says_what(string uri, string message)
    {
        string said = Assert.Throws<FormatException>(() => Endpoint(uri)).Message;
        Assert.Contains(message, said, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', said);
    }

    [Fact]
    public void Path_of_a_socket_that_is_too_long_is_refused() => Assert.Contains(
        "at most 107 bytes", Assert.Throws<FormatException>(() => Endpoint($"unix:/{new string('x', 107)}")).Message,
        StringComparison.Ordinal);
}
