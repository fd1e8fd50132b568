using System.Collections;
using System.Collections.Concurrent;
using System.Reflection;
using System.Text;
using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Vmm.Fleet.Tests.Telemetry;

/// <summary>A span that has come.</summary>
/// <param name="Node">Which node has sent it: <c>service.instance.id</c>.</param>
/// <param name="Parent">The id of the span that it is part of; empty for none.</param>
/// <param name="Start">Nanoseconds since 1970.</param>
/// <param name="End">The same.</param>
internal sealed record ReceivedSpan(
    string Node, string Trace, string Id, string Parent, string Name, ulong Start, ulong End, IReadOnlyDictionary<string, string> Tags);

/// <summary>
/// What takes traces: OTLP over HTTP at <c>/v1/traces</c>. It is read by classes that protoc has made of OpenTelemetry's own .proto files,
/// which are in a package for logs. They are internal there, so they are asked for by the names of the .proto files.
/// </summary>
internal sealed class OtlpCollector : IAsyncDisposable
{
    private const BindingFlags Members = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;
    private const string Media = "application/x-protobuf";

    private static readonly Type s_request = Assembly.Load("Serilog.Sinks.OpenTelemetry")
        .GetType("OpenTelemetry.Proto.Collector.Trace.V1.ExportTraceServiceRequest", throwOnError: true)!;

    private readonly WebApplication _app;
    private readonly ConcurrentQueue<ReceivedSpan> _spans = [];
    private readonly ConcurrentQueue<byte[]> _bodies = [];
    private Exception? _failure;

    private OtlpCollector(int port)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        _app = builder.Build();
        _app.MapPost("/v1/traces", async context =>
        {
            try
            {
                await TakeAsync(context);
            }
            catch (Exception e)
            {
                _failure ??= e;
            }
        });
    }

    /// <summary>Where it is.</summary>
    public string Address => _app.Urls.First();

    /// <summary>All that has come, byte for byte.</summary>
    public string Everything => string.Concat(_bodies.Select(Encoding.Latin1.GetString));

    /// <param name="port">0 for one that the machine chooses.</param>
    public static async Task<OtlpCollector> StartAsync(int port = 0)
    {
        var collector = new OtlpCollector(port);
        await collector._app.StartAsync();
        return collector;
    }

    /// <summary>The spans that have come, in the order of their beginnings.</summary>
    public ReceivedSpan[] Spans
    {
        get
        {
            Assert.Null(_failure);
            return [.. _spans.OrderBy(s => s.Start).ThenBy(s => s.End)];
        }
    }

    /// <summary>Waits for spans, by name, until so many have come.</summary>
    public ReceivedSpan[] Await(string name, int count = 1) => Await(s => s.Name == name, found => found.Length == count, name);

    /// <summary>Waits for spans of which some condition holds.</summary>
    public ReceivedSpan[] Await(Func<ReceivedSpan, bool> which, Predicate<ReceivedSpan[]> condition, string what)
    {
        ReceivedSpan[] found = [];
        Patience.Until(() => condition(found = [.. Spans.Where(which)]), $"spans come: {what}");
        return found;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task TakeAsync(HttpContext context)
    {
        Assert.Equal(Media, context.Request.ContentType);
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        _bodies.Enqueue(body.ToArray());
        var request = (IMessage)Activator.CreateInstance(s_request, nonPublic: true)!;
        request.MergeFrom(body.ToArray());
        foreach (object resource in List(request, "ResourceSpans"))
        {
            string node = TagsOf(Get(resource, "Resource"))["service.instance.id"];
            foreach (object span in List(resource, "ScopeSpans").SelectMany(scope => List(scope, "Spans")))
            {
                _spans.Enqueue(new ReceivedSpan(
                    node, Id(span, "TraceId"), Id(span, "SpanId"), Id(span, "ParentSpanId"), (string)Get(span, "Name"),
                    (ulong)Get(span, "StartTimeUnixNano"), (ulong)Get(span, "EndTimeUnixNano"), TagsOf(span)));
            }
        }

        context.Response.ContentType = Media;
    }

    private static object Get(object of, string name) => of.GetType().GetProperty(name, Members)!.GetValue(of)!;

    private static IEnumerable<object> List(object of, string name) => ((IEnumerable)Get(of, name)).Cast<object>();

    private static string Id(object span, string name) => Convert.ToHexStringLower(((ByteString)Get(span, name)).Span);

    private static Dictionary<string, string> TagsOf(object of) =>
        List(of, "Attributes").ToDictionary(a => (string)Get(a, "Key"), a => ValueOf(Get(a, "Value")));

    // A oneof: its case has the name of the member that is set.
    private static string ValueOf(object value) => $"{Get(value, $"{Get(value, "ValueCase")}")}";
}
