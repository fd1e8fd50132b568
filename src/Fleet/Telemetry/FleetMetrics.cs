using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Telemetry;

/// <summary>
/// The figures of a node (System.Diagnostics.Metrics): the VMs that it has, and what the records that are here have done. Whoever collects
/// them asks at a moment of its own; what is asked for was noted when it happened.
/// </summary>
internal sealed class FleetMetrics : IDisposable
{
    /// <summary>The name of the meter.</summary>
    public const string MeterName = "Vmm.Fleet";

    private readonly Meter _meter = new(MeterName);
    private readonly Counter<long> _operations;
    private readonly Histogram<double> _durations;
    private readonly Counter<long> _decisions;
    private readonly IDisposable _subscription;

    // The last of each VM: written by the subscription, read by whoever collects.
    private readonly ConcurrentDictionary<string, VmReport> _vms = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, VmMeter> _times = new(StringComparer.Ordinal);

    public FleetMetrics(FleetNode node)
    {
        _operations = _meter.CreateCounter<long>("vmm.operations", description: "Operations on VMs that have ended");
        _durations = _meter.CreateHistogram<double>("vmm.operation.duration", "s", "From the request for an operation to its end");
        _decisions = _meter.CreateCounter<long>("vmm.scaling.decisions", description: "What policies have decided");
        _meter.CreateObservableGauge("vmm.vm.state", States, description: "1 for the state that the VM has");
        _meter.CreateObservableGauge("vmm.vm.cpus", Cpus, description: "CPUs that are enabled");
        _meter.CreateObservableCounter(
            "vmm.vcpu.busy", () => Times(m => m.BusyNs), "s", "How long the CPU has executed the guest's instructions");
        _meter.CreateObservableCounter("vmm.vcpu.enabled", () => Times(m => m.EnabledNs), "s", "How long the CPU was enabled");
        _meter.CreateObservableGauge(
            "vmm.node.member", () => node.IsUp ? 1 : 0, description: "1 while the node is a member of its cluster");
        _subscription = node.Subscribe(Note);
    }

    public void Dispose()
    {
        _subscription.Dispose();
        _meter.Dispose();
    }

    private void Note(IFleetMessage happened)
    {
        switch (happened)
        {
            case VmReport report:
                _vms[report.Vm] = report;
                break;
            case VmTimes { Running: [var now] } times:
                _times[times.Vm] = now;
                break;
            case VmScaled scaled:
                _decisions.Add(
                    1, Tag("vm", scaled.Vm), Tag("action", $"{scaled.Action}"), Tag("reason", $"{scaled.Reason}"));
                break;
            case VmOperation operation:
                KeyValuePair<string, object?>[] tags = [Tag("action", $"{operation.Action}"), Tag("outcome", $"{operation.Outcome}")];
                _operations.Add(1, tags);
                _durations.Record((operation.EndedAt - operation.StartedAt) / 1e3, tags);
                if (operation is { Action: VmAction.Delete, Outcome: RequestOutcome.Done })
                {
                    _vms.TryRemove(operation.Vm, out _);
                    _times.TryRemove(operation.Vm, out _);
                }

                break;
        }
    }

    private IEnumerable<Measurement<int>> States() =>
        _vms.Values.Select(vm => new Measurement<int>(1, Tag("vm", vm.Vm), Tag("state", $"{vm.State}")));

    private IEnumerable<Measurement<int>> Cpus() => _vms.Values.Select(vm => new Measurement<int>(vm.EnabledCpus, Tag("vm", vm.Vm)));

    private IEnumerable<Measurement<double>> Times(Func<VmMeter, long[]> read) => _times.SelectMany(vm =>
        read(vm.Value).Select((ns, cpu) => new Measurement<double>(ns / 1e9, Tag("vm", vm.Key), Tag("cpu", $"{cpu}"))));

    private static KeyValuePair<string, object?> Tag(string name, string value) => new(name, value);
}
