using System.Globalization;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;
using Vmm.Fleet.Rest;
using Vmm.Host.Commands;
using Vmm.Host.Guest;

namespace Vmm.Host.Demo;

/// <summary>
/// A fleet of three nodes on this machine, with a PostgreSQL of its own and twelve small VMs. CPUs of one follow its load, a node is
/// drained, and a node is killed. What the guests themselves say is the judge: whether they run on, or began anew.
/// </summary>
internal sealed class FleetScenario
{
    private const int Nodes = 3, Vms = 12, Drained = 2, Killed = 3;
    private const string Busy = "vm1";
    private const string Online = "cat /sys/devices/system/cpu/online";

    // A fleet says that VMs of a lost node are elsewhere within so many seconds (docs/fleet.md).
    private const int MostSecondsAway = 60;

    // For what hangs: a busy host can make all of it very slow.
    private static readonly TimeSpan s_patience = GuestShell.DefaultPatience;
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(200);

    private readonly GuestFiles _files;
    private readonly LocalFleet _fleet;
    private readonly Timeline _timeline;
    private readonly CancellationToken _cancellation;
    private readonly List<Finding> _findings = [];
    private readonly FleetMember?[] _nodes = new FleetMember?[Nodes + 1];

    // How many CPUs the busy VM was seen to have.
    private int _busyCpus;

    private FleetScenario(GuestFiles files, LocalFleet fleet, Timeline timeline, CancellationToken cancellation)
    {
        _files = files;
        _fleet = fleet;
        _timeline = timeline;
        _cancellation = cancellation;
    }

    // The first node is asked for everything, and stays.
    private FleetConnection Rest => _nodes[1]!.Rest;

    /// <summary>Runs the scenario, and prints a timeline. Nothing of it is left at its end, however it ends.</summary>
    /// <exception cref="GuestSilentException">A guest or a node stopped answering.</exception>
    /// <exception cref="GuestAssetsException">This host lacks PostgreSQL.</exception>
    public static async Task<IReadOnlyList<Finding>> RunAsync(GuestFiles files, Action<string> print, CancellationToken cancellation)
    {
        await PostgresServer.EnsureInstalledAsync(cancellation).ConfigureAwait(false);
        var timeline = new Timeline(print);
        using var postgres = new PostgresServer();
        timeline.Say("fleet", "PostgreSQL runs");
        using var fleet = new LocalFleet(postgres.NewDatabase(), HostTools.FreeAddresses(Nodes));
        var scenario = new FleetScenario(files, fleet, timeline, cancellation);
        try
        {
            await scenario.RunAsync().ConfigureAwait(false);
            return scenario._findings;
        }
        finally
        {
            Array.ForEach(scenario._nodes, node => node?.Dispose());
        }
    }

    private async Task RunAsync()
    {
        await Task.WhenAll(Enumerable.Range(1, Nodes).Select(StartNodeAsync)).ConfigureAwait(false);
        await AwaitNodesAsync().ConfigureAwait(false);
        await CreateAsync().ConfigureAwait(false);
        await ScaleAsync().ConfigureAwait(false);
        Dictionary<string, string> guests = await BootIdsAsync().ConfigureAwait(false);
        await DrainAsync(guests).ConfigureAwait(false);
        await LoseAsync(guests).ConfigureAwait(false);
        await DeleteAsync().ConfigureAwait(false);
    }

    private async Task StartNodeAsync(int node)
    {
        _nodes[node] = await FleetMember.StartAsync(OwnProgram.Command, _fleet, node, _cancellation).ConfigureAwait(false);
        _timeline.Say(_nodes[node]!.Name, "serves REST");
    }

    private async Task AwaitNodesAsync()
    {
        await AwaitAsync(rest => rest.NodesAsync(), nodes => nodes.Length == Nodes && nodes.All(n => n.TakesVms), "all nodes are members")
            .ConfigureAwait(false);
        _timeline.Say("fleet", $"{Nodes} nodes are members");
    }

    private async Task CreateAsync()
    {
        TimeSpan begun = _timeline.Elapsed;
        var spec = new VmSpec(1, 4, 128 << 20, "max", _files.Kernel, _files.Initramfs, "console=ttyAMA0 quiet", "", []);
        string[] names = [.. Enumerable.Range(1, Vms).Select(number => $"vm{number}")];
        foreach (string name in names)
        {
            await Rest.CreateAsync(new NewVm(name, spec)).WaitAsync(_cancellation).ConfigureAwait(false);
        }

        _timeline.Say("fleet", $"{Vms} VMs are made, in {Since(begun)}");
        await Task.WhenAll(names.Select(name => DoAsync(name, new NewOperation(VmAction.Start)))).ConfigureAwait(false);
        VmRecord[] vms = await AwaitRunningAsync(_ => true).ConfigureAwait(false);
        _timeline.Say("fleet", $"they run, after {Since(begun)}");
        Find("VMs at each node", "node1 4, node2 4, node3 4", Places(vms));
        await BootIdsAsync().ConfigureAwait(false);
        _timeline.Say("guests", $"all {Vms} have booted, {Since(begun)} after the first was made");
    }

    // Load in one guest brings it CPUs, and idleness takes them back.
    private async Task ScaleAsync()
    {
        VmRecord busy = await Rest.GetAsync(Busy).WaitAsync(_cancellation).ConfigureAwait(false);
        await using ConsoleShell shell = await OpenAsync(busy).ConfigureAwait(false);
        await Rest.SetScalingAsync(Busy, new ScalingSpec(4, UpAfter: 1, DownAfter: 5, CoolDown: 2, MostChanges: 100))
            .WaitAsync(_cancellation).ConfigureAwait(false);
        await ScaledAsync(1).ConfigureAwait(false);
        Find($"CPUs online in {Busy} before the load", "0", await SettleAsync(() => shell.RunAsync(Online), "0").ConfigureAwait(false));

        // A distribution has udev for this.
        await shell.RunAsync("cd /sys/devices/system/cpu; while sleep 0.2; do for c in cpu[1-9]/online; do "
            + "[ \"$(cat $c)\" = 0 ] && echo 1 > $c; done; done 2>/dev/null &").WaitAsync(_cancellation).ConfigureAwait(false);
        await shell.RunAsync("P=; for i in 1 2 3 4; do (while :; do :; done) & P=\"$P $!\"; done").WaitAsync(_cancellation)
            .ConfigureAwait(false);
        _timeline.Say(Busy, "four processes keep it busy");
        await ScaledAsync(4).ConfigureAwait(false);
        Find($"CPUs online in {Busy} under load", "0-3", await SettleAsync(() => shell.RunAsync(Online), "0-3").ConfigureAwait(false));
        await shell.RunAsync("kill $P").WaitAsync(_cancellation).ConfigureAwait(false);
        _timeline.Say(Busy, "they are killed");
        await ScaledAsync(1).ConfigureAwait(false);
        Find($"CPUs online in {Busy} after the load", "0", await SettleAsync(() => shell.RunAsync(Online), "0").ConfigureAwait(false));
        await Rest.SetScalingAsync(Busy, null).WaitAsync(_cancellation).ConfigureAwait(false);
    }

    private async Task ScaledAsync(int cpus)
    {
        await AwaitAsync(rest => rest.GetAsync(Busy), vm =>
        {
            if (vm.EnabledCpus != _busyCpus)
            {
                _busyCpus = vm.EnabledCpus;
                _timeline.Say(Busy, $"{_busyCpus} of {vm.Spec.MaxCpus} CPUs are enabled");
            }

            return _busyCpus == cpus;
        }, $"{Busy} has {cpus} CPUs").ConfigureAwait(false);
    }

    private async Task DrainAsync(Dictionary<string, string> guests)
    {
        string node = LocalFleet.NodeName(Drained);
        TimeSpan begun = _timeline.Elapsed;
        _timeline.Say(node, "drain");
        await Rest.SetNodeAsync(node, new NodeChange(TakesVms: false)).WaitAsync(_cancellation).ConfigureAwait(false);
        VmRecord[] vms = await AwaitRunningAsync(vm => vm.Node != node).ConfigureAwait(false);
        await AwaitAsync(rest => rest.NodesAsync(), nodes => nodes.Any(n => n.Node == node && n.Vms == 0), $"{node} has no VM")
            .ConfigureAwait(false);
        _timeline.Say(node, $"its VMs have moved, in {Since(begun)}: {Places(vms)}");
        Find("VMs at the drained node", "0", Count(vms, node));
        Dictionary<string, string> after = await BootIdsAsync().ConfigureAwait(false);
        Find("guests that were booted anew by the drain", "none", Anew(guests, after));
        await Rest.SetNodeAsync(node, new NodeChange(TakesVms: true)).WaitAsync(_cancellation).ConfigureAwait(false);
    }

    private async Task LoseAsync(Dictionary<string, string> guests)
    {
        string node = LocalFleet.NodeName(Killed);
        VmRecord[] before = await AwaitRunningAsync(_ => true).ConfigureAwait(false);
        string lost = Names(before.Where(vm => vm.Node == node).Select(vm => vm.Vm));
        TimeSpan begun = _timeline.Elapsed;
        _nodes[Killed]!.Dispose();
        _nodes[Killed] = null;
        _timeline.Say(node, $"kill -9; it had {lost}");
        VmRecord[] vms = await AwaitRunningAsync(vm => vm.Node != node).ConfigureAwait(false);
        double seconds = (_timeline.Elapsed - begun).TotalSeconds;
        _timeline.Say("fleet", $"they run elsewhere after {Since(begun)}: {Places(vms)}");
        Find($"VMs of the killed node run elsewhere within {MostSecondsAway} s", "yes",
            seconds <= MostSecondsAway ? "yes" : $"after {seconds:0} s");
        Find("processes of VMs at the killed node", "0", _fleet.CountVms(Killed).ToString(CultureInfo.InvariantCulture));
        Find("guests that were booted anew are those of the killed node", lost,
            Anew(guests, await BootIdsAsync().ConfigureAwait(false)));
        await StartNodeAsync(Killed).ConfigureAwait(false);
        await AwaitNodesAsync().ConfigureAwait(false);
    }

    private async Task DeleteAsync()
    {
        VmRecord[] vms = await AwaitAsync(rest => rest.ListAsync(), _ => true, "the VMs are listed").ConfigureAwait(false);
        await Task.WhenAll(vms.Select(vm => DoAsync(vm.Vm, new NewOperation(VmAction.Delete)))).ConfigureAwait(false);
        _timeline.Say("fleet", "all VMs are deleted");
        vms = await AwaitAsync(rest => rest.ListAsync(), _ => true, "the VMs are listed").ConfigureAwait(false);
        Find("VMs that are listed then", "0", Number(vms.Length));
        Find("processes of VMs then", "0", Number(Enumerable.Range(1, Nodes).Sum(_fleet.CountVms)));
    }

    private async Task DoAsync(string vm, NewOperation asked)
    {
        VmOperation end = await Rest.DoAsync(vm, asked).WaitAsync(_cancellation).ConfigureAwait(false);
        if (end.Outcome != RequestOutcome.Done)
        {
            Find($"{asked.Action} of {vm}", nameof(RequestOutcome.Done), $"{end.Outcome}: {end.Detail}");
        }
    }

    private Task<VmRecord[]> AwaitRunningAsync(Func<VmRecord, bool> isRight) => AwaitAsync(
        rest => rest.ListAsync(),
        vms => vms.Length == Vms && vms.All(vm => vm.State == ProcessState.Running && isRight(vm)), "all VMs run where they should");

    // What is wrong, or does not answer, is asked again: records move from node to node.
    private async Task<T> AwaitAsync<T>(Func<FleetConnection, Task<T>> ask, Predicate<T> isRight, string what)
    {
        string problem = "";
        for (TimeSpan begun = _timeline.Elapsed; _timeline.Elapsed - begun < s_patience;)
        {
            try
            {
                T seen = await ask(Rest).WaitAsync(_cancellation).ConfigureAwait(false);
                if (isRight(seen))
                {
                    return seen;
                }

                problem = "";
            }
            catch (FleetException e)
            {
                problem = $": {e.Message}";
            }

            await Task.Delay(s_look, _cancellation).ConfigureAwait(false);
        }

        throw new GuestSilentException($"not after {s_patience.TotalMinutes:0} minutes: {what}{problem}");
    }

    // Asks until the answer is as expected, or patience ends: the last answer.
    private async Task<string> SettleAsync(Func<Task<string>> ask, string expected)
    {
        TimeSpan begun = _timeline.Elapsed;
        string seen;
        while ((seen = await ask().WaitAsync(_cancellation).ConfigureAwait(false)) != expected && _timeline.Elapsed - begun < s_patience)
        {
            await Task.Delay(s_look, _cancellation).ConfigureAwait(false);
        }

        return seen;
    }

    // By the names of VMs, what each guest has chosen for its boot: it says whether a guest has gone on or begun anew.
    private async Task<Dictionary<string, string>> BootIdsAsync()
    {
        var ids = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (VmRecord vm in await AwaitRunningAsync(_ => true).ConfigureAwait(false))
        {
            await using ConsoleShell shell = await OpenAsync(vm).ConfigureAwait(false);
            ids.Add(vm.Vm, await shell.RunAsync("cat /proc/sys/kernel/random/boot_id").WaitAsync(_cancellation).ConfigureAwait(false));
        }

        return ids;
    }

    private Task<ConsoleShell> OpenAsync(VmRecord vm) => ConsoleShell.OpenAsync(
        _fleet.ConsoleOf(Enumerable.Range(1, Nodes).First(node => LocalFleet.NodeName(node) == vm.Node), vm.Vm), _cancellation);

    private static string Anew(Dictionary<string, string> before, Dictionary<string, string> after) =>
        Names(after.Where(guest => before[guest.Key] != guest.Value).Select(guest => guest.Key));

    private static string Names(IEnumerable<string> vms) => string.Join(' ', vms.Order(StringComparer.Ordinal).DefaultIfEmpty("none"));

    private static string Places(VmRecord[] vms) => string.Join(", ", Enumerable.Range(1, Nodes)
        .Select(node => $"{LocalFleet.NodeName(node)} {Count(vms, LocalFleet.NodeName(node))}"));

    private static string Count(VmRecord[] vms, string node) => Number(vms.Count(vm => vm.Node == node));

    private static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);

    private string Since(TimeSpan begun) =>
        string.Create(CultureInfo.InvariantCulture, $"{(_timeline.Elapsed - begun).TotalSeconds:0.0} s");

    private void Find(string what, string expected, string seen) => _findings.Add(new Finding(what, expected, seen));
}
