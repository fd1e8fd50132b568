using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using CsCheck;
using Vmm.Fleet.Ledger;

namespace Vmm.Fleet.Tests.Ledger;

public sealed class OwnerAccountTests
{
    private const long Second = 1_000_000_000;

    private static readonly DateTimeOffset s_noon = new(2026, 11, 29, 12, 0, 0, TimeSpan.Zero);

    private readonly OwnerAccount _account = new("acme");

    private void Read(DateTimeOffset at, string vm, string meter, CpuUsage usage)
    {
        if (_account.Read(at, vm, meter, usage) is { } read)
        {
            _account.Apply(read);
        }
    }

    private string? Grant(string vm, int cpus)
    {
        if (_account.Grant(s_noon, vm, cpus, out string? refusal) is { } granted)
        {
            _account.Apply(granted);
        }

        return refusal;
    }

    private CpuUsage Used(string vm) => _account.Usage.Where(u => u.Vm == vm).Aggregate(default(CpuUsage), (sum, u) => sum + u.Usage);

    [Fact]
    public void Counters_of_a_VM_become_busy_idle_and_standby() =>
        Assert.Equal(new CpuUsage(14, 16, 10), CpuUsage.Of(10, [9, 5, 0, 0], [10, 10, 10, 0]));

    [Fact]
    public void A_reading_that_comes_twice_or_late_is_counted_once()
    {
        var one = new CpuUsage(5 * Second, 5 * Second, Second);
        var two = new CpuUsage(7 * Second, 6 * Second, Second);
        Read(s_noon, "web", "a", one);
        Assert.Null(_account.Read(s_noon, "web", "a", one));
        Read(s_noon.AddSeconds(3), "web", "a", two);
        Assert.Null(_account.Read(s_noon.AddSeconds(4), "web", "a", one));
        _account.Apply(new MeterRead(s_noon, "web", "a", one));
        Assert.Equal(two, Used("web"));
    }

    [Fact]
    public void A_new_meter_of_a_VM_counts_from_its_beginning()
    {
        Read(s_noon, "web", "a", new CpuUsage(5, 5, 5));
        Read(s_noon.AddSeconds(3), "web", "b", new CpuUsage(1, 2, 3));
        Assert.Equal(new CpuUsage(6, 7, 8), Used("web"));
    }

    [Fact]
    public void What_was_used_over_midnight_belongs_to_both_days_in_proportion()
    {
        Read(s_noon, "web", "a", default(CpuUsage) with { Busy = 1 });
        Read(s_noon.AddHours(48), "web", "a", new CpuUsage(1 + (48 * Second), 96 * Second, 0));
        Assert.Equal(
            [(29, 12 * Second + 1, 24 * Second), (30, 24 * Second, 48 * Second), (1, 12 * Second, 24 * Second)],
            _account.Usage.Select(u => (u.Day.Day, u.Usage.Busy, u.Usage.Idle)));
        Assert.Equal(108.000000001m, _account.UsedInMonthOf(s_noon));
        Assert.Equal(36m, _account.UsedInMonthOf(s_noon.AddDays(2)));
    }

    [Fact]
    public void A_plug_over_quota_is_refused_in_words()
    {
        _account.Apply(_account.SetQuota(s_noon, new OwnerQuota(4, null), out _)!);
        Assert.Null(Grant("web", 2));
        Assert.Null(Grant("db", 1));
        Assert.Equal("owner 'acme' may have 4 CPUs and has 3: 2 more for VM 'db' would be over quota", Grant("db", 3));
        Assert.Equal((2, 1), (_account.GrantedTo("web"), _account.GrantedTo("db")));
        Assert.Equal([3, 2, 1], new[] { "web", "db", "new" }.Select(vm => _account.AllowanceOf(vm, s_noon)));
        Assert.Null(Grant("db", 2));
        Assert.Equal("owner 'acme' may have 4 CPUs and has 4: 1 more for VM 'web' would be over quota", Grant("web", 3));
        Assert.Null(Grant("web", 0));
        Assert.Null(Grant("db", 4));
    }

    [Fact]
    public void A_quota_that_was_lowered_takes_nothing_away_and_gives_nothing_more()
    {
        Assert.Null(Grant("web", 6));
        _account.Apply(_account.SetQuota(s_noon, new OwnerQuota(4, null), out _)!);
        Assert.Equal((6, 4), (_account.GrantedTo("web"), _account.AllowanceOf("web", s_noon)));
        Assert.Null(Grant("web", 5));
        Assert.Equal("owner 'acme' may have 4 CPUs and has 5: 1 more for VM 'web' would be over quota", Grant("web", 6));
        Assert.Equal("a VM cannot have -1 CPUs", Grant("web", -1));
        Assert.Null(_account.SetQuota(s_noon, new OwnerQuota(-1, null), out string? why));
        Assert.Equal("a quota of -1 CPUs is not possible", why);
    }

    [Fact]
    public void CPU_seconds_of_a_month_that_are_used_up_end_plugging_until_the_next()
    {
        _account.Apply(_account.SetQuota(s_noon, new OwnerQuota(null, 100), out _)!);
        Assert.Null(Grant("web", 1));
        Read(s_noon, "web", "a", new CpuUsage(40 * Second, 59 * Second, 500 * Second));
        Assert.Null(Grant("web", 2));
        Read(s_noon, "web", "a", new CpuUsage(41 * Second, 59 * Second, 500 * Second));
        Assert.Equal("owner 'acme' has used 100 of 100 CPU-seconds of 2026-11: VM 'web' stays at 2 CPUs", Grant("web", 3));
        Assert.Equal((0, int.MaxValue), (_account.AllowanceOf("web", s_noon), _account.AllowanceOf("web", s_noon.AddDays(2))));
    }

    /// <summary>
    /// A VM runs, is paused and is killed at random moments. It is read about each second, now and then twice or late, as by the two nodes
    /// of a migration; the last reading of one that was killed comes from its file, some time later. The ledger itself is killed, and made
    /// anew from its events, or from what was saved and the events since.
    /// </summary>
    [Fact]
    public void The_ledger_equals_the_counters_over_kills_and_migrations() => Gen.Int.Sample(seed =>
    {
        var random = new Random(seed);
        var events = new List<ILedgerEvent>();
        var account = new OwnerAccount("acme");
        AccountSnapshot? saved = null;
        CpuUsage counted = default, meter = default;
        var late = new Queue<(string Meter, CpuUsage Usage)>();
        int meters = 0;
        DateTimeOffset now = s_noon;
        void Take(string name, CpuUsage usage)
        {
            if (account.Read(now, "web", name, usage) is { } read)
            {
                events.Add(read);
                account.Apply(read);
            }
        }

        for (int second = 0; second < 20_000; second++)
        {
            now = now.AddSeconds(1);
            int enabled = 1 + (second / 100 % 4);
            long busy = (long)(random.NextDouble() * enabled * Second);
            CpuUsage used = random.Next(10) == 0 ? default : new CpuUsage(busy, (enabled * Second) - busy, (4 - enabled) * Second);
            meter += used;
            counted += used;
            if (random.Next(3) != 0)
            {
                Take($"{meters}", meter);
                late.Enqueue(($"{meters}", meter));
            }

            if (late.Count > 0 && random.Next(4) == 0)
            {
                (string name, CpuUsage usage) = late.Dequeue();
                Take(name, usage);
            }

            if (random.Next(3600) == 0)
            {
                late.Enqueue(($"{meters}", meter));
                meter = default;
                meters++;
            }

            if (random.Next(2000) == 0)
            {
                account = new OwnerAccount("acme");
                if (saved != null)
                {
                    account.Load(saved);
                }

                events.ForEach(account.Apply);
            }

            if (random.Next(2000) == 0)
            {
                saved = account.Save();
                events.Clear();
            }
        }

        while (late.TryDequeue(out (string Meter, CpuUsage Usage) last))
        {
            Take(last.Meter, last.Usage);
        }

        Take($"{meters}", meter);
        CpuUsage ledger = account.Usage.Aggregate(default(CpuUsage), (sum, u) => sum + u.Usage);
        Assert.Equal(counted, ledger);
        Assert.Equal(ledger.Enabled / 1e9m, account.UsedInMonthOf(now));
    }, iter: 50);

    /// <summary>Whatever is asked for in whatever order, no more CPUs are granted than the quota has, but for earlier ones.</summary>
    [Fact]
    public void No_more_CPUs_are_granted_than_the_quota_has() =>
        Gen.Select(Gen.Int[0, 5], Gen.Int[0, 9], Gen.Int[-1, 20]).Array[1, 100].Sample(steps =>
        {
            var account = new OwnerAccount("acme");
            foreach ((int vm, int cpus, int quota) in steps)
            {
                int before = account.Granted;
                if (quota >= 10)
                {
                    account.Apply(account.SetQuota(s_noon, new OwnerQuota(quota - 10, null), out _)!);
                }

                CpusGranted? granted = account.Grant(s_noon, $"vm{vm}", cpus, out string? refusal);
                Assert.True(granted == null || refusal == null);
                if (granted != null)
                {
                    account.Apply(granted);
                }

                Assert.True(account.Granted <= Math.Max(before, account.Quota.Cpus ?? int.MaxValue));
                Assert.True(refusal != null || account.GrantedTo($"vm{vm}") == cpus);
            }
        });

    [Fact]
    public void An_invoice_has_a_line_for_each_day_and_VM_as_CSV_and_JSON()
    {
        Read(s_noon, "web, \"big\"", "a", new CpuUsage(3600 * Second, 1800 * Second, 1));
        Read(s_noon.AddDays(1), "db", "b", new CpuUsage(1, 0, 36000 * Second));
        Read(s_noon.AddDays(5), "late", "c", new CpuUsage(1, 1, 1));
        var tariff = new Tariff(0.10m, 0.05m, 0.001m, "EUR");
        Invoice invoice = Invoice.Of("acme", _account.Usage, new DateOnly(2026, 11, 29), new DateOnly(2026, 11, 30), tariff);
        Assert.Equal(
            "owner,day,vm,busy_cpu_seconds,idle_cpu_seconds,standby_cpu_seconds,amount,currency\r\n"
            + "acme,2026-11-29,\"web, \"\"big\"\"\",3600,1800,0.000000001,0.125,EUR\r\n"
            + "acme,2026-11-30,db,0.000000001,0,36000,0.01,EUR\r\n",
            invoice.ToCsv());
        using JsonDocument json = JsonDocument.Parse(invoice.ToJson());
        Assert.Equal(0.135m, json.RootElement.GetProperty("total").GetDecimal());
        Assert.Equal("web, \"big\"", json.RootElement.GetProperty("lines")[0].GetProperty("vm").GetString());
        Assert.Equal(1800m, json.RootElement.GetProperty("lines")[0].GetProperty("idle-cpu-seconds").GetDecimal());
        Invoice free = Invoice.Of("acme", _account.Usage, new DateOnly(2026, 11, 30), new DateOnly(2026, 11, 30), null);
        Assert.EndsWith("acme,2026-11-30,db,0.000000001,0,36000,,\r\n", free.ToCsv(), StringComparison.Ordinal);
    }

    /// <summary>Python's csv module reads what was written.</summary>
    [Fact]
    public void Other_programs_read_the_CSV()
    {
        string[] names = ["plain", "with, comma", "with \"quotes\"", "two\nlines"];
        for (int i = 0; i < names.Length; i++)
        {
            Read(s_noon.AddDays(i), names[i], "a", new CpuUsage(i + 1, 0, 0));
        }

        string csv = Invoice.Of("acme", _account.Usage, DateOnly.MinValue, DateOnly.MaxValue, null).ToCsv();
        const string Program = "import csv, sys, io, json; rows = csv.DictReader(io.TextIOWrapper(sys.stdin.buffer, newline='')); "
            + "print(json.dumps([[row['vm'], row['busy_cpu_seconds']] for row in rows]))";
        var start = new ProcessStartInfo("python3", ["-c", Program])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true,
        };
        using Process python = Process.Start(start)!;
        python.StandardInput.Write(csv);
        python.StandardInput.Close();
        string[][] rows = JsonSerializer.Deserialize<string[][]>(python.StandardOutput.ReadToEnd())!;
        Assert.Equal(names, rows.Select(r => r[0]));
        Assert.Equal(names.Select((_, i) => ((i + 1) / 1e9m).ToString(CultureInfo.InvariantCulture)), rows.Select(r => r[1]));
    }
}
