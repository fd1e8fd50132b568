using System.Globalization;
using Microsoft.AspNetCore.Http;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Ledger;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Rest;

/// <summary>The addresses of owners' accounts: quotas and invoices (docs/rest.md).</summary>
/// <param name="tariff">What CPU-hours cost; null for invoices without amounts.</param>
internal sealed class AccountApi(FleetNode node, Tariff? tariff)
{
    private const string Owner = "/v1/owners/{owner}";
    private const string Csv = "text/csv";

    /// <summary>The addresses.</summary>
    public IEnumerable<RestEndpoint> Endpoints =>
    [
        new("GET", Owner, RestRole.Viewer, "The account of an owner", context => TellAsync(context, new GetAccount(OwnerOf(context))))
        {
            Result = typeof(AccountState),
        },
        new("PUT", Owner + "/quota", RestRole.Admin, "Set what an owner may have; null for as much as is wanted", async context =>
            await TellAsync(
                context,
                new ChangeQuota(OwnerOf(context), await context.ReadAsync(RestJson.Default.OwnerQuota).ConfigureAwait(false)))
                .ConfigureAwait(false))
        {
            Body = typeof(OwnerQuota), Result = typeof(AccountState),
        },
        new("GET", Owner + "/invoice", RestRole.Viewer, "What an owner has used, by day (UTC) and VM", BillAsync)
        {
            Media = ["application/json", Csv],
            Query =
            [
                new("first", "string", "the first day, such as 2026-11-01; without it the first of the month"),
                new("last", "string", "the last day, which counts, too; without it today"),
            ],
        },
    ];

    private static string OwnerOf(HttpContext context) => context.Value("owner") is var owner && FleetNames.IsOwner(owner) ? owner
        : throw new BadHttpRequestException($"an owner is called {FleetNames.OwnerRule}");

    private async Task TellAsync(HttpContext context, IAccountMessage message)
    {
        IFleetMessage answer = await node.AskAsync(message, context.RequestAborted).ConfigureAwait(false);
        await (answer is AccountState state ? context.WriteAsync(state, RestJson.Default.AccountState) : context.RejectAsync(answer))
            .ConfigureAwait(false);
    }

    private async Task BillAsync(HttpContext context)
    {
        string owner = OwnerOf(context);
        var today = DateOnly.FromDateTime(DateTime.UtcNow);
        DateOnly first = DayOf(context, "first", new DateOnly(today.Year, today.Month, 1));
        DateOnly last = DayOf(context, "last", today);
        if (last < first)
        {
            throw new BadHttpRequestException($"last: {last:yyyy-MM-dd} is before the first day, {first:yyyy-MM-dd}");
        }

        IReadOnlyList<DayUsage> usage = await node.UsageAsync(owner, first, last, context.RequestAborted).ConfigureAwait(false);
        var invoice = Invoice.Of(owner, usage, first, last, tariff);
        bool isCsv = context.Request.Headers.Accept.ToString().StartsWith(Csv, StringComparison.OrdinalIgnoreCase);
        context.Response.ContentType = isCsv ? $"{Csv}; charset=utf-8" : "application/json; charset=utf-8";
        await context.Response.WriteAsync(isCsv ? invoice.ToCsv() : invoice.ToJson(), context.RequestAborted).ConfigureAwait(false);
    }

    private static DateOnly DayOf(HttpContext context, string name, DateOnly usual)
    {
        string text = context.Request.Query[name].ToString();
        return text.Length == 0 ? usual
            : DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out DateOnly day) ? day
            : throw new BadHttpRequestException($"{name}: give a day such as 2026-11-01");
    }
}
