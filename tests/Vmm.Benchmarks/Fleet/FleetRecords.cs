using System.Diagnostics;
using System.Globalization;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Rest;
using Vmm.Host.Commands;
using Vmm.Host.Demo;
using Vmm.Host.Guest;

namespace Vmm.Benchmarks.Fleet;

/// <summary>
/// Records of many VMs on three nodes, whose VMs are simulated (<see cref="SimulatedVms"/>): they are made and started by REST, and each
/// node is ended and started again, one after the other.
/// </summary>
internal sealed class FleetRecords
{
    private const int Nodes = 3;

    // Requests that are under way at a moment.
    private const int Clients = 16;

    // For what hangs: a busy host can make all of it very slow.
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(500);

    private readonly LocalFleet _fleet;
    private readonly TextWriter _output;
    private readonly CancellationToken _cancellation;
    private readonly string[] _names;
    private readonly FleetMember?[] _members = new FleetMember?[Nodes + 1];
    private int _repeated;
    private bool _isWrong;

    private FleetRecords(LocalFleet fleet, int count, TextWriter output, CancellationToken cancellation)
    {
        (_fleet, _output, _cancellation) = (fleet, output, cancellation);
        _names = [.. Enumerable.Range(1, count).Select(i => string.Create(CultureInfo.InvariantCulture, $"vm{i}"))];
    }

    private static IEnumerable<int> All => Enumerable.Range(1, Nodes);

    /// <returns>0, or 1 if something is not as it should be.</returns>
    /// <exception cref="GuestAssetsException">This host lacks PostgreSQL.</exception>
    public static async Task<int> RunAsync(int count, TextWriter output, CancellationToken cancellation)
    {
        await PostgresServer.EnsureInstalledAsync(cancellation).ConfigureAwait(false);
        using var postgres = new PostgresServer();
        using var fleet = new LocalFleet(postgres.NewDatabase(), HostTools.FreeAddresses(Nodes));
        var records = new FleetRecords(fleet, count, output, cancellation);
        try
        {
            await records.RunAsync().ConfigureAwait(false);
            return records._isWrong ? 1 : 0;
        }
        finally
        {
            Array.ForEach(records._members, member => member?.Dispose());
        }
    }

    private async Task RunAsync()
    {
        await Task.WhenAll(All.Select(StartAsync)).ConfigureAwait(false);
        await AwaitMembersAsync().ConfigureAwait(false);
        await SayAsync($"{Nodes} nodes are members; each has {MemoryOfNodes()} MiB").ConfigureAwait(false);
        var clock = Stopwatch.StartNew();
        var spec = new VmSpec(1, 4, 128 << 20, "max", "/boot/image", "", "", "", []);
        await EachAsync(async (rest, vm) =>
        {
            // One that was not answered may be made all the same, now or later.
            if (_repeated == 0 || !await IsThereAsync(rest, vm).ConfigureAwait(false))
            {
                await rest.CreateAsync(new NewVm(vm, spec)).WaitAsync(_cancellation).ConfigureAwait(false);
            }
        }).ConfigureAwait(false);
        await SayAsync($"{_names.Length} records are made after {Seconds(clock)}").ConfigureAwait(false);
        clock.Restart();
        await EachAsync(async (rest, vm) => await rest.DoAsync(vm, new NewOperation(VmAction.Start)).WaitAsync(_cancellation)
            .ConfigureAwait(false)).ConfigureAwait(false);
        await SayAsync($"all are started after {Seconds(clock)}; {_repeated} requests were not answered in time, and repeated")
            .ConfigureAwait(false);
        await JudgeAsync(1, isEven: true).ConfigureAwait(false);
        foreach (int node in All)
        {
            await RestartAsync(node).ConfigureAwait(false);
        }

        await JudgeAsync(1, isEven: false).ConfigureAwait(false);
    }

    private async Task StartAsync(int node) => _members[node] = await FleetMember.StartAsync(
        [Environment.ProcessPath!], _fleet, node, _cancellation).ConfigureAwait(false);

    private async Task RestartAsync(int node)
    {
        var clock = Stopwatch.StartNew();
        FleetMember member = _members[node]!;
        using (Process terminate = Process.Start("kill", [$"{member.Process.Id}"]))
        {
            await terminate.WaitForExitAsync(_cancellation).ConfigureAwait(false);
        }

        // Those who stay answer for all records while it is away.
        Task ended = member.Process.WaitForExitAsync(_cancellation);
        int other = (node % Nodes) + 1;
        await ended.WaitAsync(s_patience, _cancellation).ConfigureAwait(false);
        string down = Seconds(clock);
        string read = await ReadAllAsync(other).ConfigureAwait(false);
        member.Dispose();
        clock.Restart();
        await StartAsync(node).ConfigureAwait(false);
        await AwaitMembersAsync().ConfigureAwait(false);
        string up = Seconds(clock);
        await SayAsync(
            $"node{node}: has ended after {down}; all records answer at node{other} {read} after that; the node is back {up} after its "
            + $"start, and all records answer there {await ReadAllAsync(node).ConfigureAwait(false)} after that").ConfigureAwait(false);
        await JudgeAsync(node, isEven: false).ConfigureAwait(false);
    }

    // How long until a list has all of them.
    private async Task<string> ReadAllAsync(int node)
    {
        var clock = Stopwatch.StartNew();
        await AwaitAsync(async () =>
            (await _members[node]!.Rest.ListAsync().WaitAsync(_cancellation).ConfigureAwait(false)).Length == _names.Length)
            .ConfigureAwait(false);
        return Seconds(clock);
    }

    private Task AwaitMembersAsync() => AwaitAsync(async () =>
    {
        foreach (int node in All)
        {
            NodeStatus[] seen = await _members[node]!.Rest.NodesAsync().WaitAsync(_cancellation).ConfigureAwait(false);
            if (seen.Length != Nodes)
            {
                return false;
            }
        }

        return true;
    });

    // All records are there, their VMs run, each once, and evenly: a node that was away is no cause to move any.
    private async Task JudgeAsync(int node, bool isEven)
    {
        VmRecord[] records = [];
        bool isRight = await TryAwaitAsync(async () =>
        {
            records = await _members[node]!.Rest.ListAsync().WaitAsync(_cancellation).ConfigureAwait(false);
            return records.Length == _names.Length && Array.TrueForAll(records, r => r is { State: ProcessState.Running, IsWanted: true });
        }).ConfigureAwait(false);
        string[] running = [.. All.SelectMany(n => SimulatedVms.Running(_fleet.FolderOf(n)))];
        int twice = running.Length - running.Distinct(StringComparer.Ordinal).Count();
        int[] places = [.. All.Select(n => records.Count(r => r.Node == LocalFleet.NodeName(n)))];
        bool isSpread = !isEven || places.Max() <= 1.1 * _names.Length / Nodes + 1;
        var clock = Stopwatch.StartNew();
        await _members[node]!.Rest.ListAsync().WaitAsync(_cancellation).ConfigureAwait(false);
        await SayAsync(
            $"{records.Length} records, {running.Length} VMs run, {twice} of them twice; VMs at the nodes: {string.Join(", ", places)}; "
            + $"a list takes {clock.ElapsedMilliseconds} ms; each node has {MemoryOfNodes()} MiB").ConfigureAwait(false);
        if (!isRight || twice != 0 || running.Length != _names.Length || !isSpread)
        {
            _isWrong = true;
            await SayAsync("WRONG: that is not as it should be").ConfigureAwait(false);
        }
    }

    private Task EachAsync(Func<FleetConnection, string, Task> act)
    {
        int next = -1;
        async Task WorkAsync(FleetConnection rest)
        {
            for (int i; (i = Interlocked.Increment(ref next)) < _names.Length;)
            {
                var clock = Stopwatch.StartNew();
                while (!await TryAsync(() => act(rest, _names[i])).ConfigureAwait(false))
                {
                    Interlocked.Increment(ref _repeated);
                    if (clock.Elapsed > s_patience)
                    {
                        throw new GuestSilentException($"the record of {_names[i]} does not answer");
                    }
                }
            }
        }

        return Task.WhenAll(Enumerable.Range(0, Clients).Select(client => WorkAsync(_members[(client % Nodes) + 1]!.Rest)));
    }

    private static async Task<bool> TryAsync(Func<Task> act)
    {
        try
        {
            await act().ConfigureAwait(false);
            return true;
        }
        catch (FleetException)
        {
            return false;
        }
    }

    private static Task<bool> IsThereAsync(FleetConnection rest, string vm) => TryAsync(() => rest.GetAsync(vm));

    private async Task AwaitAsync(Func<Task<bool>> isSo)
    {
        if (!await TryAwaitAsync(isSo).ConfigureAwait(false))
        {
            throw new GuestSilentException("the fleet does not become what it should be");
        }
    }

    private async Task<bool> TryAwaitAsync(Func<Task<bool>> isSo)
    {
        bool isTrue = false;
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < s_patience; await Task.Delay(s_look, _cancellation).ConfigureAwait(false))
        {
            // A record that is on its way to another node does not answer.
            if (await TryAsync(async () => isTrue = await isSo().ConfigureAwait(false)).ConfigureAwait(false) && isTrue)
            {
                return true;
            }
        }

        return false;
    }

    private string MemoryOfNodes() => string.Join(", ", All.Select(node =>
    {
        using var process = Process.GetProcessById(_members[node]!.Process.Id);
        return process.WorkingSet64 >> 20;
    }));

    private static string Seconds(Stopwatch clock) =>
        string.Create(CultureInfo.InvariantCulture, $"{clock.Elapsed.TotalSeconds:0.0} s");

    private Task SayAsync(string line) => _output.WriteLineAsync(line);
}
