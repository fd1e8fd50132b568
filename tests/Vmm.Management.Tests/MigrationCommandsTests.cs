using System.Text.Json.Nodes;
using Vmm.Actors.Protocol;
using Vmm.Management.Hmp;
using Vmm.Management.Tests.Qmp;

namespace Vmm.Management.Tests;

/// <summary>Migration by QMP and HMP in the members, words and layout of QEMU 10.0.2, which were recorded from one that migrated.</summary>
public sealed class MigrationCommandsTests : IDisposable
{
    private static readonly MigrationInfo s_active = FakeMigration.Nothing with
    {
        Status = MigrationStatus.Active, TotalMilliseconds = 308, SetupMilliseconds = 8, DowntimeMilliseconds = 300,
        Transferred = 106_772, Remaining = 404_205_568, Total = 448_929_792, ZeroPages = 10_917, NormalPages = 2, Pass = 1,
        BytesPerSecond = 315_173, PrecopyBytes = 106_772,
    };

    private static readonly MigrationInfo s_completed = s_active with
    {
        Status = MigrationStatus.Completed, DowntimeMilliseconds = 8, Remaining = 0, Pass = 3,
    };

    private readonly FakeVm _vm = new();

    public void Dispose() => _vm.DisposeAsync().AsTask().GetAwaiter().GetResult();

    private FakeMigration Migration => _vm.Migration;

    private void Is(params MigrationInfo[] infos)
    {
        Migration.Infos.Clear();
        foreach (MigrationInfo info in infos)
        {
            Migration.Infos.Enqueue(info);
        }
    }

    private async Task<string> Query()
    {
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path);
        return (await client.AskAsync("""{"execute":"query-migrate"}"""))[0]["return"]!.ToJsonString();
    }

    [Fact]
    public async Task Query_tells_of_each_status_what_QEMU_tells()
    {
        Assert.Equal("{}", await Query());
        Is(s_active with { Status = MigrationStatus.Setup });
        Assert.Equal("""{"status":"setup"}""", await Query());
        const string Ram = "\"ram\":{\"transferred\":106772,\"remaining\":404205568,\"total\":448929792,\"duplicate\":10917,"
            + "\"normal\":2,\"normal-bytes\":8192,\"dirty-pages-rate\":0,\"mbps\":2.521384,\"dirty-sync-count\":1,"
            + "\"postcopy-requests\":0,\"page-size\":4096,\"multifd-bytes\":0,\"pages-per-second\":76,\"precopy-bytes\":106772,"
            + "\"downtime-bytes\":0,\"postcopy-bytes\":0,\"dirty-sync-missed-zero-copy\":0}";
        Is(s_active);
        Assert.Equal($$"""{"status":"active",{{Ram}},"total-time":308,"expected-downtime":300,"setup-time":8}""", await Query());
        Is(s_active with { Status = MigrationStatus.Device, ThrottlePercent = 20 });
        Assert.Equal(
            $$"""{"status":"device",{{Ram}},"total-time":308,"expected-downtime":300,"setup-time":8,"cpu-throttle-percentage":20}""",
            await Query());
        Is(s_completed with { Remaining = 404_205_568, Pass = 1 });
        Assert.Equal($$"""{"status":"completed",{{Ram}},"total-time":308,"downtime":8,"setup-time":8}""", await Query());
        Is(s_active with { Status = MigrationStatus.Failed, Problem = "no link" });
        Assert.Equal("""{"status":"failed","error-desc":"no link"}""", await Query());
        Is(s_active with { Status = MigrationStatus.Cancelled });
        Assert.Equal("""{"status":"cancelled"}""", await Query());
        Is(s_active with { Incoming = true, Address = "tcp:127.0.0.1:39121", Status = MigrationStatus.Setup });
        Assert.Equal(
            """{"status":"setup","socket-address":[{"type":"inet","host":"127.0.0.1","port":"39121","ipv4":true}]}""", await Query());
        Is(s_active with { Incoming = true, Address = "tcp:[::1]:5", Status = MigrationStatus.Active });
        Assert.Equal("""{"status":"active","socket-address":[{"type":"inet","host":"::1","port":"5","ipv6":true}]}""", await Query());
        Is(s_active with { Incoming = true, Address = "unix:/tmp/a:b", Status = MigrationStatus.Active });
        Assert.Equal("""{"status":"active","socket-address":[{"type":"unix","path":"/tmp/a:b"}]}""", await Query());
    }

    [Fact]
    public async Task Passes_are_told_by_a_query_of_ours()
    {
        Is(s_completed with { PassPages = [700, 30], PassMilliseconds = [90, 2] });
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path);
        Assert.Equal(
            """[{"pass":1,"pages":700,"milliseconds":90},{"pass":2,"pages":30,"milliseconds":2}]""",
            (await client.AskAsync("""{"execute":"__org.vmm_query-migrate-passes"}"""))[0]["return"]!.ToJsonString());
    }

    [Theory]
    [InlineData("""{"transport":"socket","type":"inet","host":"h","port":"44"}""", "tcp:h:44")]
    [InlineData("""{"transport":"socket","type":"inet","host":"::1","port":"44","ipv4":false}""", "tcp:[::1]:44")]
    [InlineData("""{"transport":"socket","type":"unix","path":"/a:b"}""", "unix:/a:b")]
    [InlineData("""{"transport":"socket","type":"fd","str":"7"}""", "fd:7")]
    [InlineData("""{"transport":"file","filename":"/x","offset":4096}""", "file:/x,offset=4096")]
    [InlineData("""{"transport":"exec","args":["/bin/sh","-c","cat > 'x y'"]}""", "exec:cat > 'x y'")]
    [InlineData("""{"transport":"exec","args":["nc","-U","/it's"]}""", "exec:'nc' '-U' '/it'\\''s'")]
    public async Task Channel_is_the_address_of_the_same_meaning(string address, string uri)
    {
        Migration.Works = true;
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path);
        string channels = $$$"""[{"channel-type":"main","addr":{{{address}}}}]""";
        foreach (string command in (string[])["migrate", "migrate-incoming"])
        {
            JsonNode answer = (await client.AskAsync($$$"""{"execute":"{{{command}}}","arguments":{"channels":{{{channels}}}}}"""))[0];
            Assert.Equal("{}", answer["return"]?.ToJsonString());
        }

        Assert.Equal([new StartMigration(uri, Resume: false), new ReceiveMigration(uri)], Migration.Asked);
    }

    [Theory]
    [InlineData("""[{"channel-type":"cpr","addr":{"transport":"file","filename":"/x","offset":0}}]""", "a channel of type 'cpr'")]
    [InlineData("""[{"channel-type":"main","addr":{"transport":"rdma","host":"h","port":"1"}}]""", "transport 'rdma'")]
    [InlineData("""[{"channel-type":"main","addr":{"transport":"socket","type":"vsock","cid":"1","port":"1"}}]""", "'vsock'")]
    [InlineData("""[{"channel-type":"main","addr":{"transport":"socket","type":"inet","host":"h","port":"1","to":9}}]""", "'to' of")]
    [InlineData("""[{"channel-type":"main","addr":{"transport":"socket","type":"unix","path":"x","abstract":true}}]""", "'abstract'")]
    [InlineData("""[{"channel-type":"main","addr":{"transport":"exec","args":[]}}]""", "the list of arguments of 'exec' is empty")]
    [InlineData(
        """
        [{"channel-type":"main","addr":{"transport":"exec","args":["a"]}},{"channel-type":"main","addr":{"transport":"exec","args":["a"]}}]
        """,
        "more than one channel")]
    public async Task Channel_that_is_not_supported_is_refused_by_name(string channels, string words)
    {
        Migration.Works = true;
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path);
        JsonNode answer = (await client.AskAsync($$$"""{"execute":"migrate","arguments":{"channels":{{{channels.Trim()}}}}}"""))[0];
        Assert.Contains(words, answer["error"]!["desc"]!.ToString(), StringComparison.Ordinal);
        Assert.Empty(Migration.Asked);
    }

    [Fact]
    public async Task Settings_reach_the_coordinator_in_one_message()
    {
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path);
        await client.AskAsync(
            """{"execute":"migrate-set-parameters","arguments":{"downtime-limit":20,"cpu-throttle-tailslow":true,"tls-creds":null}}""");
        SetMigrationParameters set = Assert.IsType<SetMigrationParameters>(Assert.Single(Migration.Asked));
        Assert.Equal([MigrationParameter.DowntimeLimit, MigrationParameter.CpuThrottleTailslow, MigrationParameter.TlsCreds],
            set.Parameters);
        Assert.Equal(["20", "on", ""], set.Values);
        JsonNode parameters = (await client.AskAsync("""{"execute":"query-migrate-parameters"}"""))[0]["return"]!;
        Assert.Equal("""{"downtime-limit":20,"cpu-throttle-tailslow":true,"tls-creds":""}""", new JsonObject(
            new[] { "downtime-limit", "cpu-throttle-tailslow", "tls-creds" }.Select(
                n => KeyValuePair.Create(n, parameters[n]?.DeepClone()))).ToJsonString());
        JsonNode refused = (await client.AskAsync("""{"execute":"migrate-set-parameters","arguments":{"xbzrle-cache-size":4096}}"""))[0];
        Assert.Equal("not supported: the parameter 'xbzrle-cache-size'", refused["error"]!["desc"]!.ToString());
    }

    [Fact]
    public async Task Events_come_only_with_the_capability()
    {
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path);
        string Capability(string state) => $$$"""
            {"execute":"migrate-set-capabilities","arguments":{"capabilities":[{"capability":"events","state":{{{state}}}}]}}
            """;
        void Happen()
        {
            _vm.Server.Publish(new MigrationChanged(MigrationStatus.PreSwitchover));
            _vm.Server.Publish(new MigrationPassed(2));
        }

        Happen();
        await client.AskAsync(Capability("true"));
        Happen();
        Assert.Equal("MIGRATION pre-switchover", Told(await client.ReceiveAsync(), "status"));
        Assert.Equal("MIGRATION_PASS 2", Told(await client.ReceiveAsync(), "pass"));
        await client.AskAsync(Capability("false"));
        Happen();
        Assert.Single(await client.AskAsync("""{"execute":"query-status"}"""));
        static string Told(JsonNode? message, string member) => $"{message!["event"]} {message["data"]![member]}";
    }

    [Fact]
    public async Task Machine_that_waits_for_a_migration_was_not_stopped_and_one_that_was_sent_was()
    {
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path);
        foreach (VmRunState state in (VmRunState[])[VmRunState.InMigrate, VmRunState.Running, VmRunState.FinishMigrate,
            VmRunState.PostMigrate])
        {
            _vm.Server.Publish(new VmStatus(state, ""));
        }

        List<JsonNode> told = await client.AskAsync("""{"execute":"query-name"}""");
        Assert.Equal(["RESUME", "STOP"], told.Where(m => m["event"] != null).Select(m => m["event"]!.ToString()));
    }

    [Fact]
    public async Task Incoming_migration_that_may_fail_is_told_to_the_program()
    {
        Migration.Works = true;
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path);
        Assert.True(_vm.Commands.Vm.ExitsOnFailedMigration);
        await client.AskAsync("""{"execute":"migrate-incoming","arguments":{"uri":"tcp:0:1","exit-on-error":false}}""");
        Assert.False(_vm.Commands.Vm.ExitsOnFailedMigration);
    }

    [Fact]
    public async Task Bytes_are_told_apart_by_where_the_guest_ran()
    {
        MigrationInfo apart = s_completed with { PrecopyBytes = 100_000, PostcopyBytes = 2048 };
        Is(apart);
        Assert.Contains(
            "\"precopy-bytes\":100000,\"downtime-bytes\":4724,\"postcopy-bytes\":2048,", await Query(), StringComparison.Ordinal);
        Is(apart);
        Assert.EndsWith("\nprecopy ram: 97 kbytes\ndowntime ram: 4 kbytes\npostcopy ram: 2 kbytes",
            await new HmpMonitor(_vm.Commands).Execute("info migrate"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Info_migrate_has_QEMUs_layout()
    {
        var monitor = new HmpMonitor(_vm.Commands);
        Assert.Equal("", await monitor.Execute("info migrate"));
        Is(s_active);
        Assert.Equal(
            """
            Migration status: active
            total time: 308 ms
            expected downtime: 300 ms
            setup: 8 ms
            transferred ram: 104 kbytes
            throughput: 2.52 mbps
            remaining ram: 394732 kbytes
            total ram: 438408 kbytes
            duplicate: 10917 pages
            normal: 2 pages
            normal bytes: 8 kbytes
            dirty sync count: 1
            page size: 4 kbytes
            multifd bytes: 0 kbytes
            pages-per-second: 76
            precopy ram: 104 kbytes
            """.ReplaceLineEndings("\n"),
            await monitor.Execute("info migrate"));
        Is(s_active with { Status = MigrationStatus.Failed, Problem = "Connection refused" });
        Assert.Equal("Migration status: failed (Connection refused)\ntotal time: 0 ms", await monitor.Execute("info migrate"));
        Is(FakeMigration.Nothing with { Status = MigrationStatus.Setup, Incoming = true, Address = "tcp:127.0.0.1:39121" });
        Assert.Equal("Migration status: setup\ntotal time: 0 ms\nsocket address: [\n\ttcp:127.0.0.1:39121\n]",
            await monitor.Execute("info migrate"));
    }

    [Fact]
    public async Task Info_migrate_parameters_has_QEMUs_layout()
    {
        var monitor = new HmpMonitor(_vm.Commands);
        await monitor.Execute("migrate_set_parameter max-bandwidth 1.5G");
        await monitor.Execute("migrate_set_parameter avail-switchover-bandwidth 1");
        await monitor.Execute("migrate_set_parameter max-postcopy-bandwidth 5k");
        await monitor.Execute("migrate_set_parameter tls-hostname h");
        Assert.Equal(
            """
            announce-initial: 50 ms
            announce-max: 550 ms
            announce-rounds: 5
            announce-step: 100 ms
            throttle-trigger-threshold: 50
            cpu-throttle-initial: 20
            cpu-throttle-increment: 10
            cpu-throttle-tailslow: off
            max-cpu-throttle: 99
            tls-creds: ''
            tls-hostname: 'h'
            max-bandwidth: 1610612736 bytes/second
            avail-switchover-bandwidth: 1048576 bytes/second
            downtime-limit: 300 ms
            multifd-channels: 2
            multifd-compression: none
            max-postcopy-bandwidth: 5120
            tls-authz: ''
            mode: normal
            direct-io: off
            """.ReplaceLineEndings("\n"),
            await monitor.Execute("info migrate_parameters"));
        Assert.Equal(["migrate_set_capability", "migrate_set_parameter"], await monitor.Complete("migrate_set"));
        Assert.Contains("downtime-limit", await monitor.Complete("migrate_set_parameter d"));
        Assert.Contains("auto-converge", await monitor.Complete("migrate_set_capability a"));
    }

    [Fact]
    public async Task Info_dirty_rate_has_QEMUs_layout()
    {
        var monitor = new HmpMonitor(_vm.Commands);
        Assert.Equal("Status: unstarted\nStart Time: 0 (ms)\nPeriod: 0 (sec)\nMode: dirty-bitmap\nDirty rate: (not ready)",
            await monitor.Execute("info dirty_rate"));
        Assert.Equal(
            "Starting dirty rate measurement with period 2 seconds\n[Please use 'info dirty_rate' to check results]",
            await monitor.Execute("calc_dirty_rate 2"));
        Assert.Equal(new MeasureDirtyRate(2000), Migration.Asked[^1]);
        Migration.Rate = new DirtyRate(Measuring: false, 1_795_887_036, 2000, 100 << 20);
        Assert.Equal(
            "Status: measured\nStart Time: 1795887036 (ms)\nPeriod: 2 (sec)\nMode: dirty-bitmap\nDirty rate: 100 (MB/s)",
            await monitor.Execute("info dirty_rate"));
    }

    [Fact]
    public async Task Migrate_waits_at_a_monitor_that_shows_how_far_it_is()
    {
        Migration.Works = true;
        var shown = new List<string>();
        var monitor = new HmpMonitor(_vm.Commands, new HmpContext { Progress = shown.Add });
        Is(s_active with { Status = MigrationStatus.Setup, Total = 0 }, s_active, s_completed);
        Assert.Equal("", await monitor.Execute("migrate tcp:h:1"));
        Assert.Equal(["migration: setup", "migration: active, 9 % of 428 MiB, pass 1, 0 MB/s, 0.3 s", ""], shown);
        Is(s_active, s_active with { Status = MigrationStatus.Failed, Problem = "the link was lost" });
        Assert.Equal("Error: the link was lost", await monitor.Execute("migrate tcp:h:1"));
        Is(s_active, s_active with { Status = MigrationStatus.PreSwitchover });
        Assert.Equal("", await monitor.Execute("migrate -r tcp:h:1"));
        Assert.Equal(new StartMigration("tcp:h:1", Resume: true), Migration.Asked[^1]);
        Is(s_active);
        Assert.Equal("", await monitor.Execute("migrate -d tcp:h:1"));
        Assert.Equal("terminal does not allow synchronous migration, continuing detached",
            await new HmpMonitor(_vm.Commands).Execute("migrate tcp:h:1"));
    }
}
