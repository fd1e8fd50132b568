using System.Diagnostics;
using OpenTelemetry.Exporter;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Vmm.Actors.Protocol;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Telemetry;

/// <summary>
/// Traces of changes of CPUs (docs/fleet.md). From part to part, also of other processes, a trace goes as a text: the header
/// <c>traceparent</c> of W3C Trace Context, empty where nobody traces. Spans have what they are told here, and nothing of a request's
/// headers. Any thread.
/// </summary>
internal static class FleetTraces
{
    private const string Service = "vmm-node";
    private static readonly ActivitySource s_source = new("Vmm.Fleet");

    /// <summary>Sends what the parts of a node tell of to a collector (OTLP over HTTP).</summary>
    /// <param name="collector">Its address, without the path for traces.</param>
    public static void Export(TracerProviderBuilder traces, string node, string collector) => traces
        .AddSource(s_source.Name)
        .ConfigureResource(resource => resource.AddService(Service, serviceInstanceId: node))
        .AddOtlpExporter(otlp =>
        {
            otlp.Protocol = OtlpExportProtocol.HttpProtobuf;
            otlp.Endpoint = new Uri($"{collector.TrimEnd('/')}/v1/traces");
        });

    /// <summary>Begins the span of a request from outside, which goes on with the caller's trace, or begins one.</summary>
    /// <param name="caller">The header <c>traceparent</c>, whatever it has; empty for none.</param>
    /// <returns>Null where nobody traces.</returns>
    public static Activity? BeginRequest(string name, string caller, params ReadOnlySpan<(string Name, object Value)> tags) =>
        Begin(
            name, ActivityKind.Server,
            ActivityContext.TryParse(caller, null, isRemote: true, out ActivityContext parent) ? parent : default, default, tags);

    /// <summary>Begins a span of a trace.</summary>
    /// <returns>Null without a trace, and where nobody traces.</returns>
    public static Activity? Begin(string name, string trace, params ReadOnlySpan<(string Name, object Value)> tags) =>
        ActivityContext.TryParse(trace, null, isRemote: true, out ActivityContext parent)
            ? Begin(name, ActivityKind.Internal, parent, default, tags) : null;

    /// <summary>The trace for those who go on with it.</summary>
    public static string TraceOf(Activity? span) => span is { Recorded: true } ? span.Id! : "";

    /// <summary>Ends a span.</summary>
    public static void End(this Activity? span, RequestOutcome outcome, string detail)
    {
        span?.SetTag("vmm.outcome", $"{outcome}");
        if (outcome != RequestOutcome.Done)
        {
            span?.SetStatus(ActivityStatusCode.Error, detail);
        }

        span?.Dispose();
    }

    /// <summary>Makes a span of a step that a VM's process tells of.</summary>
    public static void Add(CpuStepTaken step)
    {
        if (!ActivityContext.TryParse(step.Trace, null, isRemote: true, out ActivityContext parent))
        {
            return;
        }

        using Activity? span = Begin(
            NameOf(step.Step), ActivityKind.Internal, parent, TimeOf(step.StartedAt), [("vmm.cpu", step.Cpu)]);
        if (step.Step == CpuStep.GuestAnswered)
        {
            span?.SetTag("acpi.ost.status", step.OstStatus);
        }

        span?.SetEndTime(TimeOf(step.EndedAt));
    }

    private static DateTime TimeOf(long at) => DateTime.UnixEpoch.AddTicks(at);

    // Who begins it has others to care for at the same time: no span is the current one of a thread.
    private static Activity? Begin(
        string name, ActivityKind kind, ActivityContext parent, DateTimeOffset start, ReadOnlySpan<(string Name, object Value)> tags)
    {
        Activity? before = Activity.Current;
        Activity.Current = null;
        Activity? span = s_source.StartActivity(name, kind, parent, startTime: start);
        Activity.Current = before;
        foreach ((string tag, object value) in tags)
        {
            span?.SetTag(tag, value);
        }

        return span;
    }

    private static string NameOf(CpuStep step) => step switch
    {
        CpuStep.Accepted => "request in the journal",
        CpuStep.VcpuMade => "vCPU made",
        CpuStep.InterfaceAttached => "GIC CPU interface accessible",
        CpuStep.GuestNotified => "guest notified by the GED",
        CpuStep.GuestAnswered => "guest's _OST",
        CpuStep.PoweredOn => "guest's CPU_ON",
        CpuStep.Ejected => "guest's _EJ0",
        CpuStep.InterfaceDetached => "GIC CPU interface inaccessible",
        CpuStep.VcpuFreed => "vCPU freed",
        _ => $"{step}",
    };
}
