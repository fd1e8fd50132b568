using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json.Serialization.Metadata;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;
using Vmm.Fleet.Rest;
using Vmm.Fleet.Tests.Cluster;
using Vmm.Host.Guest;

namespace Vmm.Benchmarks.Fleet;

/// <summary>What is done to a fleet.</summary>
internal enum FleetFault
{
    /// <summary>A node is killed, and is away until its VMs are elsewhere.</summary>
    Node,

    /// <summary>A node is killed, and started again at once: it has its VMs still.</summary>
    Restart,

    /// <summary>The process of a VM is killed.</summary>
    Vm,

    /// <summary>As <see cref="Node"/>, of the oldest node: it has the coordinators of shards and of placement.</summary>
    Coordinator,

    /// <summary>PostgreSQL is killed, and away for less than a lease.</summary>
    Database,

    /// <summary>PostgreSQL is killed, and away for longer than a lease.</summary>
    Outage,

    /// <summary>A node is cut off from the others, the database or both: for some seconds, or until its VMs are elsewhere.</summary>
    Partition,
}

/// <summary>
/// Faults of a fleet of three nodes, each in a network namespace of its own, with a VM at each that writes to its serial line, and requests
/// all the time. After each fault all VMs run as their policy says, none has run twice, and no request that was acknowledged is lost or
/// was done twice. A node that ends is started again, as systemd does.
/// </summary>
internal sealed class FleetFaults : IDisposable
{
    private const int Nodes = 3;
    private const string Switched = "switch";

    // The fleet's promise, from the fault or from the end of an outage.
    private static readonly TimeSpan s_promised = TimeSpan.FromSeconds(60);

    // What is not right after so long is given up.
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(4);
    private static readonly TimeSpan s_attempt = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100);
    private static readonly string[] s_vms = ["vm1", "vm2", "vm3"];

    private readonly IReadOnlyList<string> _program;
    private readonly int _seed;
    private readonly Random _random;
    private readonly string _logs;
    private readonly TextWriter _output;
    private readonly CancellationToken _cancellation;
    private readonly FaultNetwork _network;
    private readonly PostgresServer _postgres;
    private readonly LocalFleet _fleet;
    private readonly VmSpec _writer;
    private readonly Heartbeat _clock = new();

    // Null while a node is away. In _order the node that has run longest is the first.
    private readonly FaultNode?[] _nodes = new FaultNode?[Nodes + 1];
    private readonly List<int> _order = [];
    private readonly List<(FleetFault Fault, TimeSpan After, TimeSpan Slowest, int Requests, bool IsLate, bool IsWrong)> _rounds = [];

    /// <param name="program">The path of <c>vmm</c>, and its first arguments.</param>
    /// <param name="logs">A folder for the logs of the nodes; is made.</param>
    /// <exception cref="GuestAssetsException">This host lacks something.</exception>
    public FleetFaults(IReadOnlyList<string> program, int seed, string logs, TextWriter output, CancellationToken cancellation)
    {
        (_program, _seed, _random, _logs, _output, _cancellation) = (program, seed, new Random(seed), logs, output, cancellation);
        Directory.CreateDirectory(logs);
        _network = new FaultNetwork(Nodes);
        _postgres = new PostgresServer(_network.DatabaseAddress);
        _fleet = new LocalFleet(_postgres.NewDatabase(), [.. Enumerable.Range(1, Nodes).Select(_network.AddressOf)]);
        Directory.CreateDirectory(_fleet.FolderOf(1));
        string image = Path.Combine(_fleet.FolderOf(1), "image");
        File.WriteAllBytes(image, RunningVms.Writer);
        _writer = new VmSpec(1, 1, 64 << 20, "max", image, "", "", "", []);
    }

    /// <summary>Each fault so many times, in an order by chance; how many rounds were wrong or late.</summary>
    public async Task<int> RunAsync(IReadOnlyList<FleetFault> faults, int times)
    {
        await SayAsync(string.Create(
            CultureInfo.InvariantCulture, $"fleet faults: seed {_seed}, {string.Join(", ", faults)}, {times} times each"))
            .ConfigureAwait(false);
        await StartAsync().ConfigureAwait(false);
        FleetFault[] all = [.. faults.SelectMany(fault => Enumerable.Repeat(fault, times))];
        _random.Shuffle(all);
        foreach (FleetFault fault in all)
        {
            await RoundAsync(fault).ConfigureAwait(false);
        }

        int bad = 0;
        await SayAsync("fault         times  wrong  late  median s  worst s  slowest request s  requests").ConfigureAwait(false);
        foreach (var kind in _rounds.GroupBy(round => round.Fault).OrderBy(kind => kind.Key))
        {
            TimeSpan[] after = [.. kind.Select(round => round.After).Order()];
            int wrong = kind.Count(round => round.IsWrong), late = kind.Count(round => round.IsLate);
            bad += kind.Count(round => round.IsWrong || round.IsLate);
            await SayAsync(string.Create(
                CultureInfo.InvariantCulture,
                $"{kind.Key,-12} {after.Length,6} {wrong,6} {late,5} {after[after.Length / 2].TotalSeconds,9:0.0} "
                + $"{after[^1].TotalSeconds,8:0.0} {kind.Max(round => round.Slowest).TotalSeconds,18:0.0} "
                + $"{kind.Sum(round => round.Requests),9}")).ConfigureAwait(false);
        }

        return bad;
    }

    public void Dispose()
    {
        _clock.Dispose();
        Array.ForEach(_nodes, node => node?.Dispose());
        _fleet.Dispose();
        _postgres.Dispose();
        _network.Dispose();
    }

    private Task SayAsync(string line) => _output.WriteLineAsync(line);

    private async Task StartAsync()
    {
        // One after the other: the oldest is known then.
        for (int node = 1; node <= Nodes; node++)
        {
            await StartNodeAsync(node).ConfigureAwait(false);
            await AwaitMembersAsync(node).ConfigureAwait(false);
        }

        foreach ((string vm, int i) in s_vms.Append(Switched).Select((vm, i) => (vm, i)))
        {
            FailurePolicy policy = vm == Switched ? FailurePolicy.Leave : FailurePolicy.Restart;
            var body = new NewVm(vm, _writer, Node: LocalFleet.NodeName((i % Nodes) + 1), Policy: policy);
            await AwaitAsync(
                node => node.AskAsync(
                    HttpMethod.Post, "/v1/vms", System.Net.Http.Json.JsonContent.Create(body, RestJson.Default.NewVm),
                    RestJson.Default.VmRecord, vm, s_attempt),
                _ => true, $"{vm} is made").ConfigureAwait(false);
            if (vm != Switched)
            {
                await AwaitAsync(
                    node => node.AskAsync(
                        HttpMethod.Post, $"/v1/vms/{vm}/operations",
                        System.Net.Http.Json.JsonContent.Create(new NewOperation(VmAction.Start), RestJson.Default.NewOperation),
                        RestJson.Default.VmOperation, $"{vm}-start", s_attempt),
                    operation => operation.IsDone, $"{vm} starts").ConfigureAwait(false);
            }
        }
    }

    private async Task StartNodeAsync(int node)
    {
        _nodes[node] = await FaultNode.StartAsync(
            _program, _fleet, _network, node, Path.Combine(_logs, LocalFleet.NodeName(node)), _cancellation).ConfigureAwait(false);
        _order.Remove(node);
        _order.Add(node);
    }

    private Task AwaitMembersAsync(int count = Nodes) => AwaitAsync(
        node => AskAsync(node, "/v1/nodes", RestJson.Default.NodeStatusArray), all => all.Length == count && all.All(n => n.TakesVms),
        "all nodes are members");

    private async Task RoundAsync(FleetFault fault)
    {
        List<string> problems = [];
        Dictionary<string, RunningVms> watched =
            s_vms.Append(Switched).ToDictionary(vm => vm, vm => new RunningVms(_fleet, vm, Nodes));
        TimeSpan after = s_patience, still = _clock.Still;
        string what = "";
        var requests = new FaultRequests(
            () => [.. _nodes.OfType<FaultNode>()], _writer, Switched, watched[Switched], $"r{_rounds.Count}", _random.Next());
        using var stop = new CancellationTokenSource();
        using var end = CancellationTokenSource.CreateLinkedTokenSource(_cancellation);
        Task? asking = null;
        try
        {
            await AwaitMembersAsync().ConfigureAwait(false);
            await AwaitVmsAsync(watched, _ => true).ConfigureAwait(false);
            asking = requests.RunAsync(stop.Token, end.Token);
            await Task.Delay(_random.Next(5000), _cancellation).ConfigureAwait(false);
            (what, after) = await DoAsync(fault, watched).ConfigureAwait(false);
            await AwaitMembersAsync().ConfigureAwait(false);
            await stop.CancelAsync().ConfigureAwait(false);
            await asking.WaitAsync(s_patience * 2, _cancellation).ConfigureAwait(false);
            IReadOnlyList<string> found = await requests.RemoveAsync([.. watched.Keys], _cancellation)
                .WaitAsync(s_patience * 2).ConfigureAwait(false);
            await AwaitVmsAsync(watched, _ => true).ConfigureAwait(false);
            problems.AddRange(requests.Ledger.FindWrong(found, watched[Switched].Boots()));
        }
        catch (TimeoutException e)
        {
            problems.Add(e.Message);
        }
        finally
        {
            await end.CancelAsync().ConfigureAwait(false);
            await (asking ?? Task.CompletedTask).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        foreach ((string vm, RunningVms where) in watched)
        {
            if (where.FindOverlap() is { } overlap)
            {
                problems.Add($"{vm} ran twice: {overlap}");
            }
        }

        string anew = string.Join(' ', s_vms.Where(vm => watched[vm].Boots() > 1));
        Array.ForEach([.. watched.Values], where => where.Dispose());
        still = _clock.Still - still;
        bool isLate = after > s_promised && still == TimeSpan.Zero;
        _rounds.Add((fault, after, requests.Ledger.Slowest, requests.Ledger.Acknowledged, isLate, problems.Count > 0));
        await SayAsync(string.Create(
            CultureInfo.InvariantCulture,
            $"{_rounds.Count,3} {DateTime.Now:HH:mm:ss} {what,-36} all run after {after.TotalSeconds,5:0.0} s, begun anew: {anew,-11}, "
            + $"slowest of {requests.Ledger.Acknowledged} requests {requests.Ledger.Slowest.TotalSeconds:0.0} s: "
            + $"{(problems.Count > 0 ? "WRONG" : isLate ? "LATE" : "ok")}"
            + $"{(still > TimeSpan.Zero ? $", but this process stood still for {still.TotalSeconds:0} s" : "")}"
            + $"{string.Concat(problems.Select(p => $"\n    {p}"))}"))
            .ConfigureAwait(false);
    }

    // Does it, and waits until all VMs run as they should: how long that was, from the fault or from the end of what was away.
    private async Task<(string What, TimeSpan After)> DoAsync(FleetFault fault, Dictionary<string, RunningVms> watched)
    {
        int node = fault == FleetFault.Coordinator ? _order[0] : PlaceOfOne(watched);
        string what = $"{fault} {LocalFleet.NodeName(node)}";
        Stopwatch clock;
        switch (fault)
        {
            case FleetFault.Node or FleetFault.Coordinator:
                Kill(node);
                clock = Stopwatch.StartNew();
                await AwaitVmsAsync(watched, vm => vm.Node != LocalFleet.NodeName(node)).ConfigureAwait(false);
                clock.Stop();
                await StartNodeAsync(node).ConfigureAwait(false);
                return (what, clock.Elapsed);
            case FleetFault.Restart:
                Kill(node);
                clock = Stopwatch.StartNew();
                await StartNodeAsync(node).ConfigureAwait(false);
                await AwaitMembersAsync().ConfigureAwait(false);
                break;
            case FleetFault.Vm:
                string vm = s_vms[_random.Next(s_vms.Length)];
                what = $"{fault} {vm}";
                await KillAsync(vm).ConfigureAwait(false);
                clock = Stopwatch.StartNew();
                await AwaitVmsAsync(watched, _ => watched[vm].Boots() == 2).ConfigureAwait(false);
                return (what, clock.Elapsed);
            case FleetFault.Database or FleetFault.Outage:
                int away = fault == FleetFault.Database ? _random.Next(500, 12_000) : _random.Next(35_000, 60_000);
                what = string.Create(CultureInfo.InvariantCulture, $"{fault} for {away / 1000.0:0.0} s");
                _postgres.Kill();
                await KeepAsync(TimeSpan.FromMilliseconds(away)).ConfigureAwait(false);
                _postgres.Start();
                clock = Stopwatch.StartNew();
                break;
            case FleetFault.Partition:
                return await CutAsync(node, watched).ConfigureAwait(false);
            default:
                throw new ArgumentOutOfRangeException(nameof(fault));
        }

        await AwaitVmsAsync(watched, _ => true).ConfigureAwait(false);
        return (what, clock.Elapsed);
    }

    // A node that has a VM: without one its loss is noticed by nobody.
    private int PlaceOfOne(Dictionary<string, RunningVms> watched) => watched[s_vms[_random.Next(s_vms.Length)]].Last().Node;

    private async Task<(string What, TimeSpan After)> CutAsync(int node, Dictionary<string, RunningVms> watched)
    {
        var from = (Links)(1 + _random.Next(3));
        bool isBrief = _random.Next(3) == 0;
        TimeSpan length = TimeSpan.FromMilliseconds(_random.Next(1000, 8000));
        string what = string.Create(
            CultureInfo.InvariantCulture,
            $"{LocalFleet.NodeName(node)} cut from {from}{(isBrief ? $" for {length.TotalSeconds:0.0} s" : "")}");
        _network.Cut(node, from);
        var clock = Stopwatch.StartNew();
        try
        {
            if (!isBrief)
            {
                await AwaitVmsAsync(watched, vm => vm.Node != LocalFleet.NodeName(node), except: node).ConfigureAwait(false);
                return (what, clock.Elapsed);
            }

            await KeepAsync(length).ConfigureAwait(false);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{what}: {e.Message}");
        }
        finally
        {
            _network.Cut(node, 0);
        }

        clock.Restart();
        await AwaitVmsAsync(watched, _ => true).ConfigureAwait(false);
        return (what, clock.Elapsed);
    }

    private void Kill(int node)
    {
        _nodes[node]!.Dispose();
        _nodes[node] = null;
    }

    private async Task KillAsync(string vm)
    {
        int killed = 0;
        await AwaitAsync(
            async node =>
            {
                (HttpStatusCode status, NodeReport? report, string detail) =
                    await AskAsync(node, "/v1/node", RestJson.Default.NodeReport).ConfigureAwait(false);
                killed = report?.Vms.FirstOrDefault(v => v.Vm == vm)?.Process ?? 0;
                return killed != 0 ? (status, report, detail) : (0, null, $"{LocalFleet.NodeName(node.Number)} does not have it");
            },
            _ => true, $"{vm} is somewhere").ConfigureAwait(false);
        using Process process = Process.GetProcessById(killed);
        process.Kill();
    }

    // Each runs at one place, and its guest writes there.
    private async Task AwaitVmsAsync(Dictionary<string, RunningVms> watched, Func<VmRecord, bool> isRight, int except = 0)
    {
        foreach (string name in s_vms)
        {
            await AwaitAsync(
                node => AskAsync(node, $"/v1/vms/{name}", RestJson.Default.VmRecord),
                vm => vm.State == ProcessState.Running && isRight(vm)
                    && watched[name].Last() is var (at, age) && age < TimeSpan.FromSeconds(1) && LocalFleet.NodeName(at) == vm.Node,
                $"{name} runs", except).ConfigureAwait(false);
        }
    }

    private static Task<(HttpStatusCode Status, T? Answer, string Detail)> AskAsync<T>(FaultNode node, string path, JsonTypeInfo<T> type)
        where T : class => node.AskAsync(HttpMethod.Get, path, null, type, null, s_attempt);

    // What is wrong, or does not answer, is asked again at the next node.
    private async Task AwaitAsync<T>(
        Func<FaultNode, Task<(HttpStatusCode Status, T? Answer, string Detail)>> ask, Predicate<T> isRight, string what, int except = 0)
        where T : class
    {
        string problem = "";
        for (TimeSpan start = _clock.Elapsed; _clock.Elapsed - start < s_patience;)
        {
            await StartWhatHasEndedAsync().ConfigureAwait(false);
            foreach (FaultNode node in _nodes.OfType<FaultNode>().Where(node => node.Number != except))
            {
                (_, T? answer, string detail) = await ask(node).ConfigureAwait(false);
                if (answer != null && isRight(answer))
                {
                    return;
                }

                problem = answer?.ToString() ?? detail;
            }

            await Task.Delay(s_look, _cancellation).ConfigureAwait(false);
        }

        throw new TimeoutException(
            string.Create(CultureInfo.InvariantCulture, $"not in {s_patience.TotalSeconds:0} s: {what}: {problem}"));
    }

    private async Task KeepAsync(TimeSpan time)
    {
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < time;)
        {
            await StartWhatHasEndedAsync().ConfigureAwait(false);
            await Task.Delay(s_look, _cancellation).ConfigureAwait(false);
        }
    }

    // As systemd does. A node may end again at once, for its database is away.
    private async Task StartWhatHasEndedAsync()
    {
        for (int node = 1; node <= Nodes; node++)
        {
            if (_nodes[node] is { Process.HasExited: true } ended)
            {
                await SayAsync($"    {LocalFleet.NodeName(node)} has ended with exit code {ended.Process.ExitCode}, and is started again")
                    .ConfigureAwait(false);
                try
                {
                    await StartNodeAsync(node).ConfigureAwait(false);
                    ended.Dispose();
                }
                catch (GuestSilentException)
                {
                    // It is tried again.
                }
            }
        }
    }
}
