using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Ledger;

/// <summary>What a CPU-hour costs in each state.</summary>
/// <param name="Currency">For people, such as EUR.</param>
public sealed record Tariff(decimal BusyPerHour, decimal IdlePerHour, decimal StandbyPerHour, string Currency);

/// <summary>What a VM has used on a day (UTC), and what that costs: four decimals; null without a tariff.</summary>
public sealed record InvoiceLine(DateOnly Day, string Vm, CpuUsage Usage, decimal? Amount);

/// <summary>What an owner has used, ready to be charged: by day and VM.</summary>
/// <param name="First">The first day (UTC).</param>
/// <param name="Last">The last day; the whole of it counts.</param>
public sealed record Invoice(string Owner, DateOnly First, DateOnly Last, Tariff? Tariff, IReadOnlyList<InvoiceLine> Lines)
{
    private const decimal NanosecondsPerSecond = 1e9m, NanosecondsPerHour = 3600e9m;

    private static readonly JsonWriterOptions s_json = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The sum of the amounts; null without a tariff.</summary>
    public decimal? Total => Tariff == null ? null : Lines.Sum(line => line.Amount!.Value);

    /// <param name="usage">By day and VM; other days than those of the invoice are left out.</param>
    public static Invoice Of(string owner, IEnumerable<DayUsage> usage, DateOnly first, DateOnly last, Tariff? tariff)
    {
        decimal Cost(CpuUsage used) => Math.Round(
            ((used.Busy * tariff!.BusyPerHour) + (used.Idle * tariff.IdlePerHour) + (used.Standby * tariff.StandbyPerHour))
            / NanosecondsPerHour, 4);

        return new Invoice(owner, first, last, tariff,
        [
            .. usage.Where(u => u.Day >= first && u.Day <= last)
                .Select(u => new InvoiceLine(u.Day, u.Vm, u.Usage, tariff == null ? null : Cost(u.Usage))),
        ]);
    }

    /// <summary>
    /// CSV (RFC 4180) with a line of names; times in seconds with up to nine decimals. Without a tariff the last two fields are empty.
    /// </summary>
    public string ToCsv()
    {
        var csv = new StringBuilder("owner,day,vm,busy_cpu_seconds,idle_cpu_seconds,standby_cpu_seconds,amount,currency\r\n");
        foreach (InvoiceLine line in Lines)
        {
            string[] fields =
            [
                Owner, Day(line.Day), line.Vm, Number(Seconds(line.Usage.Busy)), Number(Seconds(line.Usage.Idle)),
                Number(Seconds(line.Usage.Standby)), line.Amount is { } amount ? Number(amount) : "", Tariff?.Currency ?? "",
            ];
            csv.AppendJoin(',', fields.Select(Quote)).Append("\r\n");
        }

        return csv.ToString();
    }

    /// <summary>A JSON object with the same, and the total.</summary>
    public string ToJson()
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, s_json))
        {
            json.WriteStartObject();
            json.WriteString("owner", Owner);
            json.WriteString("first-day", Day(First));
            json.WriteString("last-day", Day(Last));
            json.WriteStartArray("lines");
            foreach (InvoiceLine line in Lines)
            {
                json.WriteStartObject();
                json.WriteString("day", Day(line.Day));
                json.WriteString("vm", line.Vm);
                json.WriteNumber("busy-cpu-seconds", Seconds(line.Usage.Busy));
                json.WriteNumber("idle-cpu-seconds", Seconds(line.Usage.Idle));
                json.WriteNumber("standby-cpu-seconds", Seconds(line.Usage.Standby));
                if (line.Amount is { } amount)
                {
                    json.WriteNumber("amount", amount);
                }

                json.WriteEndObject();
            }

            json.WriteEndArray();
            if (Total is { } total)
            {
                json.WriteNumber("total", total);
                json.WriteString("currency", Tariff!.Currency);
            }

            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length) + "\n";
    }

    private static decimal Seconds(long nanoseconds) => nanoseconds / NanosecondsPerSecond;

    private static string Day(DateOnly day) => day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    private static string Number(decimal number) => number.ToString("0.#########", CultureInfo.InvariantCulture);

    private static string Quote(string field) =>
        field.AsSpan().ContainsAny(",\"\r\n") ? $"\"{field.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : field;
}
