using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Nodes;
using Vmm.Fleet.Tests.Rest;
using Vmm.Host.Commands;
using Vmm.Host.Guest;

namespace Vmm.Fleet.Tests.Telemetry;

/// <summary>A change of CPUs of a real VM is one trace, which a collector of OTLP gets.</summary>
public sealed class TraceTests : RestTestKit
{
    // Other tests of this process have VMs whose spans come, too.
    private const string Vm = "traced";
    private const string Request = "POST /v1/vms/{vm}/operations";

    // Of the specification's examples (W3C Trace Context, section 3.2.2.5.1).
    private const string Trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    private const string Caller = "00f067aa0ba902b7";

    private OtlpCollector _collector = null!;

    protected override NodeConfig Configure(NodeConfig config) => config with { Traces = _collector.Address };

    public override async Task InitializeAsync()
    {
        _collector = await OtlpCollector.StartAsync();
        await base.InitializeAsync();
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _collector.DisposeAsync();
    }

    // Does something with the VM, and waits for its end.
    private async Task<string> DoAsync(string body, string traceparent = "")
    {
        (string, string)[] headers = traceparent.Length > 0 ? [("traceparent", traceparent)] : [];
        JsonNode? operation = (await SendAsync(HttpMethod.Post, $"{Vms}/{Vm}/operations", Operator, body, headers: headers)).Body;
        while (!(bool)operation!["isDone"]!)
        {
            operation = (await SendAsync(
                HttpMethod.Get, $"{Vms}/{Vm}/operations/{(string)operation["id"]!}?wait=60", Viewer)).Body;
        }

        return (string)operation["outcome"]!;
    }

    private async Task StartAsync(JsonObject spec)
    {
        await SendAsync(HttpMethod.Post, Vms, Admin, $$"""{"name":"{{Vm}}","policy":"Leave","spec":{{spec.ToJsonString()}}}""");
        Assert.Equal("Done", await DoAsync("""{"action":"Start"}"""));
    }

    private string TraceOf(string span) => _collector.Await(
        s => s.Name == span && s.Tags["vmm.vm"] == Vm, spans => spans.Length == 1, span)[0].Trace;

    private static JsonObject SpecOf(string kernel, string initrd, string append, long memory)
    {
        JsonObject spec = JsonNode.Parse(Spec)!.AsObject();
        (spec["kernel"], spec["initrd"], spec["append"], spec["memoryBytes"]) = (kernel, initrd, append, memory);
        return spec;
    }

    private JsonObject IdleSpec() => SpecOf(IdleGuest.WriteImage(Folder), "", "", 64 << 20);

    /// <summary>
    /// A Linux guest gets a CPU, turns it on, and gives it back. Each of the two is one trace, whose spans are parts of each other as the
    /// parts of the fleet are, with the steps in the order in which they were taken.
    /// </summary>
    [Fact]
    public async Task Plug_and_unplug_of_a_guest_are_a_trace_each()
    {
        GuestFiles files = await GuestAssets.EnsureAsync(new GuestKernel(GuestFlavour.Cloud));
        await StartAsync(SpecOf(files.Kernel, files.Initramfs, "console=ttyAMA0 quiet", 512 << 20));
        using Socket shell = await ShellAsync();
        Assert.Equal("Done", await DoAsync("""{"action":"Plug","number":1}""", $"00-{Trace}-{Caller}-01"));
        await shell.SendAsync("echo 1 >/sys/devices/system/cpu/cpu1/online\n"u8.ToArray());
        ReceivedSpan[] plug = _collector.Await(s => s.Trace == Trace, spans => spans.Length == 10, "of a plug");
        Assert.Equal(
            [Request, "record: Plug", "agent: ChangeCpu", "cpu: Plug", "request in the journal", "vCPU made",
                "GIC CPU interface accessible", "guest notified by the GED", "guest's _OST", "guest's CPU_ON"],
            plug.Select(s => s.Name));
        CheckParents(plug, Caller);
        Assert.Equal(("202", Vm, "Plug"), (plug[0].Tags["http.response.status_code"], plug[0].Tags["vmm.vm"], plug[0].Tags["vmm.action"]));
        Assert.All(plug[1..4], span => Assert.Equal("Done", span.Tags["vmm.outcome"]));
        Assert.All(plug[3..], span => Assert.Equal("1", span.Tags["vmm.cpu"]));
        Assert.Equal("0", plug[8].Tags["acpi.ost.status"]);

        // The record's is the longest of those that end with the outcome.
        Assert.InRange(plug[2].End, plug[3].End, plug[1].End);

        Assert.Equal("Done", await DoAsync("""{"action":"Resize","number":1}"""));
        string trace = TraceOf("record: Resize");
        ReceivedSpan[] unplug = _collector.Await(
            s => s.Trace == trace, spans => spans.Any(s => s.Name == Request) && spans.Any(s => s.Name == "vCPU freed"), "of an unplug");
        CheckParents(unplug, "");
        Assert.Equal([Request, "record: Resize", "agent: ResizeVm", "cpu: Unplug"], unplug[..4].Select(s => s.Name));
        Assert.Equal(
            ["request in the journal", "guest notified by the GED", "guest's _EJ0", "GIC CPU interface inaccessible", "vCPU freed"],
            unplug[4..].Select(s => s.Name).Where(name => name != "guest's _OST"));
        foreach (string secret in (string[])[Viewer, Operator, Admin])
        {
            Assert.DoesNotContain(secret, _collector.Everything, StringComparison.Ordinal);
        }
    }

    // Each is part of the one before, and steps are parts of the CPU's span, each from the end of the step before it.
    private static void CheckParents(ReceivedSpan[] spans, string caller)
    {
        Assert.Equal([caller, .. spans[..3].Select(s => s.Id)], spans[..4].Select(s => s.Parent));
        Assert.All(spans[4..], step => Assert.Equal(spans[3].Id, step.Parent));
        Assert.All(spans, span => Assert.True(span.Start <= span.End, $"{span}"));
        Assert.Equal(spans[4..^1].Select(s => s.End), spans[5..].Select(s => s.Start));
        Assert.InRange(spans[4].Start, spans[3].Start, spans[3].End);
        Assert.Single(spans.Select(s => s.Trace).Distinct());
    }

    /// <summary>What is no traceparent begins a trace; one of a caller who does not want to be traced is not sent on.</summary>
    [Fact]
    public async Task Callers_word_is_taken_as_far_as_it_is_one()
    {
        await StartAsync(IdleSpec());
        Assert.Equal("Rejected", await DoAsync("""{"action":"Unplug","number":0}""", $"00-{Trace}-{Caller}-00"));
        Assert.Equal("Rejected", await DoAsync("""{"action":"Unplug","number":0}""", "00-garbage"));
        string trace = TraceOf("record: Unplug");
        ReceivedSpan[] all = _collector.Await(s => s.Trace == trace, spans => spans.Length == 4, "of a trace of its own");
        Assert.Equal((Request, ""), (all[0].Name, all[0].Parent));
        Assert.Equal("Rejected", all[3].Tags["vmm.outcome"]);
        Assert.DoesNotContain(_collector.Spans, s => s.Trace == Trace);
    }

    /// <summary>Requests end as ever while nobody takes the spans, and a collector that comes gets those of what follows.</summary>
    [Fact]
    public async Task Collector_that_is_away_costs_nothing()
    {
        await StartAsync(IdleSpec());
        int port = new Uri(_collector.Address).Port;
        await _collector.DisposeAsync();
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal("Rejected", await DoAsync("""{"action":"Unplug","number":0}"""));
        }

        _collector = await OtlpCollector.StartAsync(port);
        await Patience.UntilAsync(
            async () =>
            {
                await DoAsync("""{"action":"Unplug","number":0}""");
                return _collector.Spans.Any(s => s.Name == "cpu: Unplug");
            },
            "spans come again");
    }

    [Theory]
    [InlineData("127.0.0.1:4318")]
    [InlineData("ftp://127.0.0.1:4318")]
    [InlineData("http://me:secret@127.0.0.1:4318")]
    [InlineData("http://127.0.0.1:4318/?key=secret")]
    [InlineData("http://127.0.0.1:4318/#secret")]
    [InlineData("")]
    public async Task Bad_address_of_a_collector_is_told_in_one_line(string traces)
    {
        string file = Path.Combine(Folder, "config");
        await File.WriteAllTextAsync(file, $$"""{"name":"node2","folder":"{{Folder}}/node2","traces":"{{traces}}"}""");
        (int code, string output, string errors) = await VmmProcess.RunAsync(["node", "--config", file]);
        Assert.Equal((ExitCode.BadInput, ""), (code, output));
        Assert.Equal(
            "vmm: traces: give http://HOST:PORT or https://HOST:PORT of a collector (OTLP over HTTP), without a name, password or query\n",
            errors);
    }

    // The guest's shell, once it answers.
    private async Task<Socket> ShellAsync()
    {
        var shell = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await shell.ConnectAsync(new UnixDomainSocketEndPoint(new VmFolder(Vm, Path.Combine(Folder, "vms", Vm)).Console));
        var heard = new StringBuilder();
        byte[] buffer = new byte[4096];
        await Patience.UntilAsync(
            async () =>
            {
                await shell.SendAsync("echo ready$((6*7))\n"u8.ToArray());
                while (shell.Available > 0)
                {
                    heard.Append(Encoding.UTF8.GetString(buffer, 0, await shell.ReceiveAsync(buffer)));
                }

                return heard.ToString().Contains("ready42", StringComparison.Ordinal);
            },
            "the guest's shell answers");
        return shell;
    }
}
