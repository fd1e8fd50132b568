using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;

namespace Vmm.Benchmarks.Hotplug;

/// <summary>An answer to a QMP command.</summary>
/// <param name="Return">What was returned; null for an error.</param>
/// <param name="Error">The text of the error; null for success.</param>
/// <param name="SentAt">When the request was sent, in ticks of <see cref="Stopwatch"/>.</param>
/// <param name="AnsweredAt">When the answer was read, in the same ticks.</param>
internal sealed record QmpAnswer(JsonNode? Return, string? Error, long SentAt, long AnsweredAt);

/// <summary>A QMP event.</summary>
/// <param name="HeardAt">When it was read, in ticks of <see cref="Stopwatch"/>.</param>
internal sealed record QmpEvent(string Name, JsonNode? Data, long HeardAt);

/// <summary>A client of a QMP server at a Unix socket. Requests of one connection are executed in order; any number may wait.</summary>
internal sealed class QmpConnection : IDisposable
{
    private readonly Socket _socket;
    private readonly StreamReader _lines;
    private readonly Action<QmpEvent>? _heard;
    private readonly ConcurrentDictionary<string, (TaskCompletionSource<QmpAnswer> Answer, long SentAt)> _waiting = new();
    private int _requests;

    private QmpConnection(Socket socket, Action<QmpEvent>? heard)
    {
        _socket = socket;
        _heard = heard;
        _lines = new StreamReader(new NetworkStream(socket), Encoding.UTF8);
    }

    /// <summary>Connects and negotiates; tries again until the server listens.</summary>
    /// <param name="heard">Hears events, in order, on one thread at a time; null where nobody listens.</param>
    public static async Task<QmpConnection> OpenAsync(string path, Action<QmpEvent>? heard, CancellationToken cancellation)
    {
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation).ConfigureAwait(false);
            }
            catch (SocketException)
            {
                socket.Dispose();
                await Task.Delay(5, cancellation).ConfigureAwait(false);
                continue;
            }

            var connection = new QmpConnection(socket, heard);
            new Thread(connection.Read) { Name = "qmp", IsBackground = true }.Start();
            await connection.ExecuteAsync("qmp_capabilities").WaitAsync(cancellation).ConfigureAwait(false);
            return connection;
        }
    }

    /// <summary>Executes a command.</summary>
    /// <exception cref="IOException">The connection ended before the answer.</exception>
    public Task<QmpAnswer> ExecuteAsync(string command, JsonObject? arguments = null)
    {
        string id = Interlocked.Increment(ref _requests).ToString(CultureInfo.InvariantCulture);
        var request = new JsonObject { ["execute"] = command, ["id"] = id };
        if (arguments != null)
        {
            request["arguments"] = arguments;
        }

        byte[] bytes = Encoding.UTF8.GetBytes(request.ToJsonString() + "\n");
        var answer = new TaskCompletionSource<QmpAnswer>(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting[id] = (answer, Stopwatch.GetTimestamp());
        try
        {
            _socket.Send(bytes);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            answer.TrySetException(new IOException("the monitor's connection is closed"));
        }

        return answer.Task;
    }

    public void Dispose()
    {
        _socket.Dispose();
        _lines.Dispose();
    }

    // A thread of its own, so that what is heard is not late by what else this program does.
    private void Read()
    {
        try
        {
            while (_lines.ReadLine() is { } line)
            {
                long now = Stopwatch.GetTimestamp();
                JsonNode message = JsonNode.Parse(line)!;
                if (message["event"] is { } name)
                {
                    _heard?.Invoke(new QmpEvent(name.ToString(), message["data"], now));
                }
                else if (message["id"] is { } id && _waiting.TryRemove(id.ToString(), out var waiting))
                {
                    waiting.Answer.TrySetResult(new QmpAnswer(
                        message["return"], message["error"]?["desc"]?.ToString(), waiting.SentAt, now));
                }
            }
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
        {
            // The end of the VM's process ends the connection in any of these ways.
        }

        foreach ((TaskCompletionSource<QmpAnswer> answer, _) in _waiting.Values)
        {
            answer.TrySetException(new IOException("the monitor's connection is closed"));
        }
    }
}
