using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Rest;
using Vmm.Host.Guest;

namespace Vmm.Benchmarks.Fleet;

/// <summary>
/// Reads of a node's REST at a steady rate, each at its time whatever becomes of the ones before, so that a node which stands still is
/// seen in all that would have come meanwhile. At the same time there are clients that are slow or wrong (<see cref="WrongClients"/>).
/// </summary>
internal sealed class RestLoad(IReadOnlyList<string> program, TextWriter output, CancellationToken cancellation)
{
    private const int Vms = 12;

    // Of them.
    private const int Running = 4;

    // What issue 15 promises.
    private const double MostMilliseconds = 20;

    // The first requests make a node compile what it needs.
    private static readonly TimeSpan s_warm = TimeSpan.FromSeconds(5);
    private static readonly string s_viewer = new('v', 24);

    private readonly ConcurrentDictionary<string, int> _failed = [];

    /// <returns>0, or 1 if a goal is missed.</returns>
    public async Task<int> RunAsync(int seconds, int rate)
    {
        using LoneNode node =
            await LoneNode.StartAsync(program, $"viewer eve {s_viewer}\nadmin ada {new string('a', 24)}\n", cancellation)
            .ConfigureAwait(false);
        string image = Path.Combine(node.Folder, "image");
        await File.WriteAllBytesAsync(image, Vmm.Fleet.Tests.IdleGuest.Image, cancellation).ConfigureAwait(false);
        var spec = new VmSpec(1, 4, 64 << 20, "max", image, "", "", "", []);
        string[] names = [.. Enumerable.Range(1, Vms).Select(i => string.Create(CultureInfo.InvariantCulture, $"vm{i}"))];
        foreach (string name in names)
        {
            await node.CreateAsync(name, spec, cancellation).ConfigureAwait(false);
        }

        foreach (string name in names[..Running])
        {
            await node.DoAsync(name, new NewOperation(VmAction.Start), cancellation).ConfigureAwait(false);
        }

        string[] paths = ["/v1/vms", "/v1/nodes", "/v1/node", "/v1/me", .. names.Select(name => $"/v1/vms/{name}")];
        using var client = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 100 }) { BaseAddress = node.Address };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", s_viewer);
        await ReadAsync(client, paths, rate, s_warm).ConfigureAwait(false);
        double[] quiet = await ReadAsync(client, paths, rate, TimeSpan.FromSeconds(seconds)).ConfigureAwait(false);

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var wrong = new WrongClients(node.Address, names[0], s_viewer);
        Task wrongs = wrong.RunAsync(stop.Token);
        await ReadAsync(client, paths, rate, s_warm).ConfigureAwait(false);
        double[] loud = await ReadAsync(client, paths, rate, TimeSpan.FromSeconds(seconds)).ConfigureAwait(false);
        await stop.CancelAsync().ConfigureAwait(false);
        await wrongs.ConfigureAwait(false);

        await output.WriteLineAsync(string.Create(
            CultureInfo.InvariantCulture,
            $"{rate} reads a second for {seconds} s at a node with {Vms} VMs, {Running} of which run (ms)\n"
            + $"| | reads | median | p99 | most | goal of p99 |\n|---|--:|--:|--:|--:|--:|\n"
            + $"{Row("alone", quiet)}\n{Row("beside wrong clients", loud)}\n{wrong}")).ConfigureAwait(false);
        foreach ((string what, int times) in _failed)
        {
            await output.WriteLineAsync($"FAILED {times} times: {what}").ConfigureAwait(false);
        }

        return _failed.IsEmpty && wrong.Unexpected.IsEmpty && At(quiet, 0.99) < MostMilliseconds && At(loud, 0.99) < MostMilliseconds
            ? 0 : 1;
    }

    private static double At(double[] sorted, double part) => sorted[Math.Min((int)(sorted.Length * part), sorted.Length - 1)];

    private static string Row(string what, double[] sorted) => string.Create(
        CultureInfo.InvariantCulture,
        $"| {what} | {sorted.Length} | {At(sorted, 0.5):0.0} | {At(sorted, 0.99):0.0} | {sorted[^1]:0.0} | {MostMilliseconds} |");

    // How many ms after its time each was answered, in order of that.
    private async Task<double[]> ReadAsync(HttpClient client, string[] paths, int rate, TimeSpan duration)
    {
        var clock = Stopwatch.StartNew();
        async Task<double> AskAsync(string path, TimeSpan due)
        {
            try
            {
                using HttpResponseMessage answer = await client.GetAsync(path, cancellation).ConfigureAwait(false);
                await answer.Content.ReadAsByteArrayAsync(cancellation).ConfigureAwait(false);
                if (answer.StatusCode != HttpStatusCode.OK)
                {
                    Fail($"GET {path}: {(int)answer.StatusCode}");
                }
            }
            catch (HttpRequestException e)
            {
                Fail($"GET {path}: {e.Message}");
            }

            return (clock.Elapsed - due).TotalMilliseconds;
        }

        var asked = new List<Task<double>>();
        for (int i = 0; i < rate * duration.TotalSeconds; i++)
        {
            TimeSpan due = TimeSpan.FromSeconds((double)i / rate);
            if (due > clock.Elapsed)
            {
                await Task.Delay(due - clock.Elapsed, cancellation).ConfigureAwait(false);
            }

            asked.Add(AskAsync(paths[i % paths.Length], due));
        }

        return [.. (await Task.WhenAll(asked).ConfigureAwait(false)).Order()];
    }

    private void Fail(string what) => _failed.AddOrUpdate(what, 1, (_, times) => times + 1);
}
