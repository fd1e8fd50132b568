using System.Globalization;

namespace Vmm.Benchmarks.Hotplug;

/// <summary>
/// The whole ways of a plug and an unplug, as a client sees them, beside those of QEMU's PC (TCG): the hotplug that QEMU has had for long.
/// The guest is the same but for its architecture.
/// </summary>
/// <param name="qemu">The command of qemu-system-x86_64.</param>
/// <param name="programs">A folder with vmlinuz and busybox of amd64.</param>
internal sealed class HotplugBesideQemu(IReadOnlyList<string> qemu, string programs, TextWriter output)
{
    private static readonly (string Name, Func<PlugRound, double> Seconds)[] s_ways =
    [
        ("device_add sent -> answer read", r => r.AddAnswered - r.Add),
        ("device_add sent -> the guest has it, heard", r => r.PlugEnded - r.Add),
        ("echo 1 typed -> online said", r => r.PlugOnSaid - r.PlugOn),
        ("CPU from boot: echo 0 typed -> offline said", r => r.BootOffSaid - r.BootOff),
        ("CPU from boot: echo 1 typed -> online said", r => r.BootOnSaid - r.BootOn),
        ("device_del sent -> answer read", r => r.DeleteAnswered - r.Delete),
        ("device_del sent -> DEVICE_DELETED heard", r => r.Deleted - r.Delete),
    ];

    /// <summary>Goes through as many rounds with QEMU and prints a table of both.</summary>
    public async Task RunAsync(IReadOnlyList<PlugRound> ours)
    {
        string folder = Directory.CreateTempSubdirectory("vmm-stages-").FullName;
        IReadOnlyList<PlugRound> theirs;
        try
        {
            string[] guest = await SoakGuest.PrepareX86Async(folder, programs).ConfigureAwait(false);

            // QEMU's TCG has a translation context for each possible CPU and never gives one back: one more plug than there are CPUs
            // aborts it (tcg_register_thread).
            int possible = ours.Count + 2;
            theirs = await new PlugRounds(new PlugClock(), "event ACPI_DEVICE_OST").RunAsync(
                [.. qemu, "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", $"cpus=2,maxcpus={possible}",
                    "-nodefaults", "-display", "none", .. guest], ours.Count)
                .ConfigureAwait(false);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        await output.WriteLineAsync(
            $"\n| Way ({ours.Count} rounds, milliseconds)                "
            + "| Vmm first |  median |   worst | QEMU first |  median |   worst |\n"
            + "|----------------------------------------------|----------:|--------:|--------:|-----------:|--------:|--------:|")
            .ConfigureAwait(false);
        foreach ((string name, Func<PlugRound, double> seconds) in s_ways)
        {
            (double first, double median, double worst) = Summarize(ours, seconds);
            (double firstOfQemu, double medianOfQemu, double worstOfQemu) = Summarize(theirs, seconds);
            await output.WriteLineAsync(string.Create(
                CultureInfo.InvariantCulture,
                $"| {name,-44} | {first,9:f2} | {median,7:f2} | {worst,7:f2} "
                + $"| {firstOfQemu,10:f2} | {medianOfQemu,7:f2} | {worstOfQemu,7:f2} |")).ConfigureAwait(false);
        }
    }

    private static (double First, double Median, double Worst) Summarize(IReadOnlyList<PlugRound> rounds, Func<PlugRound, double> seconds)
    {
        double[] all = [.. rounds.Select(r => seconds(r) * 1000)];
        double first = all[0];
        Array.Sort(all);
        return (first, all[all.Length / 2], all[^1]);
    }
}
