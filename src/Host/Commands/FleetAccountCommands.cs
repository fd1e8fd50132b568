using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Vmm.Fleet.Ledger;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Rest;
using Vmm.Management.Text;

namespace Vmm.Host.Commands;

/// <summary><c>vmm fleet policy</c>, <c>quota</c> and <c>invoice</c>: CPUs that follow the load, and what they may be and cost.</summary>
internal static class FleetAccountCommands
{
    public static IEnumerable<Command> Create() => [CreatePolicy(), CreateQuota(), CreateInvoice()];

    private static Command CreatePolicy()
    {
        Argument<string> vm = FleetCommand.Vm();
        var options = new ScalingOptions(null);
        var file = new Option<string?>("--file") { Description = "the policy as JSON, which may have a schedule (docs/scaling.md)" };
        var off = new Option<bool>("--off") { Description = "leave the number of CPUs as it is" };
        var command = new Command("policy", "Tell, set or take away how the number of a VM's CPUs follows its load") { vm, file, off };
        options.AddTo(command);
        command.SetAction(parsed => FleetCommand.RunAsync(parsed, async connection =>
        {
            string name = parsed.GetValue(vm)!;
            ScalingSpec? said = parsed.GetValue(file) is { } path ? Read(path) : options.Parse(parsed);
            if (said == null && options.AreSaid(parsed))
            {
                throw new FleetException("give --maximum, too: the most CPUs");
            }

            VmRecord record = parsed.GetValue(off) ? await connection.SetScalingAsync(name, null).ConfigureAwait(false)
                : said != null ? await connection.SetScalingAsync(name, said).ConfigureAwait(false)
                : await connection.GetAsync(name).ConfigureAwait(false);
            return FleetCommand.Print(parsed, record, RestJson.Default.VmRecord, () => InWords(record.Spec.Scaling));
        }));
        return command;
    }

    private static Command CreateQuota()
    {
        Argument<string> owner = Owner();
        var cpus = new Option<string?>("--cpus") { Description = "CPUs that all VMs together may have enabled, or none for no limit" };
        var seconds = new Option<string?>("--cpu-seconds") { Description = "CPU-seconds in a calendar month, or none for no limit" };
        var command = new Command("quota", "Tell or set what an owner may have") { owner, cpus, seconds };
        command.SetAction(parsed => FleetCommand.RunAsync(parsed, async connection =>
        {
            string name = parsed.GetValue(owner)!;
            AccountState state = await connection.GetAccountAsync(name).ConfigureAwait(false);
            if (parsed.GetValue(cpus) != null || parsed.GetValue(seconds) != null)
            {
                decimal? most = Limit("--cpus", parsed.GetValue(cpus), state.Quota.Cpus, int.MaxValue);
                state = await connection.SetQuotaAsync(name, new OwnerQuota(
                    (int?)most, Limit("--cpu-seconds", parsed.GetValue(seconds), state.Quota.CpuSecondsPerMonth, 1e15m)))
                    .ConfigureAwait(false);
            }

            return FleetCommand.Print(parsed, state, RestJson.Default.AccountState, () => string.Create(
                CultureInfo.InvariantCulture,
                $"{state.Owner}: {state.GrantedCpus} of {Of(state.Quota.Cpus)} CPUs; "
                + $"{state.CpuSecondsThisMonth:0} of {Of(state.Quota.CpuSecondsPerMonth)} CPU-seconds this month"));
        }));
        return command;
    }

    private static Command CreateInvoice()
    {
        Argument<string> owner = Owner();
        var first = new Option<string?>("--first") { Description = "the first day, such as 2026-11-01 (the first of the month)" };
        var last = new Option<string?>("--last") { Description = "the last day, which counts, too (today)" };
        var command = new Command("invoice", "What an owner has used, by day (UTC) and VM: CSV, or JSON with --json")
        {
            owner, first, last,
        };
        command.SetAction(parsed => FleetCommand.RunAsync(parsed, async connection =>
        {
            System.Console.Write(await connection.GetInvoiceAsync(
                parsed.GetValue(owner)!, parsed.GetValue(first), parsed.GetValue(last), FleetCommand.IsJson(parsed)).ConfigureAwait(false));
            return ExitCode.Success;
        }));
        return command;
    }

    private static Argument<string> Owner() => new("owner") { Description = "the owner's name" };

    private static ScalingSpec Read(string path)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), RestJson.Default.ScalingSpec)
                ?? throw new FleetException($"'{UserText.Legible(path)}' has no policy");
        }
        catch (JsonException e)
        {
            throw new FleetException($"'{UserText.Legible(path)}': {e.Message}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FleetException($"cannot read '{UserText.Legible(path)}': {SystemError.Describe(e, path)}");
        }
    }

    // What was said, or what holds.
    private static decimal? Limit(string option, string? said, decimal? now, decimal most) => said == null ? now
        : said == "none" ? null
        : decimal.TryParse(said, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal limit) && limit <= most
            ? limit : throw new FleetException($"{option}: '{UserText.Legible(said)}' is neither a number nor none");

    private static string Of(decimal? limit) => limit?.ToString("0.###", CultureInfo.InvariantCulture) ?? "any number of";

    private static string InWords(ScalingSpec? scaling) => scaling == null ? "no policy" : string.Create(
        CultureInfo.InvariantCulture,
        $"{scaling.Minimum} to {scaling.Maximum} CPUs, target {scaling.Target:0.##}, spread {scaling.Spread:0.##}, step {scaling.Step}, "
        + $"up after {scaling.UpAfter:0.##} s, down after {scaling.DownAfter:0.##} s, cool-down {scaling.CoolDown:0.##} s, "
        + $"{scaling.MostChanges} changes in ten minutes, {scaling.Schedule?.Length ?? 0} windows");
}
