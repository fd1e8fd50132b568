using System.Globalization;
using System.Text.Json.Nodes;
using Vmm.Host.Guest;
using Vmm.Host.Guest.Disk;

namespace Vmm.Benchmarks.Io;

/// <summary>
/// Debian on the same disk under Vmm and under QEMU, in turns: how long it takes to boot, and what fio, iperf3 and ping say. Judged by what
/// issue 14 asks for.
/// </summary>
/// <param name="qemu">The command of QEMU 10; empty to leave it out.</param>
internal sealed class IoBesideQemu(IReadOnlyList<string> vmm, IReadOnlyList<string> qemu, TextWriter output)
{
    // How much of QEMU's boot time ours may take, and how many times as fast the others are to be.
    private const double BootGoal = 0.5;
    private const double SpeedGoal = 1.5;
    private const int FioSeconds = 8;
    private const int IperfSeconds = 8;

    private static readonly (string Name, string Arguments, string Way)[] s_disk =
    [
        ("4k random read, IOPS", "--rw=randread --bs=4k --iodepth=16", "read"),
        ("4k random write, IOPS", "--rw=randwrite --bs=4k --iodepth=16", "write"),
        ("1 MiB read, MiB/s", "--rw=read --bs=1m --iodepth=4", "read"),
        ("1 MiB write, MiB/s", "--rw=write --bs=1m --iodepth=4", "write"),
    ];

    private static readonly string[] s_qemuMachine =
        ["-machine", "virt,gic-version=3", "-accel", "tcg,thread=multi", "-nodefaults", "-audio", "none"];

    private static readonly (string Name, string[] Way)[] s_net =
        [("iperf3 to the guest, Gbit/s", []), ("iperf3 from the guest, Gbit/s", ["-R"])];

    // Figures by name, of each run.
    private sealed class Figures : Dictionary<string, List<double>>
    {
        public void Add(string name, double value)
        {
            if (!TryGetValue(name, out List<double>? values))
            {
                this[name] = values = [];
            }

            values.Add(value);
        }

        public double Median(string name) => this[name].Order().ElementAt(this[name].Count / 2);
    }

    private const string Boot = "boot to login, s";
    private const string Ping = "ping, ms";

    /// <summary>Runs both in turns; how many verdicts are bad.</summary>
    public async Task<int> RunAsync(int runs)
    {
        string disk = await GuestDisk.EnsureAsync(null, CancellationToken.None).ConfigureAwait(false);
        string firmware = await GuestAssets.EnsureFirmwareAsync(null, CancellationToken.None).ConfigureAwait(false);
        var ours = new Figures();
        var theirs = new Figures();
        for (int run = 0; run < runs; run++)
        {
            await MeasureAsync([.. vmm, "run"], disk, firmware, ours).ConfigureAwait(false);
            await ShowAsync("Vmm", ours).ConfigureAwait(false);
            if (qemu.Count > 0)
            {
                await MeasureAsync([.. qemu, .. s_qemuMachine], disk, firmware, theirs).ConfigureAwait(false);
                await ShowAsync("QEMU", theirs).ConfigureAwait(false);
            }
        }

        return await ReportAsync(runs, ours, theirs).ConfigureAwait(false);
    }

    private Task ShowAsync(string engine, Figures figures) => output.WriteLineAsync($"{engine}: " + string.Join(
        ", ", figures.Select(f => string.Create(CultureInfo.InvariantCulture, $"{f.Key} {f.Value[^1]:0.00}"))));

    private static async Task MeasureAsync(string[] engine, string disk, string firmware, Figures figures)
    {
        string folder = Directory.CreateTempSubdirectory("vmm-io-").FullName;
        try
        {
            int sshPort = HostTools.FreePort();
            int iperfPort = HostTools.FreePort();
            SshClient ssh = await SshClient.MakeAsync(folder, sshPort, CancellationToken.None).ConfigureAwait(false);
            (string overlay, string seed) =
                await DistroSeed.MakeDisksAsync(folder, disk, ssh.PublicKey, CancellationToken.None).ConfigureAwait(false);

            // The firmware would wait five seconds for a key, whoever emulates it.
            string[] line =
            [
                .. engine, "-cpu", "neoverse-n1", "-smp", "2", "-m", "1G", "-bios", firmware, "-boot", "menu=on,splash-time=0",
                "-display", "none", "-monitor", "none",
                "-drive", $"if=none,id=d0,file={overlay},format=qcow2", "-device", "virtio-blk-pci,drive=d0,bootindex=0",
                "-drive", $"if=none,id=d1,file={seed},format=raw,readonly=on", "-device", "virtio-blk-pci,drive=d1",
                "-netdev", $"user,id=n0,hostfwd=tcp:127.0.0.1:{sshPort}-:22,hostfwd=tcp:127.0.0.1:{iperfPort}-:5201",
                "-device", "virtio-net-pci,netdev=n0,romfile=",
            ];
            DebianMachine machine = await DebianMachine.StartAsync(line, folder).ConfigureAwait(false);
            await using (machine.ConfigureAwait(false))
            {
                figures.Add(Boot, (await machine.AwaitLoginAsync().ConfigureAwait(false)).TotalSeconds);
                await DebianMachine.AwaitSshAsync(ssh).ConfigureAwait(false);
                await Run(ssh, "systemctl is-system-running --wait || true").ConfigureAwait(false);
                await MeasureDiskAsync(ssh, figures).ConfigureAwait(false);
                await MeasureNetAsync(ssh, iperfPort, figures).ConfigureAwait(false);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task MeasureDiskAsync(SshClient ssh, Figures figures)
    {
        // The file is there before it is read and written, so that clusters are not what is measured.
        const string Fio = "fio --name=io --filename=/root/io --size=256m --ioengine=libaio --direct=1 --output-format=json";
        await Run(ssh, $"{Fio} --rw=write --bs=1m > /dev/null; sync").ConfigureAwait(false);
        foreach ((string name, string arguments, string way) in s_disk)
        {
            string said = await Run(ssh, $"{Fio} --time_based --runtime={FioSeconds} {arguments}").ConfigureAwait(false);
            JsonNode job = JsonNode.Parse(said[said.IndexOf('{', StringComparison.Ordinal)..])!["jobs"]![0]![way]!;
            figures.Add(name, name.Contains("IOPS", StringComparison.Ordinal)
                ? job["iops"]!.GetValue<double>() : job["bw_bytes"]!.GetValue<double>() / (1 << 20));
        }
    }

    private static async Task MeasureNetAsync(SshClient ssh, int port, Figures figures)
    {
        await Run(ssh, "iperf3 -s -D; until ss -ltn | grep -q :5201; do sleep 0.2; done").ConfigureAwait(false);
        foreach ((string name, string[] way) in s_net)
        {
            figures.Add(name, await MeasureIperfAsync(port, way).ConfigureAwait(false));
        }

        // rtt min/avg/max/mdev = 0.1/0.2/0.3/0.1 ms
        string ping = await Run(ssh, "ping -q -c 100 -i 0.02 10.0.2.2 | tail -1").ConfigureAwait(false);
        figures.Add(Ping, double.Parse(ping.Split('=')[1].Split('/')[1], CultureInfo.InvariantCulture));
    }

    // The server may not have done with the test before.
    private static async Task<double> MeasureIperfAsync(int port, string[] way)
    {
        for (int attempt = 1; ; attempt++)
        {
            (int code, string said, string error) = await HostTools.RunAsync(
                "iperf3", ["-c", "127.0.0.1", "-p", $"{port}", "-t", $"{IperfSeconds}", "-J", .. way], CancellationToken.None)
                .ConfigureAwait(false);
            if (code == 0 && JsonNode.Parse(said)!["end"]?["sum_received"]?["bits_per_second"] is { } received)
            {
                return received.GetValue<double>() / 1e9;
            }

            if (attempt == 5)
            {
                throw new InvalidOperationException($"iperf3 failed: {said}{error}");
            }

            await Task.Delay(TimeSpan.FromSeconds(2)).ConfigureAwait(false);
        }
    }

    private static async Task<string> Run(SshClient ssh, string command) =>
        await ssh.TryRunAsync(command, CancellationToken.None).ConfigureAwait(false)
        ?? throw new InvalidOperationException($"the guest failed at: {command}");

    private async Task<int> ReportAsync(int runs, Figures ours, Figures theirs)
    {
        int missed = 0;
        await output.WriteLineAsync(
            $"medians of {runs} runs, in turns\n\n| What                           |     Vmm |    QEMU | times as fast | goal |\n"
            + "|--------------------------------|--------:|--------:|--------------:|-----:|").ConfigureAwait(false);
        foreach (string name in ours.Keys)
        {
            string row = string.Create(CultureInfo.InvariantCulture, $"| {name,-30} | {ours.Median(name),7:0.00} |");
            if (theirs.Count > 0)
            {
                bool less = name is Boot or Ping;
                double times = less ? theirs.Median(name) / ours.Median(name) : ours.Median(name) / theirs.Median(name);
                double goal = name == Boot ? 1 / BootGoal : SpeedGoal;
                missed += times < goal ? 1 : 0;
                row += string.Create(CultureInfo.InvariantCulture,
                    $" {theirs.Median(name),7:0.00} | {times,13:0.00} | {goal,4:0.0} |{(times < goal ? " MISSED" : "")}");
            }

            await output.WriteLineAsync(row).ConfigureAwait(false);
        }

        return missed;
    }
}
