using System.Diagnostics;
using System.Globalization;

namespace Vmm.Benchmarks.Migration;

/// <summary>
/// Sends a guest under stress from process to process, a third of the times with postcopy, while two of its CPUs come and go at random
/// moments. The kernel and the loads must find no fault, every hotplug request must end exactly once on the side that runs, and the
/// processes must not grow. What a move does is decided by the seed and its number alone.
/// </summary>
/// <param name="suite">Debian's, whose kernel the guest has.</param>
internal sealed class MigrationSoak(IReadOnlyList<string> vmm, string suite, int seed, TextWriter output, TextWriter? log)
{
    private const int BootCpus = 2;
    private const int DowntimeLimit = 300;
    private const long Bandwidth = 10L << 30;

    private static readonly int[] s_cpus = [2, 3];

    private readonly List<string> _log = [];

    /// <summary>Makes so many moves; how many were wrong.</summary>
    public async Task<int> RunAsync(int moves)
    {
        string folder = Directory.CreateTempSubdirectory("vmm-migrate-soak-").FullName;
        var clock = Stopwatch.StartNew();
        var resident = new List<double>();
        MovingMachine? machine = null;
        int failed = 0, ended = 0;
        try
        {
            string[] command =
            [
                .. vmm, "-cpu", "max", "-smp", $"cpus={BootCpus},maxcpus={BootCpus + s_cpus.Length}", "-m", "512M",
                .. await MigrationGuest.PrepareAsync(folder, suite).ConfigureAwait(false),
            ];
            await output.WriteLineAsync($"migrate soak: seed {seed}, {moves} moves").ConfigureAwait(false);
            for (int move = 0; move < moves; move++)
            {
                lock (_log)
                {
                    _log.Clear();
                }

                string? failure = null;
                try
                {
                    machine ??= await MovingMachine.BootAsync(command, GuestLoad.Stress, Hear).ConfigureAwait(false);
                    await MoveAsync(machine, move).ConfigureAwait(false);
                    resident.Add(machine.Peer.Run.ResidentBytes / (double)(1 << 20));
                }
                catch (Exception e) when (e is IOException or TimeoutException)
                {
                    failure = e.Message;
                }

                string[] faults = [.. machine?.Faults ?? [], .. failure == null ? (string[])[] : [failure]];
                if (faults.Length != 0)
                {
                    failed++;
                    await ReportAsync(move, faults).ConfigureAwait(false);
                    ended += machine?.Ended ?? 0;
                    machine?.Dispose();
                    machine = null;
                }

                if (move % 10 == 9)
                {
                    await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
                        $"{clock.Elapsed:hh\\:mm\\:ss}  {move + 1} moves, {failed} wrong, {ended + (machine?.Ended ?? 0)} plugs and unplugs"
                        + $", {resident.LastOrDefault():f0} MiB resident")).ConfigureAwait(false);
                }
            }
        }
        finally
        {
            ended += machine?.Ended ?? 0;
            machine?.Dispose();
            Directory.Delete(folder, recursive: true);
        }

        // The first moves fill the guest's caches.
        int part = resident.Count / 6;
        double early = part == 0 ? 0 : Mean(resident[part..(2 * part)]);
        double late = part == 0 ? 0 : Mean(resident[^part..]);
        bool flat = late <= 1.2 * early;
        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
            $"{moves} moves in {clock.Elapsed:hh\\:mm\\:ss}: {failed} wrong; {ended} plugs and unplugs ended once; "
            + $"resident MiB of the receiver: {early:f0} early, {late:f0} at the end ({(flat ? "flat" : "GROWN")})")).ConfigureAwait(false);
        return failed + (flat ? 0 : 1);
    }

    private async Task MoveAsync(MovingMachine machine, int move)
    {
        // The generator's algorithm is fixed for a given seed.
        var random = new Random(unchecked((seed * 1_000_003) + move));
        Hear($"move {move}");
        var work = new List<Task>();
        foreach (int cpu in s_cpus)
        {
            int[] moments = [.. Enumerable.Range(0, random.Next(3)).Select(_ => random.Next(2500)).Order()];
            work.Add(ToggleAsync(machine, cpu, moments));
        }

        await Task.Delay(random.Next(600)).ConfigureAwait(false);
        work.Add(machine.MoveAsync(DowntimeLimit, Bandwidth, postcopy: random.Next(3) == 0));
        await Task.WhenAll(work).ConfigureAwait(false);
        await machine.SettleAsync(BootCpus, MigrationPeer.Patience).ConfigureAwait(false);
    }

    private static async Task ToggleAsync(MovingMachine machine, int cpu, int[] moments)
    {
        var clock = Stopwatch.StartNew();
        foreach (int moment in moments)
        {
            await Task.Delay((int)Math.Max(0, moment - clock.ElapsedMilliseconds)).ConfigureAwait(false);
            await machine.ToggleAsync(cpu).ConfigureAwait(false);
        }
    }

    private async Task ReportAsync(int move, string[] faults)
    {
        string[] lines;
        lock (_log)
        {
            lines = [.. _log];
        }

        await output.WriteLineAsync($"FAILED move {move} (again: --seed {seed} --moves {move + 1})").ConfigureAwait(false);
        foreach (string line in faults.Select(f => "  " + f).Concat(lines.Select(l => "    " + l)))
        {
            await output.WriteLineAsync(line).ConfigureAwait(false);
        }
    }

    private void Hear(string line)
    {
        lock (_log)
        {
            _log.Add(line);
            log?.WriteLine(line);
        }
    }

    private static double Mean(List<double> values) => values.Average();
}
