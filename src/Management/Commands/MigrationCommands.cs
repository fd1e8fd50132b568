using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Vmm.Actors.Migration;
using Vmm.Actors.Protocol;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

/// <summary>Live migration (QEMU, qapi/migration.json).</summary>
public sealed class MigrationCommands(MonitorVm vm)
{
    /// <summary>The bytes of a page in what is told of a migration.</summary>
    public const int PageSize = 4096;

    /// <summary>The name of a query that QEMU does not have, with the prefix that QAPI asks for.</summary>
    public const string QueryPassesName = "__org.vmm_query-migrate-passes";

    private static readonly MigrationParameter[] s_parameters = Enum.GetValues<MigrationParameter>();

    public void Register(QapiCommandTable table)
    {
        table.AddOpen<MigrateArguments>("migrate", Migrate);
        table.Add("migrate_cancel", Cancel);
        table.AddOpen<MigrateIncomingArguments>("migrate-incoming", Incoming);
        table.Add<MigrateContinueArguments>("migrate-continue", a => Continue(a.State));
        table.Add("migrate-pause", Pause, outOfBand: true);
        table.Add<MigrateRecoverArguments>("migrate-recover", a => Recover(a.Uri), outOfBand: true);
        table.Add("migrate-start-postcopy", StartPostcopy);
        table.AddQuery("query-migrate", typeof(MigrationStatusInfo), Query);
        table.AddQuery(QueryPassesName, QueryPasses);
        table.Add<MigrationCapabilityArguments>("migrate-set-capabilities", a => SetCapabilities(a.Capabilities));
        table.AddQuery("query-migrate-capabilities", QueryCapabilities);
        table.AddOpen<MigrateSetParameters>("migrate-set-parameters", SetParameters);
        table.AddQuery("query-migrate-parameters", typeof(MigrationParametersInfo), QueryParameters);
        table.Add<CalcDirtyRateArguments>("calc-dirty-rate", MeasureDirtyRate);
        table.AddQuery<QueryDirtyRateArguments, DirtyRateInfo>("query-dirty-rate", a => QueryDirtyRate(a.CalcTimeUnit ?? TimeUnit.Second));
    }

    /// <summary>Begins to send the machine to an address.</summary>
    /// <param name="resume">Go on with a postcopy migration whose link was lost.</param>
    /// <exception cref="QapiException">It cannot begin.</exception>
    public Task Start(string uri, bool resume) => vm.Ask<MigrationStarted>(new StartMigration(uri, resume));

    /// <summary>Begins to receive a machine.</summary>
    /// <param name="exitOnError">Whether the program ends if that fails.</param>
    /// <exception cref="QapiException">It cannot begin.</exception>
    public Task Receive(string uri, bool exitOnError = true)
    {
        vm.ExitsOnFailedMigration = exitOnError;
        return vm.Ask<MigrationStarted>(new ReceiveMigration(uri));
    }

    public Task Cancel() => vm.Ask<MigrationCommandDone>(new CancelMigration());

    public Task Continue(MigrationStatus state) => vm.Ask<MigrationCommandDone>(new ContinueMigration(state));

    public Task Pause() => vm.Ask<MigrationCommandDone>(new PauseMigration());

    public Task Recover(string uri) => vm.Ask<MigrationStarted>(new RecoverMigration(uri));

    public Task StartPostcopy() => vm.Ask<MigrationCommandDone>(new StartPostcopy());

    public Task<MigrationInfo> Info() => vm.Ask<MigrationInfo>(new GetMigration());

    /// <summary>Why the VM can be neither saved nor moved now; none if it can.</summary>
    public async Task<string[]> Blockers() => (await vm.Ask<MoveBlockers>(new GetMoveBlockers()).ConfigureAwait(false)).Reasons;

    public Task SetCapabilities(params MigrationCapabilityStatus[] wanted) => vm.Ask<MigrationCommandDone>(
        new SetMigrationCapabilities([.. wanted.Select(w => w.Capability)], [.. wanted.Select(w => w.State)]));

    /// <summary>All capabilities, in QEMU's order.</summary>
    public async Task<MigrationCapabilityStatus[]> QueryCapabilities()
    {
        bool[] on = (await vm.Ask<MigrationCapabilities>(new GetMigrationCapabilities()).ConfigureAwait(false)).On;
        return [.. Enum.GetValues<MigrationCapability>().Select(c => new MigrationCapabilityStatus(c, on[(int)c]))];
    }

    /// <summary>Sets one parameter.</summary>
    /// <param name="value">A number in decimal, or text.</param>
    public Task SetParameter(MigrationParameter parameter, string value) =>
        vm.Ask<MigrationCommandDone>(new SetMigrationParameters([parameter], [value]));

    /// <summary>The value of each parameter, by its number.</summary>
    public async Task<string[]> GetParameters() =>
        (await vm.Ask<MigrationParameters>(new GetMigrationParameters()).ConfigureAwait(false)).Values;

    /// <summary>The parameter of a name.</summary>
    /// <exception cref="QapiException">There is none, or it is one of QEMU's that is not supported.</exception>
    public static MigrationParameter ParameterOf(string name)
    {
        int index = Array.FindIndex(s_parameters, p => MigrationParameterTable.NameOf(p) == name);
        return index >= 0 ? s_parameters[index]
            : throw new QapiException(QapiJson.MembersOf(typeof(MigrateSetParameters)).Any(m => m.Name == name)
                ? $"not supported: the parameter '{name}'"
                : $"invalid parameter value: {name}");
    }

    /// <summary>Begins to measure how fast the guest writes RAM.</summary>
    /// <param name="wanted">Whatever the mode, the pages that are written are counted: it is what QEMU's dirty-bitmap does.</param>
    /// <exception cref="QapiException">It cannot be.</exception>
    public Task MeasureDirtyRate(CalcDirtyRateArguments wanted)
    {
        const long Shortest = 50, Longest = 60_000, FewestSamples = 128, MostSamples = 16384;
        long unit = wanted.CalcTimeUnit == TimeUnit.Millisecond ? 1 : 1000;
        long milliseconds = wanted.CalcTime is >= 0 and <= Longest ? wanted.CalcTime * unit : -1;
        return milliseconds is < Shortest or > Longest
                ? throw new QapiException($"Calculation time is out of range [{Shortest}ms, {Longest}ms].")
            : wanted.SamplePages != null && (wanted.Mode ?? DirtyRateMeasureMode.PageSampling) != DirtyRateMeasureMode.PageSampling
                ? throw new QapiException("sample-pages is used only in page-sampling mode")
            : wanted.SamplePages is < FewestSamples or > MostSamples
                ? throw new QapiException($"sample-pages is out of range[{FewestSamples}, {MostSamples}].")
            : wanted.Mode == DirtyRateMeasureMode.DirtyRing
                ? throw new QapiException("mode dirty-ring is not enabled, use other method instead.")
            : vm.Ask<MigrationCommandDone>(new MeasureDirtyRate((int)milliseconds));
    }

    /// <summary>The last measurement.</summary>
    public async Task<DirtyRateInfo> QueryDirtyRate(TimeUnit unit)
    {
        DirtyRate rate = await vm.Ask<DirtyRate>(new GetDirtyRate()).ConfigureAwait(false);
        DirtyRateStatus status = rate.Measuring ? DirtyRateStatus.Measuring
            : rate.StartedAt == 0 ? DirtyRateStatus.Unstarted
            : DirtyRateStatus.Measured;
        return new DirtyRateInfo(
            status == DirtyRateStatus.Measured ? rate.BytesPerSecond >> 20 : null,
            status,
            rate.StartedAt,
            unit == TimeUnit.Millisecond ? rate.Milliseconds : rate.Milliseconds / 1000,
            unit,
            SamplePages: 0,
            DirtyRateMeasureMode.DirtyBitmap);
    }

    // What each pass over the RAM has sent, in their order.
    private async Task<MigrationPassInfo[]> QueryPasses()
    {
        MigrationInfo info = await Info().ConfigureAwait(false);
        return [.. info.PassPages.Zip(info.PassMilliseconds).Select((p, at) => new MigrationPassInfo(at + 1, p.First, p.Second))];
    }

    private Task Migrate(JsonObject arguments)
    {
        bool resume = QapiInput.Read<MigrateArguments>(arguments).Resume == true;
        return Start(MigrationChannels.AddressOf(arguments), resume);
    }

    private Task Incoming(JsonObject arguments)
    {
        bool exitOnError = QapiInput.Read<MigrateIncomingArguments>(arguments).ExitOnError != false;
        return Receive(MigrationChannels.AddressOf(arguments), exitOnError);
    }

    private async Task<JsonNode> Query()
    {
        MigrationInfo info = await Info().ConfigureAwait(false);
        string[] blockers = await Blockers().ConfigureAwait(false);
        MigrationStatusInfo status = Describe(info) with { BlockedReasons = blockers.Length == 0 ? null : blockers };
        JsonObject answer = QapiJson.Write(status)!.AsObject();
        if (MigrationChannels.SocketOf(info.Address) is { } socket)
        {
            answer["socket-address"] = new JsonArray(socket);
        }

        return answer;
    }

    // QEMU tells the counts of a sender only, and only while it works or when it has completed.
    private static MigrationStatusInfo Describe(MigrationInfo info)
    {
        string? problem = info.Problem.Length == 0 ? null : info.Problem;
        bool counts = !info.Incoming && HasCounts(info.Status);
        if (!counts)
        {
            return new MigrationStatusInfo(info.Status == MigrationStatus.None ? null : info.Status, ErrorDesc: problem);
        }

        bool ended = info.Status == MigrationStatus.Completed;
        return new MigrationStatusInfo(
            info.Status,
            RamOf(info),
            TotalTime: info.TotalMilliseconds,
            ExpectedDowntime: ended ? null : info.DowntimeMilliseconds,
            Downtime: ended ? info.DowntimeMilliseconds : null,
            SetupTime: info.SetupMilliseconds,
            CpuThrottlePercentage: info.ThrottlePercent == 0 || ended ? null : info.ThrottlePercent,
            ErrorDesc: problem);
    }

    /// <summary>Whether the counts of a sender mean something in this status.</summary>
    public static bool HasCounts(MigrationStatus status) => status is not (
        MigrationStatus.None or MigrationStatus.Setup or MigrationStatus.Cancelled or MigrationStatus.Failed);

    private static MigrationRamStats RamOf(MigrationInfo info) => new(
        info.Transferred,
        info.Remaining,
        info.Total,
        info.ZeroPages,
        info.NormalPages,
        info.NormalPages * PageSize,
        info.DirtyPagesPerSecond,
        info.BytesPerSecond * 8 / 1e6,
        info.Pass,
        info.PostcopyRequests,
        PageSize,
        info.MultifdBytes,
        info.BytesPerSecond / PageSize,
        info.PrecopyBytes,
        info.DowntimeBytes,
        info.PostcopyBytes,
        DirtySyncMissedZeroCopy: 0);

    private Task SetParameters(JsonObject arguments)
    {
        QapiInput.Read<MigrateSetParameters>(arguments);
        (MigrationParameter, string)[] wanted = [.. arguments.Select(a => (ParameterOf(a.Key), TextOf(a.Value)))];
        return vm.Ask<MigrationCommandDone>(
            new SetMigrationParameters([.. wanted.Select(w => w.Item1)], [.. wanted.Select(w => w.Item2)]));
    }

    private static string TextOf(JsonNode? value) => value?.GetValueKind() switch
    {
        null or JsonValueKind.Null => "",
        JsonValueKind.String => value.GetValue<string>(),
        JsonValueKind.True => "on",
        JsonValueKind.False => "off",
        _ => value.ToJsonString(),
    };

    private async Task<JsonNode> QueryParameters()
    {
        string[] values = await GetParameters().ConfigureAwait(false);
        var answer = new JsonObject();
        foreach (MigrationParameterRow row in MigrationParameterTable.Rows)
        {
            answer[MigrationParameterTable.NameOf(row.Parameter)] = ValueOf(row, values[(int)row.Parameter]);
        }

        return answer;
    }

    private static JsonValue ValueOf(MigrationParameterRow row, string value) =>
        row.Most != null ? JsonValue.Create(long.Parse(value, CultureInfo.InvariantCulture))
        : row.Words?.Contains("off") == true ? JsonValue.Create(value == "on")
        : JsonValue.Create(value);
}
