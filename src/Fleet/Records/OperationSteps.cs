using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Records;

/// <summary>A request to an agent that an operation needs.</summary>
/// <param name="Node">The node of the agent.</param>
internal sealed record OperationStep(string Node, IVmRequest Request);

/// <summary>
/// The requests to agents of which an operation is made: pure functions. Ids of requests come from the operation's, so that whoever repeats
/// a step after a loss repeats its request.
/// </summary>
internal static class OperationSteps
{
    private const string Leave = ".leave";

    /// <summary>Whether a step makes sure that a VM that is stopped has no process at the node that it moves from.</summary>
    public static bool IsLeave(IVmRequest step) => step is EndVm && step.Id.EndsWith(Leave, StringComparison.Ordinal);

    /// <summary>The first step. A VM that is not to run moves without one: there is nothing to be sent.</summary>
    /// <param name="trace">Of a change of CPUs: <see cref="IVmRequest.Trace"/>.</param>
    public static OperationStep First(VmState vm, VmOperation operation, string trace = "")
    {
        (string name, string id, int number) = (operation.Vm, operation.Id, operation.Number);
        return operation.Action switch
        {
            VmAction.Migrate when !vm.IsWanted && vm.Open.All(o => o.Action != VmAction.Stop) =>
                new OperationStep(vm.Node, new EndVm(name, $"{id}{Leave}", 0)),
            VmAction.Migrate => new OperationStep(operation.Text, new ReceiveVm(name, $"{id}.receive", vm.Spec, vm.Node)),
            VmAction.Delete => new OperationStep(vm.Node, new EndVm(name, $"{id}.end", 0)),
            VmAction.Start => new OperationStep(vm.Node, new RunVm(name, id, vm.Spec, vm.StartsFromSnapshot)),
            VmAction.Stop => new OperationStep(vm.Node, new EndVm(name, id, number)),
            VmAction.Resize => new OperationStep(vm.Node, new ResizeVm(name, id, number, trace)),
            VmAction.Save => new OperationStep(vm.Node, new SaveVm(name, id, operation.Text)),
            VmAction.Restore => new OperationStep(vm.Node, new RestoreVm(name, id, operation.Text, vm.Spec)),
            VmAction.Plug => new OperationStep(vm.Node, new ChangeCpu(name, id, CpuChange.Plug, number, trace)),
            VmAction.Unplug => new OperationStep(vm.Node, new ChangeCpu(name, id, CpuChange.Unplug, number, trace)),
            VmAction.Enable => new OperationStep(vm.Node, new ChangeCpu(name, id, CpuChange.Enable, number, trace)),
            VmAction.Disable => new OperationStep(vm.Node, new ChangeCpu(name, id, CpuChange.Disable, number, trace)),
            _ => throw new ArgumentException($"{operation.Action} has no steps", nameof(operation)),
        };
    }

    /// <summary>The step after one that is done; null when the operation is done with it.</summary>
    public static OperationStep? Next(VmState vm, VmOperation operation, IVmRequest step, string detail) => (operation.Action, step) switch
    {
        (VmAction.Delete, EndVm) => new OperationStep(vm.Node, new RemoveVm(operation.Vm, $"{operation.Id}.remove")),
        (VmAction.Migrate, ReceiveVm) => new OperationStep(vm.Node, new SendVm(operation.Vm, $"{operation.Id}.send", detail)),
        _ => null,
    };
}
