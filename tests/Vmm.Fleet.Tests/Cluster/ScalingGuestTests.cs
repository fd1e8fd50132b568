using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Akka.Configuration;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vcpu;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Ledger;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;
using Vmm.Fleet.Scaling;
using Vmm.Host.Guest;
using Vmm.Management.Control;
using Xunit.Abstractions;

namespace Vmm.Fleet.Tests.Cluster;

/// <summary>A node alone with a Linux guest, whose load its CPUs follow and whose owner has an account.</summary>
public sealed class ScalingGuestTests(ITestOutputHelper output) : IDisposable
{
    private const string Vm = "guest";
    private const string Node = "node1";
    private const string Owner = "alice";

    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-").FullName;

    private VmFolder Folder => new(Vm, Path.Combine(_folder, "vms", Vm));

    public void Dispose() => LocalFleet.RemoveNodes(_folder);

    private FleetNode Start() =>
        FleetNode.Start(Node, new NodeSettings(_folder, ["dotnet", VmmProcess.Program]) { StartLimit = Patience.Limit }, Config.Empty);

    private static async Task<T> AskAsync<T>(Task<IFleetMessage> answer) => Assert.IsType<T>(await answer.WaitAsync(Patience.Limit));

    private static async Task AwaitAsync(Func<Task<bool>> condition, string what)
    {
        for (var start = Stopwatch.StartNew(); !await condition();)
        {
            Assert.True(start.Elapsed < Patience.Limit, what);
            await Task.Delay(100);
        }
    }

    private static async Task<VmRecord> RecordAsync(FleetNode node) =>
        await AskAsync<VmRecord>(node.AskAsync(new GetVm(Vm), CancellationToken.None));

    private static async Task<VmOperation> DoAsync(FleetNode node, VmAction action, int number = 0)
    {
        string id = Guid.NewGuid().ToString("N");
        var operation = await AskAsync<VmOperation>(node.AskAsync(new CommandVm(Vm, id, action, number, ""), CancellationToken.None));
        await AwaitAsync(
            async () => (operation = await AskAsync<VmOperation>(
                node.AskAsync(new GetOperation(Vm, id), CancellationToken.None))).IsDone,
            $"{action} has ended");
        return operation;
    }

    private static async Task CreateAsync(FleetNode node, FailurePolicy policy, ScalingSpec? scaling)
    {
        GuestFiles files = await GuestAssets.EnsureAsync(new GuestKernel(GuestFlavour.Cloud));
        var spec = new VmSpec(1, 4, 512 << 20, "max", files.Kernel, files.Initramfs, "console=ttyAMA0 quiet", "", [], scaling);
        await AskAsync<VmOperation>(node.AskAsync(new CreateVm(Vm, "create", Owner, Node, policy, spec), CancellationToken.None));
        Assert.Equal(RequestOutcome.Done, (await DoAsync(node, VmAction.Start)).Outcome);
    }

    // The guest's shell, once it answers.
    private async Task<Socket> ShellAsync()
    {
        var shell = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await shell.ConnectAsync(new UnixDomainSocketEndPoint(Folder.Console));
        var heard = new StringBuilder();
        byte[] buffer = new byte[4096];
        for (var start = Stopwatch.StartNew(); !heard.ToString().Contains("ready42", StringComparison.Ordinal);)
        {
            Assert.True(start.Elapsed < Patience.Limit, heard.ToString());
            await shell.SendAsync("echo ready$((6*7))\n"u8.ToArray());
            await Task.Delay(200);
            while (shell.Available > 0)
            {
                heard.Append(Encoding.UTF8.GetString(buffer, 0, await shell.ReceiveAsync(buffer)));
            }
        }

        return shell;
    }

    [Fact]
    public async Task CPUs_of_a_guest_go_from_1_to_4_with_its_load_and_back()
    {
        await using FleetNode node = Start();
        var decisions = new ConcurrentQueue<(VmScaled What, TimeSpan At)>();
        var clock = Stopwatch.StartNew();

        // The listener's alone, until a decision is there. Looks that saw the load before the policy has decided.
        VmMeter? last = null;
        int busyLooks = 0;
        using IDisposable subscription = node.Subscribe(happened =>
        {
            switch (happened)
            {
                case VmScaled scaled:
                    decisions.Enqueue((scaled, clock.Elapsed));
                    break;
                case VmTimes { Running: [var now] }:
                    double ran = last == null ? 0 : now.RunNs - last.RunNs;
                    bool isBusy = ran > 0 && (now.BusyNs.Sum() - last!.BusyNs.Sum()) / ran > ScalingPolicy.UsualTarget;
                    busyLooks = isBusy && decisions.IsEmpty ? busyLooks + 1 : busyLooks;
                    last = now;
                    break;
            }
        });

        // The policy comes when the guest has booted: a boot is a load, too.
        await CreateAsync(node, FailurePolicy.Leave, null);
        using Socket shell = await ShellAsync();
        var policy = new ScalingSpec(4, UpAfter: 1, DownAfter: 5, CoolDown: 2, MostChanges: 100);
        await AskAsync<VmRecord>(node.AskAsync(new SetScaling(Vm, policy), CancellationToken.None));
        await AwaitAsync(async () => (await RecordAsync(node)).EnabledCpus == 1, "the idle guest has 1 CPU");
        decisions.Clear();
        busyLooks = 0;

        // As udev's rule of a distribution does.
        await shell.SendAsync("""
            cd /sys/devices/system/cpu
            while sleep 0.2; do for c in cpu[1-9]/online; do [ "$(cat $c)" = 0 ] && echo 1 >$c; done; done 2>/dev/null &

            """u8.ToArray());
        TimeSpan load = clock.Elapsed;
        await shell.SendAsync("P=; for i in 1 2 3 4; do (while :; do :; done) & P=\"$P $!\"; done\n"u8.ToArray());
        await AwaitAsync(async () => (await RecordAsync(node)).EnabledCpus == 4, "the busy guest has 4 CPUs");
        TimeSpan all = clock.Elapsed - load;
        (VmScaled first, TimeSpan at) = decisions.First(d => d.What.Action == ScalingAction.Plug);
        Assert.Equal((Vm, ScalingReason.LoadHigh), (first.Vm, first.Reason));

        // A look is made each second (VmPolicyTimeTests): the time of a busy host does not count.
        Assert.InRange(busyLooks, 1, 3);
        output.WriteLine(
            $"[figure] a guest under load: first plug after {(at - load).TotalSeconds:0.0} s, 4 CPUs after {all.TotalSeconds:0.0} s");

        await shell.SendAsync("kill $P\n"u8.ToArray());
        await AwaitAsync(async () => (await RecordAsync(node)).EnabledCpus == 1, "the idle guest has 1 CPU again");
        Assert.Contains(decisions, d => d.What is { Action: ScalingAction.Unplug, Reason: ScalingReason.LoadLow });

        // Each CPU is an operation, and the account knows how many there are.
        await AwaitAsync(
            async () => (await AskAsync<AccountState>(node.AskAsync(new GetAccount(Owner), CancellationToken.None))).GrantedCpus == 1,
            "the account has 1 CPU");
    }

    /// <summary>
    /// A guest that works is killed while its node runs, and while there is none; it is started anew, and stopped. The account has what
    /// each of its processes had counted when it ended.
    /// </summary>
    [Fact]
    public async Task Account_has_what_the_VM_had_counted_over_kills_and_restarts()
    {
        var ended = new List<CpuUsage>();
        await using (FleetNode node = Start())
        {
            await CreateAsync(node, FailurePolicy.Restart, null);
            await LoadAsync();

            // Killed a moment after its own counters were read.
            string control = Folder.Control;
            await using (ControlClient client = await ControlClient.ConnectAsync(control, _ => { }, CancellationToken.None))
            {
                var times = Assert.IsType<VcpuTimes>(await client.AskAsync(new GetVcpuTimes(), CancellationToken.None));
                VmProcess.Find(Folder)!.Kill();
                ended.Add(CpuUsage.Of(times.RunNs, times.BusyNs, times.EnabledNs));
            }

            await AwaitAsync(async () => (await RecordAsync(node)).State != ProcessState.Running, "the record knows of the kill");
            await AwaitAsync(async () => (await RecordAsync(node)).State == ProcessState.Running, "it is started again");
            await LoadAsync();
        }

        // Nobody watches: the next node reads the file.
        VmProcess process = VmProcess.Find(Folder)!;
        process.Kill();
        await process.Ended.WaitAsync(Patience.Limit);
        ended.Add(UsageOf(VcpuMeter.ReadEnded(Folder.Times)!));

        await using (FleetNode node = Start())
        {
            await AwaitAsync(async () => (await RecordAsync(node)).State == ProcessState.Running, "it is started again");
            await LoadAsync();
            await using (ControlClient client = await ControlClient.ConnectAsync(Folder.Control, _ => { }, CancellationToken.None))
            {
                await client.AskAsync(new StopVm(), CancellationToken.None);
                var times = Assert.IsType<VcpuTimes>(await client.AskAsync(new GetVcpuTimes(), CancellationToken.None));
                ended.Add(CpuUsage.Of(times.RunNs, times.BusyNs, times.EnabledNs));
            }

            await DoAsync(node, VmAction.Stop);
            CpuUsage own = ended.Aggregate((sum, u) => sum + u), counted = default;
            var today = DateOnly.FromDateTime(DateTime.UtcNow);
            await AwaitAsync(
                async () =>
                {
                    var usage = await AskAsync<AccountUsage>(
                        node.AskAsync(new GetUsage(Owner, today.AddDays(-1), today), CancellationToken.None));
                    counted = usage.Days.Aggregate(default(CpuUsage), (sum, d) => sum + d.Usage);
                    return counted.Enabled >= own.Enabled;
                },
                "the account has all that was used");
            output.WriteLine($"[figure] ledger {counted}, counters of the VM {own}");
            Assert.InRange((double)counted.Busy / own.Busy, 1, 1.001);
            Assert.InRange((double)counted.Enabled / own.Enabled, 1, 1.001);
        }
    }

    private static CpuUsage UsageOf(VcpuReading reading) => CpuUsage.Of(reading.RunNs, reading.BusyNs, reading.EnabledNs);

    // Works for a while, so that a thousandth of it is longer than it takes to kill a process.
    private async Task LoadAsync()
    {
        using Socket shell = await ShellAsync();
        await shell.SendAsync("while :; do :; done\n"u8.ToArray());
        await Task.Delay(TimeSpan.FromSeconds(20));
    }
}
