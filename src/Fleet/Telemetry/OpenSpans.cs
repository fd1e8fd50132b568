using System.Diagnostics;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Telemetry;

/// <summary>The spans of what is under way, by the id of its request. One thread at a time.</summary>
internal sealed class OpenSpans
{
    private readonly Dictionary<string, Activity> _spans = new(StringComparer.Ordinal);

    /// <summary>Begins a span, if there is a trace and somebody traces.</summary>
    public void Begin(string id, string name, string trace, string vm)
    {
        if (FleetTraces.Begin(name, trace, ("vmm.vm", vm), ("vmm.request", id)) is { } span)
        {
            _spans[id] = span;
        }
    }

    /// <summary>The trace for those who go on with it; empty for none.</summary>
    public string TraceOf(string id) => FleetTraces.TraceOf(_spans.GetValueOrDefault(id));

    /// <summary>Ends a span, if there is one.</summary>
    public void End(string id, RequestOutcome outcome, string detail)
    {
        if (_spans.Remove(id, out Activity? span))
        {
            span.End(outcome, detail);
        }
    }
}
