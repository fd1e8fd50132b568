using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;

namespace Vmm.Benchmarks.Fleet;

/// <summary>
/// Clients of REST that a node must bear: some send a byte now and then, some read nothing of what they asked for, some send what is no
/// HTTP, some have no token or a wrong one, and some ask for what their role may not. What each is answered is counted.
/// </summary>
/// <param name="viewer">The token of a viewer.</param>
internal sealed class WrongClients(Uri server, string vm, string viewer)
{
    private const int Slow = 20;
    private static readonly TimeSpan s_byte = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(100);

    // A node that takes no notice of garbage for so long has kept the connection.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    private readonly ConcurrentDictionary<string, int> _answers = [];

    /// <summary>Answers that should be others: one line each.</summary>
    public ConcurrentQueue<string> Unexpected { get; } = [];

    public override string ToString() => string.Join('\n', _answers.OrderBy(a => a.Key, StringComparer.Ordinal)
        .Select(a => string.Create(CultureInfo.InvariantCulture, $"{a.Key}: {a.Value}"))
        .Concat(Unexpected.Select(u => $"WRONG {u}").Take(20)));

    /// <summary>Runs all of them until it is told to stop.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        using var client = new HttpClient { BaseAddress = server, Timeout = s_patience };
        var random = new Random(1);
        await Task.WhenAll(
        [
            .. Enumerable.Range(0, Slow).Select(_ => RepeatAsync(() => DribbleAsync(stop), stop)),
            .. Enumerable.Range(0, Slow).Select(_ => RepeatAsync(() => IgnoreAnswersAsync(stop), stop)),
            RepeatAsync(() => SendGarbageAsync(random, stop), stop),
            RepeatAsync(() => AskAsync(client, HttpMethod.Get, "/v1/vms", null, HttpStatusCode.Unauthorized, stop), stop),
            RepeatAsync(() => AskAsync(client, HttpMethod.Get, "/v1/vms", new string('x', 24), HttpStatusCode.Unauthorized, stop), stop),
            RepeatAsync(
                () => AskAsync(client, HttpMethod.Post, $"/v1/vms/{vm}/operations", viewer, HttpStatusCode.Forbidden, stop), stop),
            RepeatAsync(() => AskAsync(client, HttpMethod.Delete, $"/v1/vms/{vm}", viewer, HttpStatusCode.Forbidden, stop), stop),
        ]).ConfigureAwait(false);
    }

    private static async Task RepeatAsync(Func<Task> act, CancellationToken stop)
    {
        try
        {
            while (true)
            {
                await act().ConfigureAwait(false);
                await Task.Delay(s_pause, stop).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // It is told to stop.
        }
    }

    private async Task AskAsync(
        HttpClient client, HttpMethod method, string path, string? token, HttpStatusCode wanted, CancellationToken stop)
    {
        using var request = new HttpRequestMessage(method, path);
        request.Headers.Authorization = token == null ? null : new AuthenticationHeaderValue("Bearer", token);
        request.Content = method == HttpMethod.Post
            ? new StringContent("""{"action":"Stop"}""", Encoding.UTF8, "application/json") : null;
        string what = $"{method} {path} {(token == null ? "without a token" : token == viewer ? "by a viewer" : "with an unknown token")}";
        try
        {
            using HttpResponseMessage answer = await client.SendAsync(request, stop).ConfigureAwait(false);
            Count($"{what}: {(int)answer.StatusCode}");
            if (answer.StatusCode != wanted)
            {
                Unexpected.Enqueue($"{what}: {(int)answer.StatusCode}");
            }
        }
        catch (Exception e) when (e is HttpRequestException || (e is OperationCanceledException && !stop.IsCancellationRequested))
        {
            Unexpected.Enqueue($"{what}: {e.Message}");
        }
    }

    // A head that never ends: the node gives it up.
    private async Task DribbleAsync(CancellationToken stop)
    {
        using Socket socket = await ConnectAsync(stop).ConfigureAwait(false);
        byte[] head = Encoding.ASCII.GetBytes("GET /v1/vms HTTP/1.1\r\nHost: node\r\nX-Slow: ");
        try
        {
            for (int i = 0; ; i++)
            {
                await socket.SendAsync(new byte[] { i < head.Length ? head[i] : (byte)'x' }, stop).ConfigureAwait(false);
                await Task.Delay(s_byte, stop).ConfigureAwait(false);
            }
        }
        catch (SocketException)
        {
            Count("a head of a byte each half second: given up");
        }
    }

    // Asks again and again, and reads nothing, until the node takes no more or closes.
    private async Task IgnoreAnswersAsync(CancellationToken stop)
    {
        using Socket socket = await ConnectAsync(stop).ConfigureAwait(false);
        byte[] request = Encoding.ASCII.GetBytes($"GET /v1/vms HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {viewer}\r\n\r\n");
        try
        {
            while (true)
            {
                await socket.SendAsync(request, stop).ConfigureAwait(false);
                await Task.Delay(s_byte, stop).ConfigureAwait(false);
            }
        }
        catch (SocketException)
        {
            Count("answers that nobody reads: given up");
        }
    }

    private async Task SendGarbageAsync(Random random, CancellationToken stop)
    {
        using Socket socket = await ConnectAsync(stop).ConfigureAwait(false);
        byte[] garbage = new byte[random.Next(1, 4096)];
        random.NextBytes(garbage);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(s_patience);
        try
        {
            await socket.SendAsync(garbage, limit.Token).ConfigureAwait(false);
            socket.Shutdown(SocketShutdown.Send);
            byte[] answer = new byte[512];
            int count = await socket.ReceiveAsync(answer, limit.Token).ConfigureAwait(false);
            string said = count == 0 ? "closed" : Encoding.ASCII.GetString(answer, 0, count).Split('\r')[0];
            Count($"garbage: {said}");
            if (count > 0 && !said.Contains(" 4", StringComparison.Ordinal) && !said.Contains(" 505", StringComparison.Ordinal))
            {
                Unexpected.Enqueue($"garbage: {said}");
            }
        }
        catch (SocketException)
        {
            Count("garbage: closed");
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            Unexpected.Enqueue("garbage: the connection stays");
        }
    }

    private async Task<Socket> ConnectAsync(CancellationToken stop)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Parse(server.Host), server.Port), stop).ConfigureAwait(false);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private void Count(string what) => _answers.AddOrUpdate(what, 1, (_, times) => times + 1);
}
