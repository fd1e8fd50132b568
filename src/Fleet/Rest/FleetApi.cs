using Microsoft.AspNetCore.Http;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Rest;

/// <summary>The addresses of REST by which VMs come and go, and those of nodes (docs/rest.md).</summary>
internal sealed class FleetApi(FleetNode node, VmApi vms)
{
    private const string Nodes = "/v1/nodes";

    /// <summary>The addresses.</summary>
    public IEnumerable<RestEndpoint> Endpoints =>
    [
        new("POST", VmApi.Vms, RestRole.Admin, "Make a VM, which is not started", CreateAsync)
        {
            Body = typeof(NewVm), Result = typeof(VmRecord), Status = StatusCodes.Status201Created, Headers = [VmApi.Key],
        },
        new("DELETE", VmApi.Vm, RestRole.Admin, "Stop a VM and remove all of it", context =>
            vms.DoAsync(context, new NewOperation(VmAction.Delete)))
        {
            Result = typeof(VmOperation), Status = StatusCodes.Status202Accepted, Headers = [VmApi.Key, VmApi.Match],
        },
        new("PUT", VmApi.Vm + "/scaling", RestRole.Operator, "Let the number of CPUs follow the load", async context =>
            await ScaleAsync(context, await context.ReadAsync(RestJson.Default.ScalingSpec).ConfigureAwait(false)).ConfigureAwait(false))
        {
            Body = typeof(ScalingSpec), Result = typeof(VmRecord),
        },
        new("DELETE", VmApi.Vm + "/scaling", RestRole.Operator, "Leave the number of CPUs as it is", context => ScaleAsync(context, null))
        {
            Result = typeof(VmRecord),
        },
        new("GET", Nodes, RestRole.Viewer, "The nodes that are members", async context => await context.WriteAsync(
            [.. await node.NodesAsync(context.RequestAborted).ConfigureAwait(false)], RestJson.Default.NodeStatusArray)
            .ConfigureAwait(false))
        {
            Result = typeof(NodeStatus[]),
        },
        new("PUT", Nodes + "/{node}", RestRole.Admin, "Let a node take VMs, or have its VMs moved to others", SetNodeAsync)
        {
            Body = typeof(NodeChange), Result = typeof(NodeStatus),
        },
    ];

    private async Task CreateAsync(HttpContext context)
    {
        NewVm asked = await context.ReadAsync(RestJson.Default.NewVm).ConfigureAwait(false);
        if (!FleetNames.IsVm(asked.Name))
        {
            throw new BadHttpRequestException($"name: a VM is called {FleetNames.VmRule}");
        }

        IFleetMessage answer = await node.AskAsync(
            new CreateVm(
                asked.Name, VmApi.IdOf(context), asked.Owner ?? context.Asker().Name, asked.Node ?? "", asked.Policy, asked.Spec),
            context.RequestAborted).ConfigureAwait(false);
        if (answer is not VmOperation)
        {
            await context.RejectAsync(answer).ConfigureAwait(false);
            return;
        }

        context.Response.StatusCode = StatusCodes.Status201Created;
        context.Response.Headers.Location = $"{VmApi.Vms}/{asked.Name}";
        await vms.TellAsync(context, asked.Name).ConfigureAwait(false);
    }

    private async Task ScaleAsync(HttpContext context, ScalingSpec? scaling)
    {
        IFleetMessage answer = await node.AskAsync(new SetScaling(context.Value("vm"), scaling), context.RequestAborted)
            .ConfigureAwait(false);
        await (answer is VmRecord record ? context.WriteAsync(record, RestJson.Default.VmRecord) : context.RejectAsync(answer))
            .ConfigureAwait(false);
    }

    private async Task SetNodeAsync(HttpContext context)
    {
        NodeChange asked = await context.ReadAsync(RestJson.Default.NodeChange).ConfigureAwait(false);
        string name = context.Value("node");
        NodeStatus? status = await node.SetTakesVmsAsync(name, asked.TakesVms, context.RequestAborted).ConfigureAwait(false);
        await (status?.TakesVms == !asked.TakesVms
                ? context.RejectAsync(StatusCodes.Status503ServiceUnavailable, $"node '{name}' cannot keep it, and its log says why")
            : status != null ? context.WriteAsync(status, RestJson.Default.NodeStatus)
            : context.RejectAsync(StatusCodes.Status404NotFound, $"there is no node '{name}' now")).ConfigureAwait(false);
    }
}
