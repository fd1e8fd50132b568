using System.Globalization;
using System.Text.RegularExpressions;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Host.Console;
using Vmm.Host.Guest;
using Vmm.Management.Commands;
using Vmm.Management.Hmp;
using Vmm.Management.Text;

namespace Vmm.Host.Demo;

/// <summary>One observation of the scenario.</summary>
public sealed record Finding(string What, string Expected, string Seen)
{
    public bool Holds => Expected == Seen;
}

/// <summary>
/// The scenario of the series "Support of Virtual CPU Hotplug for ARMv8 Arch". Four of six vCPUs are enabled and two of them online; CPU 4
/// is plugged, brought online, used, and taken out again. The scenario is judged by the output of the guest alone, never by the state of
/// Vmm.
/// </summary>
public sealed partial class HotplugScenario
{
    private const int Cpu = 4;
    private const string Possible = "0-5";
    private const string BootEnabled = "0-3";
    private const string Faults = "WARNING:|BUG:|Oops|Call trace|rcu: INFO|soft lockup|hung task|Unable to handle|psci: .*[Ff]ail|not shut";

    // The end of a root shell's prompt.
    private const string AnyPrompt = "# ";

    private readonly Timeline _timeline;
    private readonly List<Finding> _findings = [];
    private readonly List<string> _faults = [];
    private readonly GuestShell _shell;
    private readonly VmSession _session;
    private readonly HmpMonitor _monitor;
    private TaskCompletionSource<HotplugOutcome> _outcome = new();

    // Until Linux 7.1 all possible CPUs are present from boot. Later the present CPUs are those that the firmware has enabled or that were
    // plugged. The scenario finds out at boot which of the two holds.
    private bool _presentFollowsEnabled;

    private HotplugScenario(MachineConfig config, Action<string> print)
    {
        _timeline = new Timeline(print);
        VmSession? session = null;
        _shell = new GuestShell(bytes => session!.SendSerial(bytes));
        _session = session = new VmSession(config, _shell.Receive, outcome => Volatile.Read(ref _outcome).TrySetResult(outcome));
        _monitor = new HmpMonitor(new MonitorCommands(new MonitorVm(config, _session.Ask, () => { })));
    }

    /// <summary>Runs the scenario, then <paramref name="rounds"/> more plugs and unplugs; prints a timeline line by line.</summary>
    /// <param name="config">A machine made of <see cref="CoverLetter.LaunchLine"/>.</param>
    /// <exception cref="GuestSilentException">The guest or the VM stopped answering.</exception>
    public static async Task<IReadOnlyList<Finding>> RunAsync(MachineConfig config, int rounds, Action<string> print)
    {
        var scenario = new HotplugScenario(config, print);
        await using (scenario._session.ConfigureAwait(false))
        {
            await scenario.RunAsync(rounds).ConfigureAwait(false);
            return scenario._findings;
        }
    }

    private async Task RunAsync(int rounds)
    {
        _timeline.Say("vmm", "power on");
        _ = TellOfTheEndAsync();
        await _session.Ask(new StartVm()).ConfigureAwait(false);
        await _shell.UntilAsync(AnyPrompt).ConfigureAwait(false);
        _timeline.Say("vmm", "the guest's shell is up");

        // The prompt is set in two parts, so that the echo of the command is not taken for the prompt.
        await _shell.RunAsync($"PS1='{Initramfs.Prompt[..3]}''{Initramfs.Prompt[3..]}'").ConfigureAwait(false);

        // The kernel must not print to the console: a message in the middle of an echo would be taken for output. Its log is read below.
        await _shell.RunAsync("dmesg -n 1").ConfigureAwait(false);

        // The terminal is declared wide, so that the line editing of the shell does not fold the echo of a long command.
        await _shell.RunAsync("stty cols 250").ConfigureAwait(false);
        await _shell.RunAsync("cd /sys/devices/system/cpu").ConfigureAwait(false);
        _timeline.Say("guest", await _shell.RunAsync("uname -rm").ConfigureAwait(false));
        await ShowState().ConfigureAwait(false);
        _presentFollowsEnabled = await _shell.RunAsync("cat present").ConfigureAwait(false) == BootEnabled;
        await Sets("before", BootEnabled, "0-1", "2-5").ConfigureAwait(false);

        for (int time = 1; time <= 2; time++)
        {
            string which = time == 1 ? "" : " again";
            await Plug().ConfigureAwait(false);
            await Online().ConfigureAwait(false);
            await Sets($"after device_add{which}", "0-4", "0-1,4", "2-3,5").ConfigureAwait(false);
            await UseCpu().ConfigureAwait(false);
            await Unplug().ConfigureAwait(false);
            await Sets($"after device_del{which}", BootEnabled, "0-1", "2-5").ConfigureAwait(false);
        }

        await Repeat(rounds).ConfigureAwait(false);
        await ReadKernelLog().ConfigureAwait(false);
        Find("kernel warnings", "", string.Join('\n', _faults));
        await PowerOff().ConfigureAwait(false);
    }

    // When the VM has ended, waits for its output end at once.
    private async Task TellOfTheEndAsync()
    {
        VmStatus status = await _session.Ended.ConfigureAwait(false);
        _shell.End($"the VM is in the state {RunStateNames.Of(status.RunState)}{(status.Detail.Length > 0 ? $" ({status.Detail})" : "")}");
    }

    private async Task Plug()
    {
        await Hotplug(CoverLetter.Plug).ConfigureAwait(false);
        await ShowState().ConfigureAwait(false);
    }

    private async Task Online()
    {
        _timeline.Say("guest", $"echo 1 > cpu{Cpu}/online");
        string said = await _shell.RunAsync($"echo 1 > cpu{Cpu}/online").ConfigureAwait(false);
        Find($"echo 1 > cpu{Cpu}/online", "", said);
        await ShowState().ConfigureAwait(false);
    }

    private async Task Unplug()
    {
        await Hotplug(CoverLetter.Unplug).ConfigureAwait(false);
        await ShowState().ConfigureAwait(false);
    }

    // The process may run only on this CPU and says where it ran. The CPU's timer ticks while another process keeps it busy.
    private async Task UseCpu()
    {
        long before = await TimerTicks().ConfigureAwait(false);
        string mask = (1 << Cpu).ToString("x", CultureInfo.InvariantCulture);
        string where = await _shell.RunAsync($"taskset {mask} awk '{{print $39}}' /proc/self/stat").ConfigureAwait(false);
        _timeline.Say("guest", $"a process pinned to CPU {Cpu} ran on CPU {where}");
        Find("pinned process ran on", "4", where);
        await _shell.RunAsync($"taskset {mask} sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done'").ConfigureAwait(false);
        long ticks = await TimerTicks().ConfigureAwait(false) - before;
        _timeline.Say("guest", $"{ticks} timer interrupts on CPU {Cpu}");
        Find("timer ticks counted on CPU 4", "yes", ticks > 0 ? "yes" : "no");
    }

    // The count of the architected timer in /proc/interrupts, in the CPU's column.
    private async Task<long> TimerTicks()
    {
        string[] lines = (await _shell.RunAsync("head -1 /proc/interrupts; grep arch_timer /proc/interrupts").ConfigureAwait(false))
            .Split('\n');
        const StringSplitOptions trimmed = StringSplitOptions.RemoveEmptyEntries;
        int column = Array.IndexOf(lines[0].Split(' ', trimmed), $"CPU{Cpu}");
        string[] cells = lines.Length > 1 ? lines[1].Split(' ', trimmed) : [];
        return column >= 0 && column + 1 < cells.Length && long.TryParse(cells[column + 1], CultureInfo.InvariantCulture, out long ticks)
            ? ticks : -1;
    }

    private async Task Repeat(int rounds)
    {
        if (rounds == 0)
        {
            return;
        }

        _timeline.Say("vmm", $"{rounds} rounds of plug, online, unplug");
        int lost = 0;
        for (int round = 1; round <= rounds; round++)
        {
            bool plugged = (await Request(CoverLetter.Plug).ConfigureAwait(false)).Done;
            string online = await _shell.RunAsync($"echo 1 > cpu{Cpu}/online; cat online").ConfigureAwait(false);
            bool unplugged = (await Request(CoverLetter.Unplug).ConfigureAwait(false)).Done;
            string after = await _shell.RunAsync("cat online enabled").ConfigureAwait(false);
            if (!plugged || online != "0-1,4" || !unplugged || after != $"0-1\n{BootEnabled}")
            {
                lost++;
                _timeline.Say("vmm",
                    $"round {round}: plugged {plugged}, online {online}, unplugged {unplugged}, after {after.Replace('\n', ' ')}");
            }

            if (round % 20 == 0)
            {
                await ReadKernelLog(show: false).ConfigureAwait(false);
                _timeline.Say("vmm", $"{round} rounds");
            }
        }

        Find($"rounds that lost something, of {rounds}", "0", lost.ToString(CultureInfo.InvariantCulture));
    }

    private async Task PowerOff()
    {
        _timeline.Say("guest", "poweroff -f");
        _shell.Type("poweroff -f");
        Task first = await Task.WhenAny(_session.Ended, Task.Delay(GuestShell.DefaultPatience)).ConfigureAwait(false);
        VmRunState state = first == _session.Ended ? (await _session.Ended.ConfigureAwait(false)).RunState : VmRunState.Running;
        _timeline.Say("vmm", $"run state: {RunStateNames.Of(state)}");
        Find("power-off", RunStateNames.Of(VmRunState.Shutdown), RunStateNames.Of(state));
    }

    private async Task Sets(string when, string enabled, string online, string offline)
    {
        string sets = await _shell.RunAsync("grep . possible present enabled online offline").ConfigureAwait(false);
        string present = _presentFollowsEnabled ? enabled : Possible;
        string wanted = $"possible:{Possible}\npresent:{present}\nenabled:{enabled}\nonline:{online}\noffline:{offline}";
        _timeline.Say("guest", sets.Replace('\n', ' '));
        string[] expected = wanted.Split('\n');
        string[] seen = sets.Split('\n');
        for (int i = 0; i < expected.Length; i++)
        {
            Find($"{when}: {expected[i].Split(':')[0]}", expected[i], i < seen.Length ? seen[i] : "");
        }
    }

    private async Task Hotplug(string line)
    {
        _timeline.Say("monitor", line);
        (_, string said) = await Request(line).ConfigureAwait(false);
        _timeline.Say("vmm", said);
        Find(line, "done", said);
    }

    // Executes a device_add or device_del and waits for its outcome.
    private async Task<(bool Done, string Said)> Request(string line)
    {
        var outcome = new TaskCompletionSource<HotplugOutcome>(TaskCreationOptions.RunContinuationsAsynchronously);
        Volatile.Write(ref _outcome, outcome);
        string answer = await _monitor.Execute(line).ConfigureAwait(false);
        if (answer.Length > 0)
        {
            return (false, answer);
        }

        Task first = await Task.WhenAny(outcome.Task, Task.Delay(GuestShell.DefaultPatience)).ConfigureAwait(false);
        if (first != outcome.Task)
        {
            return (false, "no outcome");
        }

        HotplugOutcome ended = await outcome.Task.ConfigureAwait(false);
        return ended.Kind == HotplugOutcomeKind.Done ? (true, "done") : (false, OutcomeText.Of(ended));
    }

    // Reads the kernel's log since the last time, shows the lines about the CPU, and keeps faults.
    private async Task ReadKernelLog(bool show = true)
    {
        string log = await _shell.RunAsync($"dmesg -c | grep -E 'CPU{Cpu}|{Faults}'").ConfigureAwait(false);
        foreach (string line in log.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            bool fault = Fault().IsMatch(line);
            if (fault)
            {
                _faults.Add(line);
            }

            if (show || fault)
            {
                _timeline.Say("kernel", line);
            }
        }
    }

    private async Task ShowState()
    {
        await ReadKernelLog().ConfigureAwait(false);
        var s = (VcpuStatus)await _session.Ask(new GetVcpuStatus(Cpu)).ConfigureAwait(false);
        string sta = s.AcpiEnabled ? "present and enabled" : "present";
        string gic = s.GicAccessible ? "accessible" : "inaccessible";
        _timeline.Say("vcpu4", $"admin {s.Admin}, ACPI _STA {sta}, GIC interface {gic}, PSCI {s.Psci}, actor {s.Actor}");
    }

    [GeneratedRegex(Faults)]
    private static partial Regex Fault();

    private void Find(string what, string expected, string seen) => _findings.Add(new Finding(what, expected, seen));
}
