using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Serialization.Metadata;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Rest;
using Vmm.Fleet.Tests.Cluster;

namespace Vmm.Benchmarks.Fleet;

/// <summary>
/// Somebody who asks a fleet for something all the time, as a careful client does: a request has an id, and is repeated with it at any node
/// until it is acknowledged. Records of VMs are made and removed, and a VM whose policy is <see cref="FailurePolicy.Leave"/> is started and
/// stopped. Now and then a request that has ended is repeated, which must change nothing.
/// </summary>
/// <param name="nodes">Those that can be asked now.</param>
/// <param name="spec">Of the records that are made.</param>
/// <param name="vm">The VM that is started and stopped.</param>
/// <param name="watched">What it writes.</param>
/// <param name="prefix">Of names and ids.</param>
internal sealed class FaultRequests(
    Func<IReadOnlyList<FaultNode>> nodes, VmSpec spec, string vm, RunningVms watched, string prefix, int seed)
{
    private const string Vms = "/v1/vms";

    // Each has its room at a node; one node of three may be away.
    private const int MostRecords = 5;

    // For a node that does not answer there are others.
    private static readonly TimeSpan s_attempt = TimeSpan.FromSeconds(5);

    // In so long the fleet knows that a node is lost.
    private static readonly TimeSpan s_loss = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(300);

    /// <summary>What was asked.</summary>
    public RequestLedger Ledger { get; } = new();

    /// <summary>Asks until it is told to stop, and what is under way has ended.</summary>
    public Task RunAsync(CancellationToken stop, CancellationToken end) => Task.WhenAll(MakeAsync(stop, end), SwitchAsync(stop, end));

    /// <summary>Looks which records there are, and removes them.</summary>
    public async Task<IReadOnlyList<string>> RemoveAsync(IReadOnlyCollection<string> others, CancellationToken end)
    {
        var random = new Random(seed);
        (_, VmRecord[]? all) = await SendAsync(
            random, HttpMethod.Get, Vms, null, RestJson.Default.VmRecordArray, null, end).ConfigureAwait(false);
        string[] found = [.. (all ?? []).Select(record => record.Vm).Except(others)];
        foreach (string record in found)
        {
            await RemoveAsync(random, record, end).ConfigureAwait(false);
        }

        return found;
    }

    private Task<VmOperation> RemoveAsync(Random random, string record, CancellationToken end) =>
        DoAsync(random, record, new NewOperation(VmAction.Delete), $"{record}-d", end);

    private async Task MakeAsync(CancellationToken stop, CancellationToken end)
    {
        var random = new Random(seed + 1);
        var made = new Queue<string>();
        for (int i = 0; !stop.IsCancellationRequested; i++)
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"{prefix}-{i}");
            Ledger.Ask(name);
            for (int times = random.Next(4) == 0 ? 2 : 1; times > 0; times--)
            {
                var clock = Stopwatch.StartNew();
                (HttpStatusCode status, _) = await SendAsync(
                    random, HttpMethod.Post, Vms, new NewVm(name, spec), RestJson.Default.NewVm, RestJson.Default.VmRecord, name, end)
                    .ConfigureAwait(false);
                if (status == HttpStatusCode.Created)
                {
                    Ledger.Made(name);
                    Ledger.Acknowledge(clock.Elapsed);
                }
            }

            made.Enqueue(name);
            if (made.Count > MostRecords)
            {
                string oldest = made.Dequeue();
                if ((await RemoveAsync(random, oldest, end).ConfigureAwait(false)).Outcome == RequestOutcome.Done)
                {
                    Ledger.Removed(oldest);
                }
            }

            await Task.Delay(s_pause, end).ConfigureAwait(false);
        }
    }

    private async Task SwitchAsync(CancellationToken stop, CancellationToken end)
    {
        var random = new Random(seed + 2);
        for (int i = 0; !stop.IsCancellationRequested; i++)
        {
            string start = string.Create(CultureInfo.InvariantCulture, $"{prefix}-s-{i}");
            int before = watched.Boots();
            Ledger.AskStart();
            VmOperation started = await DoAsync(random, vm, new NewOperation(VmAction.Start), start, end).ConfigureAwait(false);
            if (started.Outcome == RequestOutcome.Done)
            {
                Ledger.DoneStart();
                await AwaitGuestAsync(random, before, end).ConfigureAwait(false);
            }

            VmOperation stopped = await DoAsync(
                random, vm, new NewOperation(VmAction.Stop), string.Create(CultureInfo.InvariantCulture, $"{prefix}-e-{i}"), end)
                .ConfigureAwait(false);
            if (stopped.Outcome != RequestOutcome.Done)
            {
                Ledger.Complain($"{stopped.Id} ended as {stopped.Outcome}: {stopped.Detail}");
            }

            if (random.Next(3) == 0)
            {
                VmOperation again = await DoAsync(random, vm, new NewOperation(VmAction.Start), start, end).ConfigureAwait(false);
                if (again.Outcome != started.Outcome || again.EndedAt != started.EndedAt)
                {
                    Ledger.Complain($"{start} ended twice: {started}, {again}");
                }
            }

            await Task.Delay(s_pause, end).ConfigureAwait(false);
        }
    }

    // The guest begins at once, unless its node is lost in that moment: then the record says so.
    private async Task AwaitGuestAsync(Random random, int before, CancellationToken end)
    {
        var clock = Stopwatch.StartNew();
        while (watched.Boots() == before && clock.Elapsed < s_loss)
        {
            await Task.Delay(20, end).ConfigureAwait(false);
            if (clock.Elapsed > s_attempt)
            {
                (_, VmRecord? record) = await SendAsync(
                    random, HttpMethod.Get, $"{Vms}/{vm}", null, RestJson.Default.VmRecord, null, end).ConfigureAwait(false);
                if (record?.State == ProcessState.Failed && watched.Boots() == before)
                {
                    Ledger.LoseStart();
                    return;
                }
            }
        }
    }

    // Until its end.
    private async Task<VmOperation> DoAsync(Random random, string name, NewOperation asked, string key, CancellationToken end)
    {
        var clock = Stopwatch.StartNew();
        (HttpStatusCode status, VmOperation? operation) = asked.Action == VmAction.Delete
            ? await SendAsync(random, HttpMethod.Delete, $"{Vms}/{name}", null, RestJson.Default.VmOperation, key, end)
                .ConfigureAwait(false)
            : await SendAsync(
                random, HttpMethod.Post, $"{Vms}/{name}/operations", asked, RestJson.Default.NewOperation, RestJson.Default.VmOperation,
                key, end).ConfigureAwait(false);
        while (operation is { IsDone: false })
        {
            (status, operation) = await SendAsync(
                random, HttpMethod.Get, $"{Vms}/{name}/operations/{key}?wait=3", null, RestJson.Default.VmOperation, null, end)
                .ConfigureAwait(false);
        }

        if (operation != null)
        {
            Ledger.Acknowledge(clock.Elapsed);
        }

        return operation ?? new VmOperation(
            name, key, asked.Action, 0, "", true, RequestOutcome.Failed, $"the answer was {(int)status}", [], 0, 0);
    }

    private Task<(HttpStatusCode Status, TAnswer? Answer)> SendAsync<TBody, TAnswer>(
        Random random, HttpMethod method, string path, TBody body, JsonTypeInfo<TBody> bodyType, JsonTypeInfo<TAnswer> type, string? key,
        CancellationToken end)
        where TAnswer : class =>
        SendAsync(random, method, path, () => JsonContent.Create(body, bodyType), type, key, end);

    // What does not answer, or answers that it cannot say now, is asked again, at any node.
    private async Task<(HttpStatusCode Status, T? Answer)> SendAsync<T>(
        Random random, HttpMethod method, string path, Func<HttpContent>? body, JsonTypeInfo<T> type, string? key, CancellationToken end)
        where T : class
    {
        while (true)
        {
            end.ThrowIfCancellationRequested();
            if (nodes() is { Count: > 0 } all)
            {
                (HttpStatusCode status, T? answer, string detail) = await all[random.Next(all.Count)]
                    .AskAsync(method, path, body?.Invoke(), type, key, s_attempt).ConfigureAwait(false);
                if (status is not (0 or HttpStatusCode.ServiceUnavailable))
                {
                    if (answer == null && (key != null || status != HttpStatusCode.NotFound))
                    {
                        Ledger.Complain($"{method} {path} {key}: {(int)status} {detail}");
                    }

                    return (status, answer);
                }
            }

            await Task.Delay(100, end).ConfigureAwait(false);
        }
    }
}
