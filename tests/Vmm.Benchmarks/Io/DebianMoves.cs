using System.Diagnostics;
using System.Globalization;
using Vmm.Benchmarks.Migration;
using Vmm.Host.Guest;
using Vmm.Host.Guest.Disk;
using Vmm.Tests;

namespace Vmm.Benchmarks.Io;

/// <summary>
/// Debian moves from process to process while it works on its disk and talks over its network. Its disk is on the host, and each process
/// has an interface of its own in one bridge. fio finds what it has written, a session of ssh that lasts from the first move to the last
/// has each number in its order, and disk and kernel are whole at the end.
/// </summary>
internal sealed class DebianMoves(IReadOnlyList<string> vmm, TextWriter output)
{
    private const string Address = "192.168.7.2";
    private const string Mac = "52:54:00:12:34:56";
    private const int DowntimeLimit = 300;

    private const string Network =
        $$"""
        version: 2
        ethernets:
          eth:
            match: { macaddress: "{{Mac}}" }
            addresses: [ {{Address}}/24 ]

        """;

    private const string Load =
        "while [ ! -e /run/enough ]; do fio --name=load --directory=/root --size=96m --rw=randrw --bs=4k --ioengine=libaio --iodepth=8 "
        + "--verify=crc32c > /root/fio.log 2>&1 || exit 1; echo round; done";

    private const string Count = "n=0; while [ ! -e /run/enough ]; do n=$((n + 1)); echo $n; sleep 0.01; done";

    private int _failures;

    /// <summary>Moves the guest so many times; how much was wrong.</summary>
    public async Task<int> RunAsync(int moves)
    {
        if (BridgedNetwork.Missing is { } missing)
        {
            await output.WriteLineAsync(missing).ConfigureAwait(false);
            return 1;
        }

        string folder = Directory.CreateTempSubdirectory("vmm-moves-").FullName;
        BridgedNetwork network = await BridgedNetwork.MakeAsync().ConfigureAwait(false);
        await using (network.ConfigureAwait(false))
        {
            try
            {
                await RunAsync(moves, folder, network).ConfigureAwait(false);
            }
            finally
            {
                Directory.Delete(folder, recursive: true);
            }
        }

        return _failures;
    }

    private async Task RunAsync(int moves, string folder, BridgedNetwork network)
    {
        string disk = await GuestDisk.EnsureAsync(null, CancellationToken.None).ConfigureAwait(false);
        string firmware = await GuestAssets.EnsureFirmwareAsync(null, CancellationToken.None).ConfigureAwait(false);
        SshClient ssh = await SshClient.MakeAsync(folder, 22, CancellationToken.None, Address, network.Command("ssh"))
            .ConfigureAwait(false);
        (string overlay, string seed) =
            await DistroSeed.MakeDisksAsync(folder, disk, ssh.PublicKey, CancellationToken.None, Network).ConfigureAwait(false);
        string[] command = network.Command(
        [
            .. vmm, "run", "-smp", "2", "-m", "1G", "-bios", firmware, "-display", "none",
            "-drive", $"if=virtio,file={overlay},format=qcow2", "-drive", $"if=virtio,file={seed},format=raw,readonly=on",
            "-nic", $"bridge,br={BridgedNetwork.Bridge},model=virtio-net-pci,mac={Mac}",
        ]);
        MigrationPeer peer = await MigrationPeer.StartAsync(command).ConfigureAwait(false);
        try
        {
            await DebianMachine.AwaitSshAsync(ssh).ConfigureAwait(false);
            Task<string?> load = ssh.TryRunAsync(Load, CancellationToken.None);
            using var session = new CountingSession(ssh.Command(Count));
            await session.AdvanceAsync().ConfigureAwait(false);
            var clock = Stopwatch.StartNew();
            for (int i = 0; i < moves; i++)
            {
                MigrationPeer source = peer;
                MigrationPeer target = await MigrationPeer.StartAsync([.. command, "-incoming", "defer"]).ConfigureAwait(false);
                peer = target;
                session.ForgetGap();
                Move move = await Move.MakeAsync(
                    source, target, DowntimeLimit, long.MaxValue, uri: $"unix:{folder}/move{i}").ConfigureAwait(false);
                await session.AdvanceAsync().ConfigureAwait(false);
                await TellAsync(source).ConfigureAwait(false);
                source.Dispose();
                await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
                    $"{clock.Elapsed:hh\\:mm\\:ss}  move {i + 1}: {move.Total:f0} ms, {move.Passes} passes, {move.Bytes >> 20} MiB, "
                    + $"guest stood still {move.Downtime:f0} ms, ssh was silent {session.LongestGap.TotalMilliseconds:f0} ms"))
                    .ConfigureAwait(false);
            }

            await ssh.RunAsync("touch /run/enough", CancellationToken.None).ConfigureAwait(false);
            string? rounds = await load.ConfigureAwait(false);
            Expect("fio", true, rounds != null);
            Expect("the session's exit status", 0, await session.EndAsync().ConfigureAwait(false));
            Expect("numbers out of their order", 0, session.Misplaced);
            Expect("the kernel", "",
                await ssh.RunAsync($"dmesg | grep -E '{DevicePlugs.Faults}' || true", CancellationToken.None).ConfigureAwait(false));
            await ssh.TryRunAsync("poweroff", CancellationToken.None).ConfigureAwait(false);
            await peer.Run.ConsoleEnded.ConfigureAwait(false);
            await TellAsync(peer).ConfigureAwait(false);
            Expect("the disk", null, await DiskCheck.OfImageAsync("qcow2", overlay, mayLeak: false).ConfigureAwait(false));
            Expect("the file system", null, await DiskCheck.OfFileSystemAsync("qcow2", overlay, folder).ConfigureAwait(false));
            await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
                $"{moves} moves, {session.Numbers} numbers by ssh, {rounds?.Split('\n').Length ?? 0} rounds of fio, {_failures} wrong"))
                .ConfigureAwait(false);
        }
        finally
        {
            peer.Dispose();
        }
    }

    // What a process, and the guest's kernel at its console, has to complain of.
    private async Task TellAsync(MigrationPeer peer)
    {
        foreach (string fault in peer.Faults)
        {
            _failures++;
            await output.WriteLineAsync($"the kernel says: {fault}").ConfigureAwait(false);
        }

        if (peer.Errors.Length > 0)
        {
            await output.WriteLineAsync(peer.Errors.TrimEnd()).ConfigureAwait(false);
        }
    }

    private void Expect<T>(string what, T expected, T seen)
    {
        if (!EqualityComparer<T>.Default.Equals(expected, seen))
        {
            _failures++;
            output.WriteLine($"{what}: expected '{expected}', seen '{seen}'");
        }
    }

    /// <summary>A session of ssh that prints the numbers from 1 on. One lock guards what is counted.</summary>
    private sealed class CountingSession : IDisposable
    {
        private readonly Process _process;
        private readonly Task _reading;
        private readonly object _gate = new();
        private TimeSpan _longestGap;
        private long _lastAt = Stopwatch.GetTimestamp();

        public CountingSession(string[] command)
        {
            _process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true })!;
            _reading = Task.Factory.StartNew(Read, TaskCreationOptions.LongRunning);
        }

        /// <summary>How many numbers have come, and how many of them were not the next one.</summary>
        public int Numbers { get; private set; }

        public int Misplaced { get; private set; }

        /// <summary>The longest time between two numbers since it was forgotten.</summary>
        public TimeSpan LongestGap
        {
            get
            {
                lock (_gate)
                {
                    return _longestGap;
                }
            }
        }

        public void ForgetGap()
        {
            lock (_gate)
            {
                (_longestGap, _lastAt) = (TimeSpan.Zero, Stopwatch.GetTimestamp());
            }
        }

        /// <summary>Waits for more numbers.</summary>
        public async Task AdvanceAsync()
        {
            int before = Count();
            long begun = Stopwatch.GetTimestamp();
            while (Count() < before + 20)
            {
                if (_reading.IsCompleted || Stopwatch.GetElapsedTime(begun) > MigrationPeer.Patience)
                {
                    throw new IOException("the session by ssh has ended, or says nothing any more");
                }

                await Task.Delay(20).ConfigureAwait(false);
            }
        }

        /// <summary>Waits for its end; the exit status.</summary>
        public async Task<int> EndAsync()
        {
            await _reading.ConfigureAwait(false);
            await _process.WaitForExitAsync().ConfigureAwait(false);
            return _process.ExitCode;
        }

        public void Dispose()
        {
            if (!_process.HasExited)
            {
                _process.Kill();
            }

            _process.Dispose();
        }

        private int Count()
        {
            lock (_gate)
            {
                return Numbers;
            }
        }

        private void Read()
        {
            while (_process.StandardOutput.ReadLine() is { } line)
            {
                lock (_gate)
                {
                    long now = Stopwatch.GetTimestamp();
                    TimeSpan gap = Stopwatch.GetElapsedTime(_lastAt, now);
                    _longestGap = gap > _longestGap ? gap : _longestGap;
                    _lastAt = now;
                    Numbers++;
                    Misplaced += line == Numbers.ToString(CultureInfo.InvariantCulture) ? 0 : 1;
                }
            }
        }
    }
}
