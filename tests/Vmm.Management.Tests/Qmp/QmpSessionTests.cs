using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Vmm.Actors.Protocol;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Commands;
using Vmm.Management.Json;
using Vmm.Management.Qmp;

namespace Vmm.Management.Tests.Qmp;

/// <summary>Clients of the QMP server: several at once, slow ones, and those that mean no good.</summary>
public sealed class QmpSessionTests : IDisposable
{
    private readonly FakeVm _vm = new();

    public void Dispose() => _vm.DisposeAsync().AsTask().GetAwaiter().GetResult();

    [Fact]
    public async Task Query_pci_has_bridges_and_what_is_behind_them()
    {
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path);
        JsonNode answer = Assert.Single(await client.AskAsync("""{"execute":"query-pci"}"""))["return"]!;
        Assert.True(
            JsonNode.DeepEquals(
                JsonNode.Parse(
                    """
                    [{"bus": 0, "devices": [
                      {"bus": 0, "slot": 0, "function": 0, "class_info": {"desc": "Host bridge", "class": 1536},
                       "id": {"device": 8, "vendor": 6966, "subsystem": 4352, "subsystem-vendor": 6900},
                       "irq_pin": 0, "qdev_id": "", "regions": []},
                      {"bus": 0, "slot": 1, "function": 0, "class_info": {"desc": "PCI bridge", "class": 1540},
                       "id": {"device": 12, "vendor": 6966}, "irq": 35, "irq_pin": 1, "qdev_id": "rp1",
                       "pci_bridge": {
                         "bus": {"number": 0, "secondary": 1, "subordinate": 1, "io_range": {"base": 4096, "limit": 12287},
                                 "memory_range": {"base": 268435456, "limit": 270532607},
                                 "prefetchable_range": {"base": 549755813888, "limit": 554051829759}},
                         "devices": [
                           {"bus": 1, "slot": 0, "function": 0, "class_info": {"class": 255},
                            "id": {"device": 4164, "vendor": 6900, "subsystem": 4352, "subsystem-vendor": 6900},
                            "irq_pin": 0, "qdev_id": "",
                            "regions": [{"bar": 4, "type": "memory", "address": 549755813888, "size": 16384, "prefetch": true,
                                         "mem_type_64": true}]}]},
                       "regions": [{"bar": 0, "type": "memory", "address": 269484032, "size": 4096, "prefetch": false,
                                    "mem_type_64": false}]}]}]
                    """),
                answer),
            answer.ToJsonString());
    }

    [Fact]
    public async Task Events_go_to_every_client_that_has_negotiated()
    {
        using QmpTestClient first = await QmpTestClient.NegotiateAsync(_vm.Path);
        using QmpTestClient second = await QmpTestClient.NegotiateAsync(_vm.Path);
        using QmpTestClient silent = await QmpTestClient.ConnectAsync(_vm.Path);
        Assert.NotNull((await silent.ReceiveAsync())!["QMP"]);
        long before = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        _vm.Server.Publish(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));
        foreach (QmpTestClient client in new[] { first, second })
        {
            JsonNode deleted = (await client.ReceiveAsync())!;
            Assert.Equal("DEVICE_DELETED", deleted["event"]!.ToString());
            Assert.Equal("""{"device":"core4","path":"/machine/peripheral/core4"}""", deleted["data"]!.ToJsonString());
            Assert.InRange((long)deleted["timestamp"]!["seconds"]!, before, DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 1);
            Assert.InRange((long)deleted["timestamp"]!["microseconds"]!, 0, 999_999);
            Assert.Equal(VmEvents.HotplugOutcomeName, (await client.ReceiveAsync())!["event"]!.ToString());
        }

        silent.Send("""{"execute":"qmp_capabilities"}""");
        Assert.NotNull((await silent.ReceiveAsync())!["return"]);
    }

    [Theory]
    [InlineData("", VmRunState.Prelaunch)]
    [InlineData("RESUME", VmRunState.Prelaunch, VmRunState.Running, VmRunState.Running)]
    [InlineData("RESUME STOP RESUME", VmRunState.Running, VmRunState.Paused, VmRunState.Paused, VmRunState.Running)]
    [InlineData("RESUME", VmRunState.Running, VmRunState.Shutdown)]
    [InlineData("RESUME STOP", VmRunState.Running, VmRunState.InternalError)]
    [InlineData("STOP", VmRunState.Paused)]
    public void Changes_of_the_run_state_are_events(string events, params VmRunState[] states)
    {
        var translation = new VmEvents();
        Assert.Equal(events, string.Join(' ', states.SelectMany(s => translation.Of(new VmStatus(s, ""))).Select(e => e.Name)));
    }

    [Theory]
    [InlineData(HotplugOperation.Plug, HotplugOutcomeKind.Done, 0, "plug", "done", null)]
    [InlineData(HotplugOperation.Enable, HotplugOutcomeKind.Done, 0, "enable", "done", null)]
    [InlineData(HotplugOperation.Disable, HotplugOutcomeKind.Refused, 0x81, "disable", "refused", null)]
    [InlineData(HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0, "unplug", "done", "DEVICE_DELETED")]
    [InlineData(HotplugOperation.Unplug, HotplugOutcomeKind.Refused, 0x81, "unplug", "refused", "DEVICE_UNPLUG_GUEST_ERROR")]
    [InlineData(HotplugOperation.Plug, HotplugOutcomeKind.TimedOut, 0, "plug", "timed-out", null)]
    [InlineData(HotplugOperation.Unplug, HotplugOutcomeKind.Cancelled, 0, "unplug", "cancelled", null)]
    public async Task Each_outcome_of_a_request_is_one_event_of_ours(HotplugOperation requested, HotplugOutcomeKind kind, int status,
        string operation, string result, string? before)
    {
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path);
        _vm.Server.Publish(new HotplugOutcome("core4", 4, requested, kind, status));
        if (before != null)
        {
            Assert.Equal(before, (await client.ReceiveAsync())!["event"]!.ToString());
        }

        JsonNode outcome = (await client.ReceiveAsync())!;
        Assert.Equal(VmEvents.HotplugOutcomeName, outcome["event"]!.ToString());
        Assert.Equal(operation, outcome["data"]!["operation"]!.ToString());
        Assert.Equal(result, outcome["data"]!["result"]!.ToString());
        Assert.Equal(status == 0 ? null : status, (int?)outcome["data"]!["ost-status"]);
        Assert.Empty(await client.AskAsync(""));
    }

    [Fact]
    public async Task Command_out_of_band_is_answered_while_another_waits()
    {
        var gate = new TaskCompletionSource();
        _vm.Gate = gate.Task;
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path, outOfBand: true);
        client.Send("""{"execute":"query-cpus-fast","id":1}{"execute":"query-status","id":2}{"exec-oob":"query-yank","id":"now"}""");
        Assert.Equal("now", (await client.ReceiveAsync())!["id"]!.ToString());
        gate.SetResult();
        Assert.Equal(1, (int)(await client.ReceiveAsync())!["id"]!);
        Assert.Equal(2, (int)(await client.ReceiveAsync())!["id"]!);
    }

    [Fact]
    public async Task Yank_ends_the_connections_of_a_socket()
    {
        using QmpTestClient hanging = await QmpTestClient.NegotiateAsync(_vm.Path);
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path, outOfBand: true);
        client.Send("""{"exec-oob":"yank","arguments":{"instances":[{"type":"chardev","id":"compat_monitor0"}]}}""");
        Assert.Null(await hanging.ReceiveAsync());
        using QmpTestClient again = await QmpTestClient.NegotiateAsync(_vm.Path);
    }

    [Fact]
    public async Task Yank_ends_the_link_of_the_migration_under_way_and_of_no_other()
    {
        const string Yank = """{"execute":"yank","arguments":{"instances":[{"type":"migration"},{"type":"migration"}]}}""";
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path);
        JsonNode refused = Assert.Single(await client.AskAsync(Yank));
        Assert.Equal("Instance not found", refused["error"]!["desc"]!.ToString());
        Assert.Equal(
            ["chardev"], Assert.Single(await client.AskAsync("""{"execute":"query-yank"}"""))["return"]!.AsArray()
                .Select(i => i!["type"]!.ToString()));
        Assert.Empty(_vm.Migration.Asked);

        _vm.Migration.Infos.Clear();
        _vm.Migration.Infos.Enqueue(FakeMigration.Nothing with { Status = MigrationStatus.Active });
        Assert.Equal(
            ["chardev", "migration"], Assert.Single(await client.AskAsync("""{"execute":"query-yank"}"""))["return"]!.AsArray()
                .Select(i => i!["type"]!.ToString()));
        Assert.NotNull(Assert.Single(await client.AskAsync(Yank))["return"]);
        Assert.IsType<YankMigration>(Assert.Single(_vm.Migration.Asked));
    }

    [Fact]
    public async Task Without_the_capability_exec_oob_is_not_known()
    {
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path);
        JsonNode answer = Assert.Single(await client.AskAsync("""{"exec-oob":"query-yank"}"""));
        Assert.Equal("QMP input member 'exec-oob' is unexpected", answer["error"]!["desc"]!.ToString());
    }

    [Fact]
    public async Task Requests_may_come_in_pieces_and_several_at_once()
    {
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path);
        foreach (byte b in """{"execute":"query-status","id":"é"}"""u8.ToArray())
        {
            client.Send([b]);
        }

        Assert.Equal("é", (await client.ReceiveAsync())!["id"]!.ToString());
        client.Send("""{"execute":"query-status","id":1}{"execute":"query-status","id":2} {"execute":"query-status","id":3}""");
        for (int i = 1; i <= 3; i++)
        {
            Assert.Equal(i, (int)(await client.ReceiveAsync())!["id"]!);
        }
    }

    [Fact]
    public async Task Client_that_does_not_read_is_disconnected_when_events_pile_up_and_others_hear_them_all()
    {
        using QmpTestClient deaf = await QmpTestClient.NegotiateAsync(_vm.Path);
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path);
        const int Events = 20_000;
        for (int i = 0; i < Events; i++)
        {
            _vm.Server.Publish(new AcpiDeviceOst("core4", 4, 1, 0));

            // Who reads is never far behind, however slow the host is.
            if (i % 100 == 99)
            {
                for (int heard = 0; heard < 100; heard++)
                {
                    Assert.Equal("ACPI_DEVICE_OST", (await client.ReceiveAsync())!["event"]!.ToString());
                }
            }
        }

        int seen = 0;
        while (seen < Events
            && await deaf.ReceiveAsync().ContinueWith(t => t.IsCompletedSuccessfully ? t.Result : null, TaskScheduler.Default) != null)
        {
            seen++;
        }

        Assert.InRange(seen, 1, Events - 1);
    }

    [Fact]
    public async Task Client_that_asks_and_does_not_read_is_not_read_from()
    {
        using QmpTestClient deaf = await QmpTestClient.NegotiateAsync(_vm.Path);
        byte[] requests = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("{\"execute\":\"query-qmp-schema\"}\n", 1000)));
        deaf.Socket.Blocking = false;
        long sent = 0;
        for (int i = 0; i < 100; i++)
        {
            try
            {
                sent += deaf.Socket.Send(requests);
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.WouldBlock)
            {
                await Task.Delay(10);
            }
        }

        // What the socket and the server hold; a server that went on reading would have taken all of it.
        Assert.InRange(sent, 1, 2 << 20);
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path);
        Assert.Single(await client.AskAsync("""{"execute":"query-status"}"""));
    }

    [Theory]
    [InlineData("huge string", "JSON token size limit exceeded")]
    [InlineData("huge list", "JSON token size limit exceeded")]
    [InlineData("deep", "JSON nesting depth limit exceeded")]
    public async Task What_is_too_large_is_one_error_and_the_client_goes_on(string what, string error)
    {
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path);
        string sent = what switch
        {
            "huge string" => $"{{\"execute\":\"{new string('x', 3 * JsonMessageReader.LargestMessage)}\"}}",
            "huge list" => $"[{string.Concat(Enumerable.Repeat("\"0123456789abcdef\",", JsonMessageReader.LargestMessage / 16))}1]",
            _ => new string('[', 10_000) + new string(']', 10_000),
        };

        // Beside the reading, for the server does not read from who does not.
        Task sending = Task.Run(() => client.Send($$"""{{sent}}{{"\n\0"}}{"execute":"query-status","id":"after"}"""));
        Assert.Equal(error, (await client.ReceiveAsync())!["error"]!["desc"]!.ToString());

        // Of what follows in the same breath some may be read anew; in the end requests are understood.
        JsonNode? answer;
        do
        {
            answer = await client.ReceiveAsync();
        }
        while (answer!["id"]?.ToString() != "after");
        Assert.NotNull(answer["return"]);
        await sending.WaitAsync(Patience.Limit);
    }

    [Fact]
    public async Task Client_that_goes_in_the_middle_or_stays_silent_harms_nobody()
    {
        var silent = new List<QmpTestClient>();
        for (int i = 0; i < 20; i++)
        {
            QmpTestClient gone = await QmpTestClient.ConnectAsync(_vm.Path);
            gone.Send("{\"execute\":\"query-st");
            if (i % 2 == 0)
            {
                gone.Dispose();
            }
            else
            {
                gone.Socket.Shutdown(SocketShutdown.Send);
                silent.Add(gone);
            }
        }

        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path);
        Assert.Single(await client.AskAsync("""{"execute":"query-status"}"""));
        silent.ForEach(s => s.Dispose());
    }

    /// <summary>A client that has ended its requests and is waited for, a moment, is not one that does not read its events.</summary>
    [Fact]
    public async Task Event_after_the_end_of_the_requests_disconnects_nobody()
    {
        using var requests = new MemoryStream(Encoding.UTF8.GetBytes("""{"execute":"qmp_capabilities"}"""));
        using var output = new StuckStream();
        var session = new QmpSession(_vm.Qmp, new CharacterConnection(requests, output, "client"), pretty: false);
        using var stop = new CancellationTokenSource();
        Task running = session.RunAsync(stop.Token);
        stop.CancelAfter(TimeSpan.FromSeconds(1));
        while (!running.IsCompleted)
        {
            session.SendEvent("{}"u8.ToArray(), default);
            await Task.Delay(10);
        }

        Assert.True(output.CanWrite);
    }

    [Fact]
    public async Task More_clients_than_are_served_wait_for_their_turn()
    {
        var clients = new List<QmpTestClient>();
        for (int i = 0; i < QmpServer.MostClients; i++)
        {
            clients.Add(await QmpTestClient.NegotiateAsync(_vm.Path));
        }

        using QmpTestClient waiting = await QmpTestClient.ConnectAsync(_vm.Path);
        Task<JsonNode?> greeting = waiting.ReceiveAsync();
        await Task.Delay(50);
        Assert.False(greeting.IsCompleted);
        clients[5].Dispose();
        Assert.NotNull((await greeting)!["QMP"]);
        clients.ForEach(c => c.Dispose());
    }

    private sealed class StuckStream : MemoryStream
    {
        private readonly Task _never = new TaskCompletionSource().Task;

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            await _never;
    }
}
