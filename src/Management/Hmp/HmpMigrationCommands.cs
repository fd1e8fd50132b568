using System.Globalization;
using System.Text;
using Vmm.Actors.Migration;
using Vmm.Actors.Protocol;
using Vmm.Management.Commands;
using Vmm.Management.Qapi;
using Vmm.Management.Text;

namespace Vmm.Management.Hmp;

/// <summary>The commands of live migration for people, in the words and the layout of QEMU (migration/migration-hmp-cmds.c).</summary>
internal static class HmpMigrationCommands
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(200);

    // The order of `info migrate_parameters`.
    private static readonly MigrationParameter[] s_listed =
    [
        MigrationParameter.AnnounceInitial, MigrationParameter.AnnounceMax, MigrationParameter.AnnounceRounds,
        MigrationParameter.AnnounceStep, MigrationParameter.ThrottleTriggerThreshold, MigrationParameter.CpuThrottleInitial,
        MigrationParameter.CpuThrottleIncrement, MigrationParameter.CpuThrottleTailslow, MigrationParameter.MaxCpuThrottle,
        MigrationParameter.TlsCreds, MigrationParameter.TlsHostname, MigrationParameter.MaxBandwidth,
        MigrationParameter.AvailSwitchoverBandwidth, MigrationParameter.DowntimeLimit, MigrationParameter.MultifdChannels,
        MigrationParameter.MultifdCompression, MigrationParameter.MaxPostcopyBandwidth, MigrationParameter.TlsAuthz,
        MigrationParameter.Mode, MigrationParameter.DirectIo,
    ];

    public static void Register(HmpCommandTable table, MigrationCommands migration)
    {
        var uri = new HmpParameter("uri", HmpParameterKind.Text);
        var detach = new HmpParameter("-d", HmpParameterKind.Flag);
        var resume = new HmpParameter("-r", HmpParameterKind.Flag);
        table.Add(
            "migrate", "[-d] [-r] uri",
            "migrate to URI (using -d to not wait for completion)\n\t\t\t -r to resume a paused postcopy migration", [detach, resume, uri],
            async (arguments, context) =>
            {
                await migration.Start(arguments.Text(uri.Name), arguments.Has(resume.Name)).ConfigureAwait(false);
                return arguments.Has(detach.Name) ? "" : await Wait(migration, context).ConfigureAwait(false);
            });
        table.Add("migrate_cancel", "cancel the current VM migration", _ => HmpCommands.Silently(migration.Cancel()));
        table.Add("migrate_incoming", "uri", "Continue an incoming migration from an -incoming defer", [uri],
            (arguments, _) => HmpCommands.Silently(migration.Receive(arguments.Text(uri.Name))));
        table.Add("migrate_recover", "uri", "Continue a paused incoming postcopy migration", [uri],
            (arguments, _) => HmpCommands.Silently(migration.Recover(arguments.Text(uri.Name))));
        table.Add("migrate_pause", "Pause an ongoing migration (postcopy-only)", _ => HmpCommands.Silently(migration.Pause()));
        table.Add("migrate_start_postcopy",
            "Followup to a migration command to switch the migration to postcopy mode. The postcopy-ram capability must be set on both "
                + "source and destination before the original migration command .",
            _ => HmpCommands.Silently(migration.StartPostcopy()));
        table.Add("migrate_continue", "state", "Continue migration from the given paused state", [new("state", HmpParameterKind.Text)],
            (arguments, _) => HmpCommands.Silently(
                migration.Continue(Named<MigrationStatus>(arguments.Text("state"), MigrationParameterTable.NameOf))));
        RegisterSettings(table, migration);
        RegisterDirtyRate(table, migration);
    }

    public static void RegisterInfo(HmpCommandTable table, MigrationCommands migration)
    {
        table.Add("migrate", "show migration status", async _ =>
        {
            string[] blockers = await migration.Blockers().ConfigureAwait(false);
            string status = Describe(await migration.Info().ConfigureAwait(false));
            return blockers.Length == 0 ? status
                : string.Join("\n  ", blockers.Prepend("Outgoing migration blocked:")) + (status.Length > 0 ? "\n" : "") + status;
        });
        table.Add("migrate_capabilities", "show current migration capabilities", async _ => string.Join('\n',
            (await migration.QueryCapabilities().ConfigureAwait(false)).Select(
                c => $"{MigrationParameterTable.NameOf(c.Capability)}: {(c.State ? "on" : "off")}")));
        table.Add("migrate_parameters", "show current migration parameters", async _ =>
        {
            string[] values = await migration.GetParameters().ConfigureAwait(false);
            return string.Join('\n', s_listed.Select(p => Describe(MigrationParameterTable.Rows[(int)p], values[(int)p])));
        });
        table.Add("dirty_rate", "show dirty rate information", async _ =>
        {
            DirtyRateInfo rate = await migration.QueryDirtyRate(TimeUnit.Second).ConfigureAwait(false);
            string measured = rate.DirtyRate is { } megabytes
                ? string.Create(CultureInfo.InvariantCulture, $"{megabytes} (MB/s)") : "(not ready)";
            return string.Create(CultureInfo.InvariantCulture,
                $"Status: {rate.Status.ToString().ToLowerInvariant()}\nStart Time: {rate.StartTime} (ms)\nPeriod: {rate.CalcTime} (sec)\n")
                + $"Mode: dirty-bitmap\nDirty rate: {measured}";
        });
    }

    private static void RegisterSettings(HmpCommandTable table, MigrationCommands migration)
    {
        table.Add("migrate_set_capability", "capability state", "Enable/Disable the usage of a capability for migration",
            [new("capability", HmpParameterKind.Text), new("state", HmpParameterKind.Text)],
            (arguments, _) =>
            {
                bool on = arguments.Text("state") switch
                {
                    "on" => true,
                    "off" => false,
                    _ => throw new HmpException("Expected 'on' or 'off'\nTry \"help migrate_set_capability\" for more information"),
                };
                return HmpCommands.Silently(migration.SetCapabilities(new MigrationCapabilityStatus(
                    Named<MigrationCapability>(arguments.Text("capability"), MigrationParameterTable.NameOf), on)));
            },
            () => Task.FromResult(Enum.GetValues<MigrationCapability>().Select(c => MigrationParameterTable.NameOf(c))));
        table.Add("migrate_set_parameter", "parameter value", "Set the parameter for migration",
            [new("parameter", HmpParameterKind.Text), new("value", HmpParameterKind.Text)],
            (arguments, _) =>
            {
                MigrationParameter parameter = MigrationCommands.ParameterOf(arguments.Text("parameter"));
                return HmpCommands.Silently(migration.SetParameter(parameter, ValueOf(parameter, arguments.Text("value"))));
            },
            () => Task.FromResult(MigrationParameterTable.Rows.Select(r => MigrationParameterTable.NameOf(r.Parameter))));
    }

    private static void RegisterDirtyRate(HmpCommandTable table, MigrationCommands migration) => table.Add(
        "calc_dirty_rate", "[-r] [-b] second [sample_pages_per_GB]",
        "start a round of guest dirty rate measurement (using -r to\n\t\t\t specify dirty ring as the method of calculation and\n"
            + "\t\t\t -b to specify dirty bitmap as method of calculation)",
        [
            new("-r", HmpParameterKind.Flag), new("-b", HmpParameterKind.Flag), new("second", HmpParameterKind.Expression),
            new("pages", HmpParameterKind.Expression, Optional: true),
        ],
        async (arguments, _) =>
        {
            long seconds = arguments.Number("second");
            if (seconds == 0)
            {
                return "Incorrect period length specified!";
            }

            if (arguments.Has("-r") && arguments.Has("-b"))
            {
                return "Either dirty ring or dirty bitmap can be specified!";
            }

            await migration.MeasureDirtyRate(new CalcDirtyRateArguments(seconds, TimeUnit.Second, arguments.NumberOrNull("pages"),
                arguments.Has("-r") ? DirtyRateMeasureMode.DirtyRing
                    : arguments.Has("-b") ? DirtyRateMeasureMode.DirtyBitmap
                    : DirtyRateMeasureMode.PageSampling)).ConfigureAwait(false);
            return $"Starting dirty rate measurement with period {seconds} seconds\n[Please use 'info dirty_rate' to check results]";
        });

    // Until the migration has ended, or goes on only when somebody says so.
    private static async Task<string> Wait(MigrationCommands migration, HmpContext context)
    {
        if (context.Progress is not { } show)
        {
            return "terminal does not allow synchronous migration, continuing detached";
        }

        while (true)
        {
            MigrationInfo info = await migration.Info().ConfigureAwait(false);
            switch (info.Status)
            {
                case MigrationStatus.None or MigrationStatus.Completed or MigrationStatus.Cancelled or MigrationStatus.PreSwitchover:
                    show("");
                    return "";
                case MigrationStatus.Failed or MigrationStatus.PostcopyPaused:
                    show("");
                    throw new QapiException(info.Problem);
                default:
                    show(Progress(info));
                    await Task.Delay(s_look).ConfigureAwait(false);
                    break;
            }
        }
    }

    private static string Progress(MigrationInfo info)
    {
        string status = MigrationParameterTable.NameOf(info.Status);
        return info.Total == 0 ? $"migration: {status}" : string.Create(CultureInfo.InvariantCulture,
            $"migration: {status}, {100 * (info.Total - info.Remaining) / info.Total} % of {info.Total >> 20} MiB, pass {info.Pass}, "
                + $"{info.BytesPerSecond / 1e6:F0} MB/s, {info.TotalMilliseconds / 1000.0:F1} s");
    }

    private static string Describe(MigrationInfo info)
    {
        if (info.Status == MigrationStatus.None && info.Address.Length == 0)
        {
            return "";
        }

        var text = new StringBuilder($"Migration status: {MigrationParameterTable.NameOf(info.Status)}");
        text.Append(info.Problem.Length > 0 ? $" ({info.Problem})" : "");
        void Line(string name, long value, string unit = "") =>
            text.Append(CultureInfo.InvariantCulture, $"\n{name}: {value}{(unit.Length > 0 ? " " : "")}{unit}");
        bool counts = !info.Incoming && MigrationCommands.HasCounts(info.Status);
        Line("total time", counts ? info.TotalMilliseconds : 0, "ms");
        if (counts)
        {
            Line(info.Status == MigrationStatus.Completed ? "downtime" : "expected downtime", info.DowntimeMilliseconds, "ms");
            Line("setup", info.SetupMilliseconds, "ms");
            Line("transferred ram", info.Transferred >> 10, "kbytes");
            text.Append(CultureInfo.InvariantCulture, $"\nthroughput: {info.BytesPerSecond * 8 / 1e6:F2} mbps");
            Line("remaining ram", info.Remaining >> 10, "kbytes");
            Line("total ram", info.Total >> 10, "kbytes");
            Line("duplicate", info.ZeroPages, "pages");
            Line("normal", info.NormalPages, "pages");
            Line("normal bytes", info.NormalPages * MigrationCommands.PageSize >> 10, "kbytes");
            Line("dirty sync count", info.Pass);
            Line("page size", MigrationCommands.PageSize >> 10, "kbytes");
            Line("multifd bytes", info.MultifdBytes >> 10, "kbytes");
            Line("pages-per-second", info.BytesPerSecond / MigrationCommands.PageSize);
            if (info.DirtyPagesPerSecond > 0)
            {
                Line("dirty pages rate", info.DirtyPagesPerSecond, "pages");
            }

            if (info.PostcopyRequests > 0)
            {
                Line("postcopy request count", info.PostcopyRequests);
            }

            foreach ((string phase, long bytes) in new[]
            {
                ("precopy", info.PrecopyBytes), ("downtime", info.DowntimeBytes), ("postcopy", info.PostcopyBytes),
            })
            {
                if (bytes > 0)
                {
                    Line($"{phase} ram", bytes >> 10, "kbytes");
                }
            }

            if (info.ThrottlePercent > 0 && info.Status != MigrationStatus.Completed)
            {
                Line("cpu throttle percentage", info.ThrottlePercent);
            }
        }

        text.Append(info.Address.Length > 0 ? $"\nsocket address: [\n\t{info.Address}\n]" : "");
        return text.ToString();
    }

    private static string Describe(MigrationParameterRow row, string value)
    {
        string shown = row.Parameter is MigrationParameter.TlsCreds or MigrationParameter.TlsHostname or MigrationParameter.TlsAuthz
            ? $"'{value}'" : value;
        return $"{MigrationParameterTable.NameOf(row.Parameter)}: {shown}{(row.Unit.Length > 0 ? " " : "")}{row.Unit}";
    }

    private static T Named<T>(string text, Func<T, string> nameOf)
        where T : struct, Enum
    {
        T[] found = [.. Enum.GetValues<T>().Where(v => nameOf(v) == text)];
        return found.Length > 0 ? found[0] : throw new QapiException($"invalid parameter value: {text}");
    }

    // A value of the command line as the protocol has it. A bandwidth without a unit counts MiB, as in QEMU.
    private static string ValueOf(MigrationParameter parameter, string text)
    {
        MigrationParameterRow row = MigrationParameterTable.Rows[(int)parameter];
        if (row.Words?.Contains("off") == true)
        {
            return text switch { "yes" or "true" or "y" => "on", "no" or "false" or "n" => "off", _ => text };
        }

        if (row.Most == null)
        {
            return text;
        }

        bool isBandwidth = parameter is MigrationParameter.MaxBandwidth or MigrationParameter.AvailSwitchoverBandwidth;
        return QemuNumber.TryParseSize(text, isBandwidth ? 'M' : 'B', out long size) ? size.ToString(CultureInfo.InvariantCulture)
            : isBandwidth ? throw new QapiException($"Invalid size {text}")
            : text;
    }
}
