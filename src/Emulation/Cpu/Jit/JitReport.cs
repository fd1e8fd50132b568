using System.Globalization;
using System.Text;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Mmu;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>What <c>info jit</c> prints.</summary>
internal sealed class JitReport
{
    private const int TopNames = 20;
    private const double Mebibyte = 1 << 20;

    private readonly StringBuilder _text = new();
    private readonly IReadOnlyList<VcpuCore> _cpus;
    private readonly long[] _exits = new long[ExitCounters.Count];
    private readonly long _executed;

    private JitReport(IReadOnlyList<VcpuCore> cpus)
    {
        _cpus = cpus;
        foreach (VcpuCore cpu in cpus)
        {
            _executed += cpu.InstructionCount;
            if (cpu.Counters.Exits is { } exits)
            {
                for (int i = 0; i < exits.Length; i++)
                {
                    _exits[i] += exits[i];
                }
            }
        }
    }

    /// <summary>All of it, a line for each figure. vCPUs may run: their figures are those of the last millisecond or so.</summary>
    public static string Describe(in TranslationStatistics translations, IReadOnlyList<VcpuCore> cpus, CodeCache code)
    {
        var report = new JitReport(cpus);
        report.AddTranslations(translations);
        report.AddExits();
        report.AddTlbs();
        report.Line(
            "Code lines",
            $"{code.LinesInvalidated:N0} changed by the guest, {translations.BlocksGivenUp:N0} blocks given up for it; ",
            $"all looked through {code.AllInvalidated:N0} times");
        report.Line("Code pages", $"{translations.Pages:N0}, given up {code.GivenUp:N0} times");
        return report._text.ToString().TrimEnd();
    }

    private void AddTranslations(in TranslationStatistics t)
    {
        double seconds = t.Translating.TotalSeconds;
        Line("Blocks", $"{t.Blocks:N0} translated, of {Ratio(t.Instructions, t.Blocks):F1} guest instructions");
        Line("Guest instructions", $"{t.Instructions:N0} translated");
        Line(
            "Host bytes",
            $"{t.HotBytes:N0}, {Ratio(t.HotBytes, t.Instructions):F1} per guest instruction, ",
            $"and {t.ColdBytes:N0} of ways out, {Ratio(t.ColdBytes, t.Instructions):F1}");
        Line(
            "Translating",
            $"{seconds * 1000:N1} ms, {Ratio(t.Translating.TotalNanoseconds, t.Instructions):F0} ns per guest instruction, ",
            $"{Ratio(t.Blocks, seconds):N0} blocks a second");
        Line("Waiting for it", $"{t.Waits:N0} times, {t.Waiting.TotalMilliseconds:N1} ms");
        Line(
            "Code cache",
            $"{t.Used / Mebibyte:F1} of {t.Capacity / Mebibyte:F0} MiB used, {t.Live / Mebibyte:F1} in force, ",
            $"a part given up {t.GivenUp:N0} times, ",
            $"in {t.LongestGiveUp.TotalMilliseconds:F2} ms at most{(t.MappedTwice ? "; mapped twice" : "")}");
        if (t.PerfMapFailure != null)
        {
            Line("Perf map", $"not complete: {t.PerfMapFailure}");
        }
    }

    private void AddExits()
    {
        long interpreted = Enum.GetValues<ExitReason>().Sum(Interpreted);
        Line("Executed", $"{_executed:N0} instructions");
        AddShare("Interpreted", interpreted, "");
        AddReason("  not translated", ExitReason.NotTranslated);
        AddReason("  rare cases", ExitReason.RareCase);
        AddReason("  TLB misses", ExitReason.TlbMiss);
        AddShare("Not yet translated", _exits[ExitCounters.Cold], " (each up to the next jump that is taken)");
        AddShare("Jump cache misses", _exits[ExitCounters.Lookup], "");
        AddShare("Jumps linked", _exits[ExitCounters.Link], "");
        AddShare("Checks taken apart", _exits[ExitCounters.Apart], "");
        AddShare("Attention exits", _exits[ExitCounters.Attention], " (and ends of slices)");
    }

    private long Interpreted(ExitReason reason) => _exits.AsSpan(ExitCounters.First(reason), ExitCounters.Names.Count).ToArray().Sum();

    private void AddReason(string title, ExitReason reason)
    {
        AddShare(title, Interpreted(reason), "");
        int first = ExitCounters.First(reason);
        IEnumerable<(string Name, long Count)> top = ExitCounters.Names.Select((name, i) => (name, _exits[first + i]))
            .Where(n => n.Item2 > 0).OrderByDescending(n => n.Item2).Take(TopNames);
        foreach ((string name, long count) in top)
        {
            AddShare($"    {name}", count, "");
        }
    }

    private void AddTlbs()
    {
        VcpuCounters[] counters = [.. _cpus.Select(cpu => cpu.Counters)];
        long Sum(Func<VcpuCounters, long> counter) => counters.Sum(counter);
        long Invalidations(TlbScope scope) => Sum(c => c.TlbInvalidations[(int)scope]);
        long data = Sum(c => c.DataTlbFills);
        long code = Sum(c => c.InstructionTlbFills);
        Line("TLB fills", $"{data:N0} data, {code:N0} code, {Ratio(1000.0 * (data + code), _executed):F2} per 1000 instructions");
        Line(
            "TLBI",
            $"all {Invalidations(TlbScope.All):N0}, ASID {Invalidations(TlbScope.Asid):N0}, address {Invalidations(TlbScope.Address):N0}, ",
            $"address of all ASIDs {Invalidations(TlbScope.AddressAllAsids):N0}");
        Line(
            "TLBI of other vCPUs",
            $"{Sum(c => c.BroadcastsServed):N0} carried out, {Sum(c => c.BroadcastFlushes):N0} times so many that all was forgotten");
        Line("Table changes", $"{Sum(c => c.ContextsMade):N0} that found no TLBs kept");
    }

    private void AddShare(string title, long count, string comment) =>
        Line(title, $"{count,15:N0} {100 * Ratio(count, _executed),8:F4} %{comment}");

    private static double Ratio(double part, double whole) => whole == 0 ? 0 : part / whole;

    private void Line(string title, params FormattableString[] parts)
    {
        _text.Append(CultureInfo.InvariantCulture, $"{title,-32} ");
        foreach (FormattableString part in parts)
        {
            _text.Append(part.ToString(CultureInfo.InvariantCulture));
        }

        _text.Append('\n');
    }
}
