using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;

namespace Vmm.Management.Tests.Qmp;

/// <summary>A client of a QMP server at a Unix socket.</summary>
internal sealed class QmpTestClient : IDisposable
{
    private readonly StreamReader _lines;
    private int _syncs;

    private QmpTestClient(Socket socket)
    {
        Socket = socket;
        _lines = new StreamReader(new NetworkStream(socket), Encoding.UTF8);
    }

    public Socket Socket { get; }

    public static async Task<QmpTestClient> ConnectAsync(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path));
        return new QmpTestClient(socket);
    }

    /// <summary>Connects, takes the greeting and negotiates.</summary>
    public static async Task<QmpTestClient> NegotiateAsync(string path, bool outOfBand = false)
    {
        QmpTestClient client = await ConnectAsync(path);
        Assert.NotNull((await client.ReceiveAsync())!["QMP"]);
        client.Send($$$"""{"execute":"qmp_capabilities","arguments":{"enable":[{{{(outOfBand ? "\"oob\"" : "")}}}]}}""");
        Assert.NotNull((await client.ReceiveAsync())!["return"]);
        return client;
    }

    public void Send(string text) => Send(Encoding.UTF8.GetBytes(text));

    public void Send(byte[] bytes) => Socket.Send(bytes);

    /// <summary>The next message; null at the end.</summary>
    public async Task<JsonNode?> ReceiveAsync() =>
        await _lines.ReadLineAsync().WaitAsync(Patience.Limit) is { } line ? JsonNode.Parse(line) : null;

    /// <summary>Sends a line, and a request behind it; what is answered before the answer to that.</summary>
    public async Task<List<JsonNode>> AskAsync(string line)
    {
        string sync = $"sync {++_syncs}";
        Send($$"""{{line}}{{"\n"}}{"execute":"query-name","id":"{{sync}}"}{{"\n"}}""");
        var answers = new List<JsonNode>();
        while (await ReceiveAsync() is { } answer && answer["id"]?.ToString() != sync)
        {
            answers.Add(answer);
        }

        return answers;
    }

    public void Dispose()
    {
        _lines.Dispose();
        Socket.Dispose();
    }
}
