using System.Globalization;
using System.Text.Json.Nodes;
using Vmm.Host.Guest;
using Vmm.Management.Commands;

namespace Vmm.Host.Demo;

/// <summary>
/// A guest under load moves from one process to another and back. A CPU that was plugged keeps it busy; on the way there another is
/// plugged, and on the way back taken out. The guest's own sums of its memory say whether it arrived whole.
/// </summary>
internal sealed class MigrationScenario
{
    private const string Faults = "WARNING:|BUG:|Oops|Call trace|rcu: INFO|soft lockup|hung task|Unable to handle";
    private const string Busy = "core4";
    private const string Moving = "core5";

    private static readonly TimeSpan s_patience = GuestShell.DefaultPatience;

    private readonly IReadOnlyList<string> _line;
    private readonly string _folder;
    private readonly Timeline _timeline;
    private readonly List<Finding> _findings = [];
    private readonly List<MigrationPass> _passes = [];
    private readonly GuestShell _shell;

    // Where the guest is.
    private VmmChild? _here;

    private MigrationScenario(IReadOnlyList<string> line, string folder, Action<string> print)
    {
        _line = line;
        _folder = folder;
        _timeline = new Timeline(print);
        _shell = new GuestShell(bytes => _here!.Send(bytes));
    }

    /// <summary>Runs the scenario, and prints a timeline and the picture of the passes.</summary>
    /// <param name="line">A command line made of <see cref="CoverLetter.LaunchLine"/>.</param>
    /// <param name="plot">The file for the picture as SVG; null for none.</param>
    /// <exception cref="GuestSilentException">The guest or a VM stopped answering.</exception>
    public static async Task<IReadOnlyList<Finding>> RunAsync(IReadOnlyList<string> line, string? plot, Action<string> print)
    {
        string folder = Directory.CreateTempSubdirectory("vmm-demo-").FullName;
        var scenario = new MigrationScenario(line, folder, print);
        try
        {
            await scenario.RunAsync().ConfigureAwait(false);
            print("");
            foreach (string row in MigrationPicture.Text(scenario._passes))
            {
                print(row);
            }

            if (plot != null)
            {
                await File.WriteAllTextAsync(plot, MigrationPicture.Svg(scenario._passes)).ConfigureAwait(false);
            }

            return scenario._findings;
        }
        finally
        {
            if (scenario._here is { } last)
            {
                await last.DisposeAsync().ConfigureAwait(false);
            }

            Directory.Delete(folder, recursive: true);
        }
    }

    private async Task RunAsync()
    {
        _here = await Start("first").ConfigureAwait(false);
        await _shell.UntilAsync("# ").ConfigureAwait(false);
        _timeline.Say("vmm", "the guest's shell is up");
        await _shell.RunAsync($"PS1='{Initramfs.Prompt[..3]}''{Initramfs.Prompt[3..]}'").ConfigureAwait(false);
        await _shell.RunAsync("dmesg -n 1; stty cols 250; cd /sys/devices/system/cpu").ConfigureAwait(false);
        await Hotplug(_here, Plug(_here, Busy, 4), "plug of core4").ConfigureAwait(false);
        await _shell.RunAsync("echo 1 > cpu4/online").ConfigureAwait(false);
        await StartLoad().ConfigureAwait(false);

        await Move("second", "there", from => Plug(from, Moving, 5), $"plug of {Moving} on the way").ConfigureAwait(false);
        await _shell.RunAsync("echo 1 > cpu5/online").ConfigureAwait(false);
        await Sets("there", "0-5", "0-1,4-5").ConfigureAwait(false);

        await Move("third", "and back", from => Unplug(from, Moving), $"unplug of {Moving} on the way").ConfigureAwait(false);
        await Sets("back", "0-4", "0-1,4").ConfigureAwait(false);

        await EndLoad().ConfigureAwait(false);
        await Hotplug(_here, Unplug(_here, Busy), "unplug of core4").ConfigureAwait(false);
        await Sets("at the end", "0-3", "0-1").ConfigureAwait(false);
        Find("kernel warnings", "", await _shell.RunAsync($"dmesg | grep -E '{Faults}'").ConfigureAwait(false));
        _shell.Type("poweroff -f");
        Find("power-off ends the program with", "0", await End(_here).ConfigureAwait(false));
    }

    private async Task<VmmChild> Start(string name, params string[] more)
    {
        VmmChild child = await VmmChild.StartAsync(name, _folder, [.. _line, .. more], _shell.Receive).ConfigureAwait(false);
        _timeline.Say(name, more.Length == 0 ? "power on" : $"a process waits: {string.Join(' ', more)}");
        return child;
    }

    // The load writes memory, and adds it up each time: each line of the file is to be the same.
    private async Task StartLoad()
    {
        await _shell.RunAsync("dd if=/dev/urandom of=/tmp/seed bs=1M count=8 2>/dev/null").ConfigureAwait(false);
        await _shell.RunAsync("taskset 10 sh -c 'while :; do cp /tmp/seed /tmp/copy; md5sum < /tmp/copy >> /tmp/sums; done' & true")
            .ConfigureAwait(false);
        _timeline.Say("guest", "a process on CPU 4 copies 8 MiB and adds it up, again and again");
    }

    private async Task EndLoad()
    {
        long before = await Sums().ConfigureAwait(false);
        while (await Sums().ConfigureAwait(false) == before)
        {
            await Task.Delay(100).ConfigureAwait(false);
        }

        await _shell.RunAsync("kill %1; wait").ConfigureAwait(false);
        string[] sums = (await _shell.RunAsync("sort -u /tmp/sums; md5sum < /tmp/seed").ConfigureAwait(false)).Split('\n');
        _timeline.Say("guest", $"{await Sums().ConfigureAwait(false)} copies, all with the sum {sums[0].Split(' ')[0]}");
        Find("sums of the copies", $"{sums[^1]}\n{sums[^1]}", string.Join('\n', sums));
    }

    private async Task<long> Sums() =>
        long.TryParse(await _shell.RunAsync("wc -l < /tmp/sums").ConfigureAwait(false), CultureInfo.InvariantCulture, out long n) ? n : -1;

    // Moves the guest to a new process; a request for a CPU is made when the first pass has begun.
    private async Task Move(string name, string trip, Func<VmmChild, Request> request, string what)
    {
        VmmChild from = _here!;
        VmmChild to = await Start(name, "-incoming", "tcp:127.0.0.1:0").ConfigureAwait(false);
        try
        {
            string address = await Address(to).ConfigureAwait(false);
            long before = await Sums().ConfigureAwait(false);
            Task resumed = Event(to, (e, _) => e == "RESUME");
            Outcome outcome = Await(request(from), from, to);
            await Migrate(from, trip, address, outcome).ConfigureAwait(false);
            await resumed.WaitAsync(s_patience).ConfigureAwait(false);
            _timeline.Say(name, "the guest runs here");
            Find($"{trip}: the sender is", "postmigrate", await from.StatusAsync().ConfigureAwait(false));
            Find($"{trip}: the receiver is", "running", await to.StatusAsync().ConfigureAwait(false));
            await from.Qmp.AskAsync("quit").ConfigureAwait(false);
            Find($"{trip}: the sender ends with", "0", await End(from).ConfigureAwait(false));
            await from.DisposeAsync().ConfigureAwait(false);
            _here = to;
            await Ended(outcome, what).ConfigureAwait(false);
            Find($"{trip}: the load goes on", "yes", await Sums().ConfigureAwait(false) >= before ? "yes" : "no");
        }
        catch
        {
            if (_here != to)
            {
                await to.DisposeAsync().ConfigureAwait(false);
            }

            throw;
        }
    }

    private static async Task<string> Address(VmmChild to)
    {
        while (true)
        {
            if ((await to.MigrationAsync().ConfigureAwait(false))["socket-address"]?[0] is { } socket)
            {
                return $"tcp:{socket["host"]}:{socket["port"]}";
            }

            await Task.Delay(20).ConfigureAwait(false);
        }
    }

    private async Task Migrate(VmmChild from, string trip, string address, Outcome outcome)
    {
        await from.Qmp.AskAsync("migrate-set-capabilities", new JsonObject
        {
            ["capabilities"] = new JsonArray(new JsonObject { ["capability"] = "events", ["state"] = true }),
        }).ConfigureAwait(false);
        var ended = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        from.Qmp.Happened += (name, data) =>
        {
            if (name != "MIGRATION")
            {
                return;
            }

            string status = data!["status"]!.GetValue<string>();
            _timeline.Say(from.Name, $"migration: {status}");
            if (status is "completed" or "failed" or "cancelled")
            {
                ended.TrySetResult(status);
            }
        };
        await from.Qmp.AskAsync("migrate", new JsonObject { ["uri"] = address }).ConfigureAwait(false);
        await Ask(outcome).ConfigureAwait(false);
        string how = await ended.Task.WaitAsync(s_patience).ConfigureAwait(false);
        JsonNode info = await from.MigrationAsync().ConfigureAwait(false);
        Find($"{trip}: the migration has", "completed", how == "completed" ? how : $"{how}: {info["error-desc"]}");
        JsonNode passes = await from.Qmp.AskAsync(MigrationCommands.QueryPassesName).ConfigureAwait(false);
        _passes.AddRange(passes.AsArray().Select(p => new MigrationPass(
            trip, Value(p!, "pass"), Value(p!, "pages"), TimeSpan.FromMilliseconds(Value(p!, "milliseconds")))));
        _timeline.Say(from.Name, string.Create(CultureInfo.InvariantCulture,
            $"{info["total-time"]} ms in all, the guest stood still for {info["downtime"]} ms, {info["ram"]?["transferred"]} bytes"));
    }

    /// <summary>A request for a CPU, as QMP has it.</summary>
    private sealed record Request(VmmChild At, string Command, JsonObject Arguments, string Id);

    // A request that is waited for at both sides: it ends on the one that runs.
    private sealed record Outcome(Request Request, Task<string> Ended);

    private static Request Plug(VmmChild at, string id, int core) =>
        new(at, "device_add", new JsonObject { ["driver"] = "host-arm-cpu", ["id"] = id, ["core-id"] = core }, id);

    private static Request Unplug(VmmChild at, string id) => new(at, "device_del", new JsonObject { ["id"] = id }, id);

    private static Outcome Await(Request request, params VmmChild[] sides)
    {
        var ended = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (VmmChild side in sides)
        {
            side.Qmp.Happened += (name, data) =>
            {
                if (name == VmEvents.HotplugOutcomeName && data!["device"]!.GetValue<string>() == request.Id)
                {
                    ended.TrySetResult(data["result"]!.GetValue<string>());
                }
            };
        }

        return new Outcome(request, ended.Task);
    }

    private async Task Ask(Outcome outcome)
    {
        _timeline.Say(outcome.Request.At.Name, $"{outcome.Request.Command} {outcome.Request.Id}");
        await outcome.Request.At.Qmp.AskAsync(outcome.Request.Command, outcome.Request.Arguments).ConfigureAwait(false);
    }

    private async Task Ended(Outcome outcome, string what)
    {
        string result = await outcome.Ended.WaitAsync(s_patience).ConfigureAwait(false);
        _timeline.Say("vmm", $"{what}: {result}");
        Find(what, "done", result);
    }

    private async Task Hotplug(VmmChild at, Request request, string what)
    {
        Outcome outcome = Await(request, at);
        await Ask(outcome).ConfigureAwait(false);
        await Ended(outcome, what).ConfigureAwait(false);
    }

    private static Task Event(VmmChild at, Func<string, JsonNode?, bool> wanted)
    {
        var happened = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        at.Qmp.Happened += (name, data) =>
        {
            if (wanted(name, data))
            {
                happened.TrySetResult();
            }
        };
        return happened.Task;
    }

    private async Task Sets(string when, string enabled, string online)
    {
        string sets = await _shell.RunAsync("grep . enabled online").ConfigureAwait(false);
        _timeline.Say("guest", sets.Replace('\n', ' '));
        Find($"{when}: CPUs", $"enabled:{enabled}\nonline:{online}", sets);
    }

    private static long Value(JsonNode of, string member) => of[member]!.GetValue<long>();

    private static async Task<string> End(VmmChild child) =>
        (await child.EndAsync().ConfigureAwait(false)).ToString(CultureInfo.InvariantCulture);

    private void Find(string what, string expected, string seen) => _findings.Add(new Finding(what, expected, seen));
}
