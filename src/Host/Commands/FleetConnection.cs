using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Mvc;
using Vmm.Fleet.Ledger;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Rest;
using Vmm.Management.Text;

namespace Vmm.Host.Commands;

/// <summary>The fleet refuses, or does not answer: one line.</summary>
internal sealed class FleetException(string message) : Exception(message);

/// <summary>REST of a node, from the side of <c>vmm fleet</c>.</summary>
internal sealed class FleetConnection : IDisposable
{
    // How long a fleet may say that it cannot answer now, because its nodes, or its database, are busy or lost. A node asks a record for
    // half a minute before it says so.
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(500);

    private readonly HttpClient _client;
    private readonly TimeProvider _time;

    // Why the last node that was connected to was not taken for one.
    private volatile string? _refusal;

    /// <param name="server">Where a node serves.</param>
    /// <param name="time">By which it gives up; null for the host's.</param>
    /// <exception cref="FleetException">A file cannot be read, or the address is none.</exception>
    public FleetConnection(string server, FleetAccess access, TimeProvider? time = null)
    {
        _time = time ?? TimeProvider.System;
        if (!Uri.TryCreate(server, UriKind.Absolute, out Uri? address) || address.Scheme is not ("http" or "https"))
        {
            throw new FleetException($"'{UserText.Legible(server)}' is not http://HOST:PORT or https://HOST:PORT");
        }

        string? token = access.ReadToken();
        _client = new HttpClient(new SocketsHttpHandler { SslOptions = access.ReadTls(refusal => _refusal = refusal) })
        {
            BaseAddress = address, Timeout = TimeSpan.FromMinutes(2),
        };
        _client.DefaultRequestHeaders.Authorization = token == null ? null : new AuthenticationHeaderValue("Bearer", token);
    }

    public Task<VmRecord[]> ListAsync() => SendAsync(HttpMethod.Get, "/v1/vms", null, RestJson.Default.VmRecordArray);

    public Task<VmRecord> GetAsync(string vm) => SendAsync(HttpMethod.Get, $"/v1/vms/{Escaped(vm)}", null, RestJson.Default.VmRecord);

    public Task<VmRecord> CreateAsync(NewVm vm) =>
        SendAsync(HttpMethod.Post, "/v1/vms", JsonContent.Create(vm, RestJson.Default.NewVm), RestJson.Default.VmRecord);

    public Task<NodeStatus[]> NodesAsync() => SendAsync(HttpMethod.Get, "/v1/nodes", null, RestJson.Default.NodeStatusArray);

    public Task<NodeStatus> SetNodeAsync(string node, NodeChange change) => SendAsync(
        HttpMethod.Put, $"/v1/nodes/{Escaped(node)}", JsonContent.Create(change, RestJson.Default.NodeChange),
        RestJson.Default.NodeStatus);

    /// <summary>Does something with a VM, and waits until it has ended.</summary>
    public async Task<VmOperation> DoAsync(string vm, NewOperation asked)
    {
        VmOperation operation = asked.Action == VmAction.Delete
            ? await SendAsync(HttpMethod.Delete, $"/v1/vms/{Escaped(vm)}", null, RestJson.Default.VmOperation).ConfigureAwait(false)
            : await SendAsync(
                HttpMethod.Post, $"/v1/vms/{Escaped(vm)}/operations", JsonContent.Create(asked, RestJson.Default.NewOperation),
                RestJson.Default.VmOperation).ConfigureAwait(false);
        while (!operation.IsDone)
        {
            operation = await SendAsync(
                HttpMethod.Get, $"/v1/vms/{Escaped(vm)}/operations/{operation.Id}?wait=60", null, RestJson.Default.VmOperation)
                .ConfigureAwait(false);
        }

        return operation;
    }

    /// <summary>Sets how the number of a VM's CPUs follows its load; null for not at all.</summary>
    public Task<VmRecord> SetScalingAsync(string vm, ScalingSpec? scaling) => SendAsync(
        scaling == null ? HttpMethod.Delete : HttpMethod.Put, $"/v1/vms/{Escaped(vm)}/scaling",
        scaling == null ? null : JsonContent.Create(scaling, RestJson.Default.ScalingSpec), RestJson.Default.VmRecord);

    public Task<AccountState> GetAccountAsync(string owner) =>
        SendAsync(HttpMethod.Get, $"/v1/owners/{Escaped(owner)}", null, RestJson.Default.AccountState);

    public Task<AccountState> SetQuotaAsync(string owner, OwnerQuota quota) => SendAsync(
        HttpMethod.Put, $"/v1/owners/{Escaped(owner)}/quota", JsonContent.Create(quota, RestJson.Default.OwnerQuota),
        RestJson.Default.AccountState);

    /// <summary>What an owner has used, as CSV or JSON.</summary>
    /// <param name="first">The first day; null for the first of the month.</param>
    /// <param name="last">The last day; null for today.</param>
    public Task<string> GetInvoiceAsync(string owner, string? first, string? last, bool isJson)
    {
        string days = string.Join('&', new[] { ("first", first), ("last", last) }.Where(d => d.Item2 != null)
            .Select(d => $"{d.Item1}={Uri.EscapeDataString(d.Item2!)}"));
        return SendAsync(
            HttpMethod.Get, $"/v1/owners/{Escaped(owner)}/invoice?{days}", null, isJson ? "application/json" : "text/csv",
            content => content.ReadAsStringAsync());
    }

    public void Dispose() => _client.Dispose();

    private static string Escaped(string vm) => Uri.EscapeDataString(vm);

    private Task<T> SendAsync<T>(HttpMethod method, string path, HttpContent? body, JsonTypeInfo<T> type) =>
        SendAsync(method, path, body, "application/json", async content => (await content.ReadFromJsonAsync(type).ConfigureAwait(false))!);

    private async Task<T> SendAsync<T>(
        HttpMethod method, string path, HttpContent? body, string media, Func<HttpContent, Task<T>> read)
    {
        string id = Guid.NewGuid().ToString("N");
        try
        {
            if (body != null)
            {
                await body.LoadIntoBufferAsync().ConfigureAwait(false);
            }

            for (long begun = _time.GetTimestamp(); ;)
            {
                using var request = new HttpRequestMessage(method, path) { Content = body };
                request.Headers.Accept.ParseAdd(media);
                request.Headers.Add("Idempotency-Key", id);
                HttpResponseMessage response = await _client.SendAsync(request).ConfigureAwait(false);
                request.Content = null;
                if (response.IsSuccessStatusCode)
                {
                    return await read(response.Content).ConfigureAwait(false);
                }

                // The same request with the same id is carried out once.
                bool isBusy = response.StatusCode == HttpStatusCode.ServiceUnavailable;
                TimeSpan waited = _time.GetElapsedTime(begun);
                if (isBusy && waited < s_patience)
                {
                    await Task.Delay(s_pause).ConfigureAwait(false);
                    continue;
                }

                ProblemDetails? problem = await response.Content.ReadFromJsonAsync(RestJson.Default.ProblemDetails).ConfigureAwait(false);
                string detail = problem?.Detail ?? $"the node answered {(int)response.StatusCode}";
                throw new FleetException(
                    isBusy ? $"no answer in {waited.TotalSeconds:0} s; the fleet may still do what was asked ({detail})" : detail);
            }
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
        {
            throw new FleetException(
                $"no node answers at {_client.BaseAddress}: {_refusal ?? SystemError.Describe(e.InnerException ?? e)}");
        }
        catch (JsonException)
        {
            throw new FleetException($"what answers at {_client.BaseAddress} is no node");
        }
    }
}
