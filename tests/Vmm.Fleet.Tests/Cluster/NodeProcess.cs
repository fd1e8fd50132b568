using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Vmm.Fleet.Cluster;

namespace Vmm.Fleet.Tests.Cluster;

/// <summary><c>vmm node</c> as a process of its own, and its REST.</summary>
internal sealed class NodeProcess : IDisposable
{
    private readonly ConcurrentQueue<string> _log = [];
    private readonly HttpClient _client;

    private NodeProcess(Process process, string server, string tokens)
    {
        Process = process;
        Server = server;
        _client = new HttpClient { BaseAddress = new Uri(server), Timeout = Patience.Limit };
        _client.DefaultRequestHeaders.Authorization =
            new AuthenticationHeaderValue("Bearer", File.ReadLines(tokens).Last().Split(' ')[^1]);
    }

    public Process Process { get; }

    /// <summary>Where REST is.</summary>
    public string Server { get; }

    /// <summary>What it has written to its log.</summary>
    public string Log => string.Join('\n', _log);

    /// <param name="traces">Where its traces go to; null for nowhere.</param>
    public static async Task<NodeProcess> StartAsync(TestFleet fleet, int node, string? traces = null)
    {
        string config = fleet.WriteConfig(node);
        (NodeConfig.Load(config) with { Traces = traces }).Save(config);
        Process process = VmmProcess.Start(["node", "--config", config, "--log", "information"]);
        string? line = await process.StandardOutput.ReadLineAsync().WaitAsync(Patience.Limit);
        string errors = line == null ? await process.StandardError.ReadToEndAsync() : "";
        Assert.True(line != null, errors);
        var started = new NodeProcess(process, line.Split(' ')[^1], Path.Combine(fleet.FolderOf(node), "tokens"));
        process.ErrorDataReceived += (_, said) => started._log.Enqueue(said.Data ?? "");
        process.BeginErrorReadLine();
        return started;
    }

    /// <summary>Ends it as a crash does. Its VMs go on.</summary>
    public void Kill()
    {
        Process.Kill();
        Process.WaitForExit();
    }

    public async Task<JsonNode?> GetAsync(string path)
    {
        using HttpResponseMessage answer = await _client.GetAsync(path);
        return answer.IsSuccessStatusCode ? JsonNode.Parse(await answer.Content.ReadAsStringAsync()) : null;
    }

    /// <summary>
    /// The answer, which must be a success. A record that does not answer is asked again with the same key, as any client does.
    /// </summary>
    public async Task<JsonNode> PostAsync(string path, string body, string? key = null)
    {
        key ??= Guid.NewGuid().ToString("N");
        for (var start = Stopwatch.StartNew(); ;)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent.Create(JsonNode.Parse(body)) };
            request.Headers.Add("Idempotency-Key", key);
            using HttpResponseMessage answer = await _client.SendAsync(request);
            string text = await answer.Content.ReadAsStringAsync();
            if (answer.IsSuccessStatusCode)
            {
                return JsonNode.Parse(text)!;
            }

            Assert.True(answer.StatusCode == HttpStatusCode.ServiceUnavailable && start.Elapsed < Patience.Limit, text);
        }
    }

    /// <summary>Does something with a VM, and waits for its end.</summary>
    public async Task<JsonNode> DoAsync(string vm, string body)
    {
        JsonNode operation = await PostAsync($"/v1/vms/{vm}/operations", body);
        while (!(bool)operation["isDone"]!)
        {
            operation = await GetAsync($"/v1/vms/{vm}/operations/{(string)operation["id"]!}?wait=60") ?? operation;
        }

        return operation;
    }

    /// <summary>Waits until what is at an address is as it should be; an address that does not answer is asked again.</summary>
    public async Task<JsonNode> AwaitAsync(string path, Predicate<JsonNode> condition)
    {
        JsonNode? found = null;
        for (var start = Stopwatch.StartNew(); found == null || !condition(found); found = await GetAsync(path))
        {
            Assert.True(start.Elapsed < Patience.Limit, found?.ToJsonString());
            await Task.Delay(50);
        }

        return found;
    }

    public void Dispose()
    {
        if (!Process.HasExited)
        {
            Kill();
        }

        Process.Dispose();
        _client.Dispose();
    }
}
