using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Vmm.Host.Guest;
using Vmm.Host.Guest.Disk;
using Vmm.Management.Commands;

namespace Vmm.Host.Demo;

/// <summary>
/// Debian on a disk: EDK2, GRUB and Linux start it, and people reach it by ssh. It downloads a file, reboots, and works on its disk and its
/// network while CPUs are plugged and taken out.
/// </summary>
internal sealed partial class DistroScenario
{
    private const string Faults = "WARNING:|BUG:|Oops|Call trace|rcu: INFO|soft lockup|hung task|Unable to handle|I/O error";
    private const int DownloadBytes = 100 << 20;
    private const int Rounds = 3;
    private const int LoadSeconds = 30;
    private const string BootId = "cat /proc/sys/kernel/random/boot_id";
    private const string Online = "cat /sys/devices/system/cpu/online";
    private const string Written = "/root/written-before-the-reboot";

    // A guest may take long to boot on a busy host; this is for one that hangs.
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(20);

    private static readonly (string, string)[] s_tools =
        [("ssh", "openssh-client"), ("ssh-keygen", "openssh-client"), ("iperf3", "iperf3"), ("libslirp.so.0", "libslirp0")];

    private readonly string _folder;
    private readonly Timeline _timeline;
    private readonly CancellationToken _cancellation;
    private readonly List<Finding> _findings = [];
    private readonly int _iperfPort = HostTools.FreePort();
    private readonly int _sshPort = HostTools.FreePort();

    // Under its own lock: the serial line's reader writes it.
    private readonly StringBuilder _console = new();
    private SshClient _ssh = null!;
    private VmmChild _vm = null!;

    private DistroScenario(string folder, Action<string> print, CancellationToken cancellation)
    {
        _folder = folder;
        _timeline = new Timeline(print);
        _cancellation = cancellation;
    }

    /// <summary>Runs the scenario, and prints a timeline.</summary>
    /// <param name="disk">Made by <see cref="GuestDisk"/>. It stays as it is: the guest writes to an overlay.</param>
    /// <param name="firmware">EDK2.</param>
    /// <exception cref="GuestSilentException">The guest or the VM stopped answering.</exception>
    /// <exception cref="GuestAssetsException">This host lacks a program.</exception>
    public static async Task<IReadOnlyList<Finding>> RunAsync(
        string disk, string firmware, Action<string> print, CancellationToken cancellation)
    {
        string folder = Directory.CreateTempSubdirectory("vmm-demo-").FullName;
        var scenario = new DistroScenario(folder, print, cancellation);
        try
        {
            await scenario.RunAsync(disk, firmware, print).ConfigureAwait(false);
            return scenario._findings;
        }
        finally
        {
            if (scenario._vm is { } vm)
            {
                await vm.DisposeAsync().ConfigureAwait(false);
            }

            Directory.Delete(folder, recursive: true);
        }
    }

    private async Task RunAsync(string disk, string firmware, Action<string> print)
    {
        await HostTools.EnsureAsync(s_tools, _cancellation).ConfigureAwait(false);
        _ssh = await SshClient.MakeAsync(_folder, _sshPort, _cancellation).ConfigureAwait(false);
        IReadOnlyList<string> line = await LineAsync(disk, firmware).ConfigureAwait(false);
        print(CoverLetter.Quote(line));
        _vm = await VmmChild.StartAsync("debian", _folder, line, Hear)
            .ConfigureAwait(false);
        _timeline.Say("vmm", "power on");
        await LogInAsync("").ConfigureAwait(false);
        await JudgeSystemAsync("after the first boot").ConfigureAwait(false);
        await DownloadAsync().ConfigureAwait(false);
        await RebootAsync().ConfigureAwait(false);
        await WorkAsync().ConfigureAwait(false);
        Find("kernel warnings", "", await Guest($"dmesg | grep -E '{Faults}' || true").ConfigureAwait(false));
        await Guest("systemctl poweroff").ConfigureAwait(false);
        Find("power-off ends the program with", "0", (await _vm.EndAsync().ConfigureAwait(false)).ToString(CultureInfo.InvariantCulture));
    }

    private async Task<IReadOnlyList<string>> LineAsync(string disk, string firmware)
    {
        (string overlay, string seed) = await DistroSeed.MakeDisksAsync(_folder, disk, _ssh.PublicKey, _cancellation).ConfigureAwait(false);
        return
        [
            "-smp", "cpus=2,maxcpus=4", "-m", "1G", "-bios", firmware, "-boot", "menu=on,splash-time=0", "-display", "none",
            "-monitor", "none",
            "-drive", $"if=virtio,file={overlay},format=qcow2,discard=unmap",
            "-drive", $"if=virtio,file={seed},format=raw,readonly=on",
            "-nic", $"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{_sshPort}-:22,hostfwd=tcp:127.0.0.1:{_iperfPort}-:5201",
        ];
    }

    // Waits until the guest has another boot id than before.
    private async Task LogInAsync(string before)
    {
        TimeSpan begun = _timeline.Elapsed;
        while (_timeline.Elapsed - begun < s_patience)
        {
            if (await _ssh.TryRunAsync(BootId, _cancellation).ConfigureAwait(false) is { } id && id != before)
            {
                double seconds = (_timeline.Elapsed - begun).TotalSeconds;
                _timeline.Say("guest", string.Create(CultureInfo.InvariantCulture, $"login by ssh after {seconds:0.0} s"));
                return;
            }

            await Task.Delay(500, _cancellation).ConfigureAwait(false);
        }

        throw new GuestSilentException($"no login by ssh within {s_patience.TotalMinutes} minutes; the guest's console ends: "
            + EndOfConsole());
    }

    private async Task JudgeSystemAsync(string when)
    {
        Find($"{when}: systemd is", "running", await Guest("systemctl is-system-running --wait").ConfigureAwait(false));
        Find($"{when}: failed units", "", await Guest("systemctl --failed --no-legend --plain").ConfigureAwait(false));
        const string Describe = ". /etc/os-release; echo \"$PRETTY_NAME, Linux $(uname -r), $(nproc) CPUs\"";
        _timeline.Say("guest", await Guest(Describe).ConfigureAwait(false));
    }

    private async Task DownloadAsync()
    {
        var server = new FileServer(DownloadBytes);
        await using (server.ConfigureAwait(false))
        {
            TimeSpan begun = _timeline.Elapsed;
            string sum = await Guest($"curl -sS http://10.0.2.2:{server.Port}/ | sha256sum").ConfigureAwait(false);
            _timeline.Say("guest", string.Create(CultureInfo.InvariantCulture,
                $"a download of {DownloadBytes >> 20} MiB took {(_timeline.Elapsed - begun).TotalSeconds:0.0} s with its checksum"));
            Find("SHA-256 of the download", $"{server.Sum}  -", sum);
        }
    }

    private async Task RebootAsync()
    {
        string written = $"{Guid.NewGuid()}";
        await Guest($"echo {written} > {Written}; sync").ConfigureAwait(false);
        string before = await Guest(BootId).ConfigureAwait(false);
        await Guest("systemctl reboot").ConfigureAwait(false);
        _timeline.Say("guest", "reboot");
        await LogInAsync(before).ConfigureAwait(false);
        await JudgeSystemAsync("after the reboot").ConfigureAwait(false);
        Find("the file that was written before the reboot", written, await Guest($"cat {Written}").ConfigureAwait(false));
    }

    // fio checks what it has written, iperf3 sends both ways, and CPUs come and go.
    private async Task WorkAsync()
    {
        await Guest("iperf3 -s -D").ConfigureAwait(false);
        Task<string> fio = Guest("fio --name=verify --directory=/root --rw=randrw --bs=4k --size=128m --verify=crc32c "
            + "--verify_backlog=1024 --ioengine=libaio --iodepth=16 --direct=1 "
            + $"--time_based --runtime={LoadSeconds} > /root/fio.log 2>&1; echo $?");
        Task<(int Code, string Output, string Error)> iperf = HostTools.RunAsync(
            "iperf3", ["-c", "127.0.0.1", "-p", $"{_iperfPort}", "-t", $"{LoadSeconds}", "--bidir", "-f", "m"], _cancellation);
        _timeline.Say("guest", "fio writes and verifies, iperf3 sends both ways");
        for (int round = 1; round <= Rounds; round++)
        {
            for (int core = 2; core < 4; core++)
            {
                await HotplugAsync("device_add", $"core{core}", new JsonObject
                {
                    ["driver"] = "host-arm-cpu", ["id"] = $"core{core}", ["core-id"] = core,
                }).ConfigureAwait(false);
                await Guest($"echo 1 > /sys/devices/system/cpu/cpu{core}/online").ConfigureAwait(false);
            }

            Find($"round {round}: CPUs online after the plugs", "0-3", await Guest(Online).ConfigureAwait(false));
            for (int core = 2; core < 4; core++)
            {
                await HotplugAsync("device_del", $"core{core}", new JsonObject { ["id"] = $"core{core}" }).ConfigureAwait(false);
            }

            Find($"round {round}: CPUs online after the unplugs", "0-1", await Guest(Online).ConfigureAwait(false));
        }

        Find("fio ends with", "0", await fio.ConfigureAwait(false));
        (int code, string output, string error) = await iperf.ConfigureAwait(false);
        Find("iperf3 ends with", "0", code == 0 ? "0" : $"{code}: {(output + error).Trim()}");
        foreach (string row in (await Guest("grep -E 'IOPS=' /root/fio.log").ConfigureAwait(false)).Split('\n'))
        {
            _timeline.Say("fio", row.Trim());
        }

        foreach (string row in output.Split('\n').Where(row => row.EndsWith("receiver", StringComparison.Ordinal)))
        {
            _timeline.Say("iperf3", row.Trim());
        }

        await JudgeThreadsAsync().ConfigureAwait(false);
    }

    // The threads of the vCPUs are the guest's: they tell of work to do, and devices do it elsewhere.
    private async Task JudgeThreadsAsync()
    {
        JsonNode? said = await _vm.Qmp.AskAsync(
            "human-monitor-command", new JsonObject { ["command-line"] = "info virtio" }).ConfigureAwait(false);
        MatchCollection queues = QueueWork().Matches(said!.GetValue<string>());
        long Sum(string name) => queues.Sum(queue => long.Parse(queue.Groups[name].ValueSpan, CultureInfo.InvariantCulture));
        _timeline.Say("vmm", string.Create(CultureInfo.InvariantCulture,
            $"info virtio: {queues.Count} queues, {Sum("chains"):N0} chains of {Sum("notifications"):N0} notifications"));
        Find("device work on vCPUs' threads", "none",
            Sum("chains") == 0 ? "no work at all" : Sum("vcpus") == 0 ? "none" : $"{Sum("vcpus")} chains");
    }

    [GeneratedRegex(@"(?<notifications>\d+) notifications, (?<chains>\d+) chains, (?<vcpus>\d+) of them")]
    private static partial Regex QueueWork();

    private async Task HotplugAsync(string command, string id, JsonObject arguments)
    {
        var ended = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        void Hear(string name, JsonNode? data)
        {
            if (name == VmEvents.HotplugOutcomeName && data!["device"]!.GetValue<string>() == id)
            {
                ended.TrySetResult(data["result"]!.GetValue<string>());
            }
        }

        _vm.Qmp.Happened += Hear;
        await _vm.Qmp.AskAsync(command, arguments).ConfigureAwait(false);
        string how = await ended.Task.WaitAsync(s_patience, _cancellation).ConfigureAwait(false);
        _vm.Qmp.Happened -= Hear;
        _timeline.Say("vmm", $"{command} {id}: {how}");
        if (how != "done")
        {
            Find($"{command} {id}", "done", how);
        }
    }

    private void Hear(ReadOnlyMemory<byte> bytes)
    {
        lock (_console)
        {
            _console.Append(Encoding.UTF8.GetString(bytes.Span));
        }
    }

    private string EndOfConsole()
    {
        lock (_console)
        {
            return _console.ToString()[^Math.Min(_console.Length, 400)..];
        }
    }

    private Task<string> Guest(string command) => _ssh.RunAsync(command, _cancellation);

    private void Find(string what, string expected, string seen) => _findings.Add(new Finding(what, expected, seen));
}
