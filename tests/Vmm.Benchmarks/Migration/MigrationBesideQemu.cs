using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;

namespace Vmm.Benchmarks.Migration;

/// <summary>
/// Migrates the same guest under the same load with Vmm and with QEMU, over the loopback, with equal limits; then to a file and back. It
/// prints what both sides and the guest say of it, and judges it by what issue 13 asks for.
/// </summary>
/// <param name="qemu">The command of QEMU 10; empty to leave it out.</param>
internal sealed class MigrationBesideQemu(IReadOnlyList<string> vmm, IReadOnlyList<string> qemu, TextWriter output)
{
    private const int DowntimeLimit = 100;
    private const long Bandwidth = 10L << 30;
    private const double ClockTolerance = 5;

    // Guests have been up for so long when they move, and receivers have waited for so long.
    private static readonly TimeSpan s_beforeMove = TimeSpan.FromSeconds(4);

    private string[] _guest = [];
    private int _missed;

    /// <summary>A migration, and the guest's view of it.</summary>
    /// <param name="Monotonic">The largest step of CLOCK_MONOTONIC.</param>
    /// <param name="Real">The largest step of CLOCK_REALTIME.</param>
    /// <param name="Lag">How much less time has passed in the guest than outside, from before the migration until after it.</param>
    /// <param name="Off">How far the steps are from the downtime.</param>
    private sealed record Sample(Move Move, double Monotonic, double Real, double Lag, double Off);

    /// <summary>Writes of RAM to a file and back, in milliseconds.</summary>
    private sealed record FileSample(double Save, double Restore, double Mebibytes);

    /// <summary>Runs the cases; how many verdicts are bad.</summary>
    public async Task<int> RunAsync(int runs, IReadOnlyList<int> memories, IReadOnlyList<GuestLoad> loads)
    {
        string folder = Directory.CreateTempSubdirectory("vmm-migrate-").FullName;
        try
        {
            _guest = await MigrationGuest.PrepareAsync(folder).ConfigureAwait(false);
            await output.WriteLineAsync(
                $"downtime-limit {DowntimeLimit} ms, max-bandwidth {Bandwidth >> 30} GiB/s; medians of {runs} runs\n\n"
                + "| Case                | engine |  total ms "
                + "| downtime ms | heard outside | clock step | real-time step |    lag | passes |  MiB |\n"
                + "|---------------------|--------|----------:|------------:|--------------:|-----------:|---------------:|-------:"
                + "|-------:|-----:|").ConfigureAwait(false);
            foreach (int memory in memories)
            {
                foreach (GuestLoad load in loads)
                {
                    await CompareAsync(runs, memory, load).ConfigureAwait(false);
                }
            }

            await output.WriteLineAsync(
                "\n| migrate file:, mapped-ram, idle | engine | save ms | restore ms | MiB on disk |\n|---|---|--:|--:|--:|")
                .ConfigureAwait(false);
            foreach (int memory in memories)
            {
                await CompareFilesAsync(runs, memory, folder).ConfigureAwait(false);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        await output.WriteLineAsync($"\n{(_missed == 0 ? "all verdicts are good" : $"{_missed} verdicts are bad")}").ConfigureAwait(false);
        return _missed;
    }

    private async Task CompareAsync(int runs, int memory, GuestLoad load)
    {
        string name = $"{memory} MiB, {load.ToString().ToLowerInvariant()}";
        Sample? theirs = qemu.Count == 0
            ? null
            : await TryAsync(name, "QEMU", () => MoveAsync(Qemu(memory), runs, load)).ConfigureAwait(false);
        Sample? ours = await TryAsync(name, "Vmm", () => MoveAsync(Ours(memory), runs, load)).ConfigureAwait(false);
        if (ours == null)
        {
            return;
        }

        if (theirs != null)
        {
            await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
                $"| {name,-19} | ratio  | {Ratio(ours.Move.Total, theirs.Move.Total),9:f2} | "
                + $"{Ratio(ours.Move.Downtime, theirs.Move.Downtime),11:f2} | {Ratio(ours.Move.Outside, theirs.Move.Outside),13:f2} | "
                + $"{"",10} | {"",14} | {"",6} | {"",6} | {Ratio(ours.Move.Bytes, theirs.Move.Bytes),4:f2} |")).ConfigureAwait(false);
            await JudgeAsync(name, "total at most half of QEMU's", ours.Move.Total <= theirs.Move.Total / 2).ConfigureAwait(false);
            await JudgeAsync(name, "downtime not above QEMU's", ours.Move.Downtime <= theirs.Move.Downtime).ConfigureAwait(false);
        }

        if (load is GuestLoad.Idle or GuestLoad.Write)
        {
            int limit = load == GuestLoad.Idle ? 50 : 150;
            await JudgeAsync(name, $"downtime under {limit} ms", ours.Move.Downtime < limit).ConfigureAwait(false);
        }

        await JudgeAsync(
            name, string.Create(CultureInfo.InvariantCulture,
                $"clock steps equal downtime within {ClockTolerance} ms (off by {ours.Off:f1} in the median"
                + $"{(theirs == null ? "" : $"; QEMU by {theirs.Off:f1}")})"),
            ours.Off <= ClockTolerance).ConfigureAwait(false);
    }

    private async Task<Sample?> TryAsync(string name, string engine, Func<Task<List<Sample>>> run)
    {
        List<Sample> samples;
        try
        {
            samples = await run().ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or TimeoutException)
        {
            _missed++;
            await output.WriteLineAsync($"| {name,-19} | {engine,-6} | {e.Message.ReplaceLineEndings(" ")} |").ConfigureAwait(false);
            return null;
        }

        var middle = new Sample(
            new Move(Median(samples, s => s.Move.Total), Median(samples, s => s.Move.Downtime), Median(samples, s => s.Move.Outside),
                (long)Median(samples, s => s.Move.Passes), (long)Median(samples, s => s.Move.Bytes)),
            Median(samples, s => s.Monotonic), Median(samples, s => s.Real), Median(samples, s => s.Lag), Median(samples, s => s.Off));
        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
            $"| {name,-19} | {engine,-6} | {middle.Move.Total,9:f0} | {middle.Move.Downtime,11:f0} | {middle.Move.Outside,13:f1} | "
            + $"{middle.Monotonic,10:f1} | {middle.Real,14:f1} | {middle.Lag,6:f1} | {middle.Move.Passes,6} | "
            + $"{middle.Move.Bytes / (double)(1 << 20),4:f0} |"))
            .ConfigureAwait(false);
        return middle;
    }

    // Boots once, and goes from process to process.
    private async Task<List<Sample>> MoveAsync(string[] command, int runs, GuestLoad load)
    {
        var samples = new List<Sample>();
        MigrationPeer? source = null;
        MigrationPeer? target = null;
        try
        {
            source = await BootAsync(command, load).ConfigureAwait(false);
            for (int run = 0; run < runs; run++)
            {
                target = await MigrationPeer.StartAsync([.. command, "-incoming", "defer"]).ConfigureAwait(false);
                await Task.Delay(s_beforeMove).ConfigureAwait(false);
                (string Answer, long At) before = await source.AskTimedAsync("report").ConfigureAwait(false);
                Move move = await Move.MakeAsync(source, target, DowntimeLimit, Bandwidth).ConfigureAwait(false);
                (string Answer, long At) after = await target.AskTimedAsync("report").ConfigureAwait(false);
                string[] report = after.Answer.Split(' ');
                double inside = Milliseconds(report[5]) - Milliseconds(before.Answer.Split(' ')[5]);
                double monotonic = Milliseconds(report[0]);
                double real = Milliseconds(report[1]);
                samples.Add(new Sample(
                    move, monotonic, real, Stopwatch.GetElapsedTime(before.At, after.At).TotalMilliseconds - inside,
                    Math.Max(Math.Abs(monotonic - move.Downtime), Math.Abs(real - move.Downtime))));
                if (report[4] != "0" || source.Faults.Length + target.Faults.Length > 0)
                {
                    throw new IOException(
                        $"the guest found {report[4]} wrong pages; {string.Join("; ", source.Faults.Concat(target.Faults))}");
                }

                source.Dispose();
                source = target;
                target = null;
            }
        }
        finally
        {
            source?.Dispose();
            target?.Dispose();
        }

        return samples;
    }

    private static async Task<MigrationPeer> BootAsync(string[] command, GuestLoad load)
    {
        MigrationPeer peer = await MigrationPeer.StartAsync(command).ConfigureAwait(false);
        try
        {
            await peer.BootAsync().ConfigureAwait(false);
            await peer.AskAsync(load.ToString().ToLowerInvariant()).ConfigureAwait(false);
            return peer;
        }
        catch
        {
            peer.Dispose();
            throw;
        }
    }

    private async Task CompareFilesAsync(int runs, int memory, string folder)
    {
        FileSample? theirs = qemu.Count == 0
            ? null
            : await TryFilesAsync($"{memory} MiB", "QEMU", () => SaveAndRestoreAsync(Qemu(memory), runs, folder)).ConfigureAwait(false);
        FileSample? ours =
            await TryFilesAsync($"{memory} MiB", "Vmm", () => SaveAndRestoreAsync(Ours(memory), runs, folder)).ConfigureAwait(false);
        if (ours != null && theirs != null)
        {
            await JudgeAsync($"{memory} MiB, file", "save at most half of QEMU's", ours.Save <= theirs.Save / 2).ConfigureAwait(false);
            await JudgeAsync($"{memory} MiB, file", "restore at most half of QEMU's", ours.Restore <= theirs.Restore / 2)
                .ConfigureAwait(false);
        }
    }

    private async Task<FileSample?> TryFilesAsync(string name, string engine, Func<Task<List<FileSample>>> run)
    {
        try
        {
            List<FileSample> samples = await run().ConfigureAwait(false);
            var middle = new FileSample(
                Median(samples, s => s.Save), Median(samples, s => s.Restore), Median(samples, s => s.Mebibytes));
            await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
                $"| {name} | {engine} | {middle.Save:f0} | {middle.Restore:f0} | {middle.Mebibytes:f0} |")).ConfigureAwait(false);
            return middle;
        }
        catch (Exception e) when (e is IOException or TimeoutException)
        {
            _missed++;
            await output.WriteLineAsync($"| {name} | {engine} | {e.Message.ReplaceLineEndings(" ")} |").ConfigureAwait(false);
            return null;
        }
    }

    private static async Task<List<FileSample>> SaveAndRestoreAsync(string[] command, int runs, string folder)
    {
        var samples = new List<FileSample>();
        MigrationPeer? source = await BootAsync(command, GuestLoad.Idle).ConfigureAwait(false);
        MigrationPeer? target = null;
        try
        {
            for (int run = 0; run < runs; run++)
            {
                string file = Path.Combine(folder, "saved");
                File.Delete(file);
                await Task.Delay(s_beforeMove).ConfigureAwait(false);
                double save = await ToFileAsync(source, "migrate", file).ConfigureAwait(false);
                double size = AllocatedBytes(file) / (double)(1 << 20);
                target = await MigrationPeer.StartAsync([.. command, "-incoming", "defer"]).ConfigureAwait(false);
                await Task.Delay(s_beforeMove).ConfigureAwait(false);
                double restore = await ToFileAsync(target, "migrate-incoming", file).ConfigureAwait(false);
                await target.AskAsync("report").ConfigureAwait(false);
                samples.Add(new FileSample(save, restore, size));
                source.Dispose();
                source = target;
                target = null;
            }
        }
        finally
        {
            source?.Dispose();
            target?.Dispose();
        }

        return samples;
    }

    // From the command to the end of a save, or until the restored guest runs.
    private static async Task<double> ToFileAsync(MigrationPeer peer, string command, string file)
    {
        await peer.ExecuteAsync("migrate-set-parameters", new JsonObject { ["max-bandwidth"] = Bandwidth }).ConfigureAwait(false);
        await peer.ExecuteAsync("migrate-set-capabilities", new JsonObject
        {
            ["capabilities"] = new JsonArray(new JsonObject { ["capability"] = "mapped-ram", ["state"] = true }),
        }).ConfigureAwait(false);
        long start = Stopwatch.GetTimestamp();
        await peer.ExecuteAsync(command, new JsonObject { ["uri"] = $"file:{file}" }).ConfigureAwait(false);
        if (command == "migrate")
        {
            await Move.CompletionAsync(peer).ConfigureAwait(false);
            return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }

        return Stopwatch.GetElapsedTime(start, await peer.AwaitEventAsync("RESUME").ConfigureAwait(false)).TotalMilliseconds;
    }

    // What a file takes on disk: holes are not counted.
    private static long AllocatedBytes(string file)
    {
        using Process du = Process.Start(new ProcessStartInfo("du", ["-B1", file]) { RedirectStandardOutput = true })!;
        string said = du.StandardOutput.ReadToEnd();
        du.WaitForExit();
        return long.Parse(said.Split('\t')[0], CultureInfo.InvariantCulture);
    }

    private async Task JudgeAsync(string name, string what, bool good)
    {
        _missed += good ? 0 : 1;
        await output.WriteLineAsync($"    {(good ? "good" : "BAD ")}  {name}: {what}").ConfigureAwait(false);
    }

    private string[] Ours(int memory) => [.. vmm, "-cpu", "max", "-smp", "2", "-m", $"{memory}M", .. _guest];

    private string[] Qemu(int memory) =>
    [
        .. qemu, "-M", "virt,gic-version=3", "-accel", "tcg,thread=multi", "-cpu", "max,pauth-impdef=on", "-smp", "2", "-m", $"{memory}M",
        "-nodefaults", "-display", "none", "-audio", "none", .. _guest,
    ];

    private static double Milliseconds(string nanoseconds) => long.Parse(nanoseconds, CultureInfo.InvariantCulture) / 1e6;

    private static double Ratio(double ours, double theirs) => theirs == 0 ? double.NaN : ours / theirs;

    private static double Median<T>(List<T> samples, Func<T, double> of)
    {
        double[] all = [.. samples.Select(of).Order()];
        return all[all.Length / 2];
    }
}
