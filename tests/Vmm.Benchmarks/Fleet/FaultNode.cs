using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Vmm.Fleet.Cluster;
using Vmm.Host.Guest;

namespace Vmm.Benchmarks.Fleet;

/// <summary><c>vmm node</c> in a network namespace of its own, and its REST, which is asked from outside of that.</summary>
internal sealed class FaultNode : IDisposable
{
    private readonly HttpClient _client;

    private FaultNode(int number, Process process, HttpClient client) => (Number, Process, _client) = (number, process, client);

    public int Number { get; }

    public Process Process { get; }

    /// <summary>Starts a node, and waits until it serves REST.</summary>
    /// <param name="log">Where its log is added.</param>
    /// <exception cref="GuestSilentException">It ends instead; it has said why.</exception>
    public static async Task<FaultNode> StartAsync(
        IReadOnlyList<string> program, LocalFleet fleet, FaultNetwork network, int node, string log, CancellationToken cancellation)
    {
        string folder = fleet.FolderOf(node);
        Process process = Process.Start(new ProcessStartInfo(
            "setsid",
            ["--", .. network.Prefix(node), .. program, "node", "--config", fleet.WriteConfig(node), "--log", $"information,{log}"])
        {
            RedirectStandardOutput = true,
        })!;
        string? line = await process.StandardOutput.ReadLineAsync(cancellation).ConfigureAwait(false);
        if (line == null)
        {
            await process.WaitForExitAsync(cancellation).ConfigureAwait(false);
            process.Dispose();
            throw new GuestSilentException($"{LocalFleet.NodeName(node)} does not start");
        }

        var address = new Uri(line.Split(' ')[^1]);
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, stop) =>
            {
                System.Net.Sockets.Socket socket = network.Open(node);
                try
                {
                    await socket.ConnectAsync(new IPEndPoint(IPAddress.Parse(address.Host), address.Port), stop).ConfigureAwait(false);
                    return new System.Net.Sockets.NetworkStream(socket, ownsSocket: true);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            },
        };
        var client = new HttpClient(handler) { BaseAddress = address, Timeout = Timeout.InfiniteTimeSpan };
        string[] tokens = await File.ReadAllLinesAsync(Path.Combine(folder, "tokens"), cancellation).ConfigureAwait(false);
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", tokens[^1].Split(' ')[^1]);
        return new FaultNode(node, process, client);
    }

    /// <summary>Asks once.</summary>
    /// <param name="key">The id of the request; null for one that changes nothing.</param>
    /// <param name="patience">How long the answer may take.</param>
    /// <returns>The status, and what was answered with a status of success; 0 if there is no answer.</returns>
    public async Task<(HttpStatusCode Status, T? Answer, string Detail)> AskAsync<T>(
        HttpMethod method, string path, HttpContent? body, JsonTypeInfo<T> type, string? key, TimeSpan patience)
        where T : class
    {
        using var limit = new CancellationTokenSource(patience);
        using var request = new HttpRequestMessage(method, path) { Content = body };
        if (key != null)
        {
            request.Headers.Add("Idempotency-Key", key);
        }

        try
        {
            using HttpResponseMessage answer = await _client.SendAsync(request, limit.Token).ConfigureAwait(false);
            return answer.IsSuccessStatusCode
                ? (answer.StatusCode, await answer.Content.ReadFromJsonAsync(type, limit.Token).ConfigureAwait(false), "")
                : (answer.StatusCode, null, await answer.Content.ReadAsStringAsync(limit.Token).ConfigureAwait(false));
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or ObjectDisposedException or JsonException)
        {
            return (0, null, e.Message);
        }
    }

    /// <summary>Ends it as a crash does (SIGKILL). Its VMs go on, until its lease ends.</summary>
    public void Dispose()
    {
        Process.Kill();
        Process.WaitForExit();
        Process.Dispose();
        _client.Dispose();
    }
}
