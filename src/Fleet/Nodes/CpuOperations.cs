using System.Diagnostics;
using Vmm.Actors.Protocol;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Telemetry;

namespace Vmm.Fleet.Nodes;

/// <summary>
/// Changes of CPUs of a running VM. Each is asked for what is missing to its goal, so it may be repeated; each CPU has an outcome of its
/// own, which is the guest's.
/// </summary>
internal static class CpuOperations
{
    /// <summary>Changes one CPU.</summary>
    /// <param name="trace">The trace that each CPU has a span of, of which the VM's steps are parts; empty for none.</param>
    public static async Task<OperationResult> ChangeAsync(IVmLink vm, CpuChange change, int cpu, string trace, CancellationToken stop)
    {
        IProtocolMessage answer = await vm.AskAsync(new GetCpusPowerState(), stop).ConfigureAwait(false);
        if (answer is not CpusPowerState now)
        {
            return OperationResult.Failed(answer);
        }

        if (cpu < 0 || cpu >= now.Admin.Length)
        {
            return OperationResult.Of(RequestOutcome.Failed, $"there is no CPU {cpu}: the VM has 0 to {now.Admin.Length - 1}");
        }

        CpuOutcome outcome = await TraceAsync(vm, now, change, cpu, trace, stop).ConfigureAwait(false);
        bool was = now.Admin[cpu] == CpuAdminState.Enabled, isEnabled = change is CpuChange.Plug or CpuChange.Enable;
        int? enabled = outcome.Outcome switch
        {
            RequestOutcome.Done => Enabled(now) + (isEnabled ? 1 : 0) - (was ? 1 : 0),
            RequestOutcome.Refused or RequestOutcome.Rejected => Enabled(now),
            _ => null,
        };
        return new OperationResult(outcome.Outcome, outcome.Detail, [outcome], enabled);
    }

    /// <summary>
    /// Plugs CPUs from the lowest, or takes out from the highest, until so many are enabled. A CPU that cannot change is passed over, and
    /// the next one is tried, but no CPU after one that the guest has refused or not answered.
    /// </summary>
    /// <param name="trace">As for the change of one.</param>
    public static async Task<OperationResult> ResizeAsync(IVmLink vm, int count, string trace, CancellationToken stop)
    {
        IProtocolMessage answer = await vm.AskAsync(new GetCpusPowerState(), stop).ConfigureAwait(false);
        if (answer is not CpusPowerState now)
        {
            return OperationResult.Failed(answer);
        }

        if (count < 1 || count > now.Admin.Length)
        {
            return OperationResult.Of(RequestOutcome.Failed, $"{count} CPUs: the VM can have 1 to {now.Admin.Length}");
        }

        int enabled = Enabled(now);
        var outcomes = new List<CpuOutcome>();
        bool grows = enabled < count;
        IEnumerable<int> candidates = Enumerable.Range(0, now.Admin.Length)
            .Where(cpu => (now.Admin[cpu] == CpuAdminState.Enabled) != grows);
        RequestOutcome last = RequestOutcome.Done;
        foreach (int cpu in grows ? candidates : candidates.Reverse())
        {
            if (enabled == count || last is not (RequestOutcome.Done or RequestOutcome.Rejected))
            {
                break;
            }

            CpuChange change = !grows ? CpuChange.Unplug
                : now.Admin[cpu] == CpuAdminState.Disabled ? CpuChange.Enable : CpuChange.Plug;
            CpuOutcome outcome = await TraceAsync(vm, now, change, cpu, trace, stop).ConfigureAwait(false);
            last = outcome.Outcome;
            outcomes.Add(outcome);
            enabled += last != RequestOutcome.Done ? 0 : grows ? 1 : -1;
        }

        RequestOutcome all = enabled == count ? RequestOutcome.Done
            : last is RequestOutcome.Done or RequestOutcome.Rejected ? RequestOutcome.Failed : last;
        return new OperationResult(
            all, enabled == count ? "" : $"{enabled} CPUs are enabled, not {count}: {outcomes.LastOrDefault()?.Detail}", [.. outcomes],
            last is RequestOutcome.Done or RequestOutcome.Refused or RequestOutcome.Rejected ? enabled : null);
    }

    /// <summary>The number of enabled CPUs.</summary>
    public static int Enabled(CpusPowerState state) => state.Admin.Count(a => a == CpuAdminState.Enabled);

    private static async Task<CpuOutcome> TraceAsync(
        IVmLink vm, CpusPowerState now, CpuChange change, int cpu, string trace, CancellationToken stop)
    {
        using Activity? span = FleetTraces.Begin($"cpu: {change}", trace, ("vmm.cpu", cpu));
        CpuOutcome outcome = await ChangeAsync(vm, now, change, cpu, FleetTraces.TraceOf(span), stop).ConfigureAwait(false);
        span.End(outcome.Outcome, outcome.Detail);
        return outcome;
    }

    private static async Task<CpuOutcome> ChangeAsync(
        IVmLink vm, CpusPowerState now, CpuChange change, int cpu, string trace, CancellationToken stop)
    {
        CpuAdminState admin = now.Admin[cpu];
        bool isThere = change switch
        {
            CpuChange.Plug or CpuChange.Enable => admin == CpuAdminState.Enabled,
            CpuChange.Disable => admin == CpuAdminState.Disabled,
            _ => admin == CpuAdminState.Removed,
        };
        if (isThere)
        {
            return new CpuOutcome(cpu, change, RequestOutcome.Done, 0, "");
        }

        IProtocolMessage answer = await vm.AskAsync(
            change switch
            {
                CpuChange.Plug => new PlugVcpu($"core{cpu}", cpu, trace),
                CpuChange.Unplug => new UnplugVcpu(now.Ids[cpu], trace),
                _ => new SetVcpuAdmin(cpu, change == CpuChange.Enable, trace),
            },
            stop).ConfigureAwait(false);
        return answer switch
        {
            HotplugOutcome outcome => new CpuOutcome(cpu, change, OutcomeOf(outcome.Kind), outcome.OstStatus, DetailOf(outcome)),

            // The VM has rejected it: another CPU may do. A VM that is gone has no other.
            HotplugRejected rejected => new CpuOutcome(cpu, change, RequestOutcome.Rejected, 0, rejected.Reason),
            _ => new CpuOutcome(cpu, change, RequestOutcome.Failed, 0, OperationResult.ReasonOf(answer)),
        };
    }

    private static RequestOutcome OutcomeOf(HotplugOutcomeKind kind) => kind switch
    {
        HotplugOutcomeKind.Done => RequestOutcome.Done,
        HotplugOutcomeKind.Refused => RequestOutcome.Refused,
        HotplugOutcomeKind.TimedOut => RequestOutcome.TimedOut,
        _ => RequestOutcome.Cancelled,
    };

    private static string DetailOf(HotplugOutcome outcome) => outcome.Kind switch
    {
        HotplugOutcomeKind.Done => "",
        HotplugOutcomeKind.Refused => $"CPU {outcome.Cpu}: refused by the guest, _OST status 0x{outcome.OstStatus:x}",
        HotplugOutcomeKind.TimedOut => $"CPU {outcome.Cpu}: no answer from the guest yet; still pending",
        _ => $"CPU {outcome.Cpu}: cancelled: a reset or another request came first",
    };
}
