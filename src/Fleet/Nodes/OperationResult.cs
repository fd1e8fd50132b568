using Vmm.Actors.Protocol;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Nodes;

/// <summary>How an operation on a VM ended; the members are those of <see cref="RequestEnded"/>.</summary>
internal sealed record OperationResult(RequestOutcome Outcome, string Detail, CpuOutcome[] Cpus, int? EnabledCpus = null)
{
    public static OperationResult Done(string detail = "") => new(RequestOutcome.Done, detail, []);

    public static OperationResult Of(RequestOutcome outcome, string detail) => new(outcome, detail, []);

    /// <summary>What an answer means that is not the one that was hoped for.</summary>
    public static OperationResult Failed(IProtocolMessage answer) => Of(RequestOutcome.Failed, ReasonOf(answer));

    /// <summary>Why a VM has rejected a request.</summary>
    public static string ReasonOf(IProtocolMessage answer) => answer switch
    {
        VmCommandRejected rejected => rejected.Reason,
        HotplugRejected rejected => rejected.Reason,
        _ => $"the VM answered with {answer.GetType().Name}",
    };
}
