using System.Diagnostics;

namespace Vmm.Benchmarks.Hotplug;

/// <summary>
/// Plugs and unplugs two CPUs of a busy guest at random moments of boot, reboot, stop and cont, and then at random moments around resets.
/// Every request must end exactly once and in time, no error may be false, and the kernel must find no fault. What a round does is decided
/// by the seed and its number alone.
/// </summary>
internal sealed class HotplugSoak(IReadOnlyList<string> vmm, int seed, TimeSpan patience, TextWriter output, TextWriter? log)
{
    private const int BootCpus = 2;
    private const int RoundsPerProcess = 20;

    private static readonly int[] s_cpus = [2, 3];
    private static readonly TimeSpan s_bootPatience = TimeSpan.FromMinutes(4);

    private readonly List<string> _roundLog = [];
    private readonly SortedDictionary<string, int> _kinds = [];

    private enum Disturbance
    {
        None,
        StopAndContinue,
        StopResetContinue,
        GuestReboot,
        Reset,
        ResetTwice,
    }

    /// <summary>Runs the rounds; how many failed.</summary>
    /// <param name="first">The number of the first round.</param>
    /// <param name="rounds">Rounds of any kind.</param>
    /// <param name="resets">Rounds after these in which the host resets the machine.</param>
    public async Task<int> RunAsync(int first, int rounds, int resets)
    {
        string folder = Directory.CreateTempSubdirectory("vmm-soak-").FullName;
        int failed = 0;
        SoakMachine? machine = null;
        var clock = Stopwatch.StartNew();
        try
        {
            string[] arguments =
            [
                "-cpu", "max", "-smp", $"cpus={BootCpus},maxcpus={BootCpus + s_cpus.Length}",
                .. await SoakGuest.PrepareAsync(folder, 4, bringOnline: true).ConfigureAwait(false),
            ];
            await output.WriteLineAsync(
                $"hotplug-soak: seed {seed}, rounds {first} to {first + rounds + resets - 1}, the last {resets} with resets")
                .ConfigureAwait(false);
            for (int round = first; round < first + rounds + resets; round++)
            {
                lock (_roundLog)
                {
                    _roundLog.Clear();
                }

                if (machine != null && round % RoundsPerProcess == 0)
                {
                    await machine.DisposeAsync().ConfigureAwait(false);
                    machine = null;
                }

                string? failure = null;
                try
                {
                    // Without waiting for its boot: the first round is there from the first instruction on.
                    machine ??= await SoakMachine.StartAsync(vmm, arguments, s_cpus, Hear).ConfigureAwait(false);
                    await RoundAsync(machine, round, resetting: round >= first + rounds).ConfigureAwait(false);
                }
                catch (Exception e) when (e is IOException or TimeoutException)
                {
                    failure = e.Message;
                }

                string[] faults = [.. machine?.Faults ?? [], .. failure == null ? (string[])[] : [failure]];
                if (faults.Length != 0)
                {
                    failed++;
                    await ReportAsync(round, resetting: round >= first + rounds, faults).ConfigureAwait(false);
                    if (machine != null)
                    {
                        await machine.DisposeAsync().ConfigureAwait(false);
                        machine = null;
                    }
                }
                else if ((round - first) % 10 == 9)
                {
                    await output.WriteLineAsync($"{clock.Elapsed:hh\\:mm\\:ss}  {round - first + 1} rounds, {failed} failed")
                        .ConfigureAwait(false);
                }
            }
        }
        finally
        {
            if (machine != null)
            {
                await machine.DisposeAsync().ConfigureAwait(false);
            }

            Directory.Delete(folder, recursive: true);
        }

        await output.WriteLineAsync($"{rounds} rounds and {resets} with resets in {clock.Elapsed:hh\\:mm\\:ss}: {failed} failed")
            .ConfigureAwait(false);
        await output.WriteLineAsync($"disturbances: {string.Join(", ", _kinds.Select(k => $"{k.Key} {k.Value}"))}").ConfigureAwait(false);
        return failed;
    }

    private async Task RoundAsync(SoakMachine machine, int round, bool resetting)
    {
        // The generator's algorithm is fixed for a given seed.
        var random = new Random(unchecked((seed * 1_000_003) + round));
        Disturbance kind = resetting
            ? (random.Next(3) == 0 ? Disturbance.ResetTwice : Disturbance.Reset)
            : random.Next(10) switch
            {
                < 2 => Disturbance.None,
                < 6 => Disturbance.StopAndContinue,
                < 7 => Disturbance.StopResetContinue,
                < 9 => Disturbance.GuestReboot,
                _ => Disturbance.Reset,
            };
        lock (_roundLog)
        {
            _kinds[kind.ToString()] = _kinds.GetValueOrDefault(kind.ToString()) + 1;
        }

        // Long enough to reach into the boot that follows.
        int window = kind is Disturbance.None or Disturbance.StopAndContinue ? 1000 : 4000;
        Hear($"round {round}: {kind}");
        var work = new List<Task>();
        foreach (int cpu in s_cpus)
        {
            int count = 1 + random.Next(3);
            int[] moments = [.. Enumerable.Range(0, count).Select(_ => random.Next(window)).Order()];
            work.Add(ToggleAsync(machine, cpu, moments));
        }

        work.Add(DisturbAsync(machine, kind, random.Next(window / 2), random.Next(1500), random.Next(1500)));
        await Task.WhenAll(work).ConfigureAwait(false);
        await machine.SettleAsync(patience, s_bootPatience).ConfigureAwait(false);
        await machine.VerifyAsync(BootCpus).ConfigureAwait(false);
    }

    private static async Task ToggleAsync(SoakMachine machine, int cpu, int[] moments)
    {
        var clock = Stopwatch.StartNew();
        foreach (int moment in moments)
        {
            await Task.Delay((int)Math.Max(0, moment - clock.ElapsedMilliseconds)).ConfigureAwait(false);
            await machine.ToggleAsync(cpu).ConfigureAwait(false);
        }
    }

    private static async Task DisturbAsync(SoakMachine machine, Disturbance kind, int before, int then, int last)
    {
        await Task.Delay(before).ConfigureAwait(false);
        switch (kind)
        {
            case Disturbance.StopAndContinue:
                await machine.StopAsync().ConfigureAwait(false);
                await Task.Delay(then).ConfigureAwait(false);
                await machine.ContinueAsync().ConfigureAwait(false);
                break;
            case Disturbance.StopResetContinue:
                await machine.StopAsync().ConfigureAwait(false);
                await Task.Delay(then / 2).ConfigureAwait(false);
                await machine.ResetAsync().ConfigureAwait(false);
                await Task.Delay(last / 2).ConfigureAwait(false);
                await machine.ContinueAsync().ConfigureAwait(false);
                break;
            case Disturbance.GuestReboot:
                machine.Reboot();
                break;
            case Disturbance.Reset:
                await machine.ResetAsync().ConfigureAwait(false);
                break;
            case Disturbance.ResetTwice:
                await machine.ResetAsync().ConfigureAwait(false);
                await Task.Delay(then + last).ConfigureAwait(false);
                await machine.ResetAsync().ConfigureAwait(false);
                break;
        }
    }

    private async Task ReportAsync(int round, bool resetting, string[] faults)
    {
        string[] lines;
        lock (_roundLog)
        {
            lines = [.. _roundLog];
        }

        // From the first round of its process on; where rounds of both kinds were among these, the first ones differ.
        int again = round / RoundsPerProcess * RoundsPerProcess;
        string length = resetting ? $"--rounds 0 --resets {round - again + 1}" : $"--rounds {round - again + 1} --resets 0";
        await output.WriteLineAsync($"FAILED round {round} (again: --seed {seed} --first {again} {length})").ConfigureAwait(false);
        foreach (string line in faults.Select(f => "  " + f).Concat(lines.Select(l => "    " + l)))
        {
            await output.WriteLineAsync(line).ConfigureAwait(false);
        }
    }

    private void Hear(string line)
    {
        lock (_roundLog)
        {
            _roundLog.Add(line);
            log?.WriteLine(line);
        }
    }
}
