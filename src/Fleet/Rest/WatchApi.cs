using System.Text;
using Microsoft.AspNetCore.Http;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Records;

namespace Vmm.Fleet.Rest;

/// <summary>The addresses by which somebody watches one VM and types at its serial line, wherever in the fleet the VM is.</summary>
internal sealed class WatchApi(IVms vms)
{
    /// <summary>The addresses.</summary>
    public IEnumerable<RestEndpoint> Endpoints =>
    [
        new("GET", "/v1/me", RestRole.Viewer, "Whose token it is", context => context.WriteAsync(
            context.Asker(), RestJson.Default.Asker))
        {
            Result = typeof(Asker),
        },
        new("GET", VmApi.Vm + "/watch", RestRole.Viewer, "Server-sent events of a VM: vm, operation, scaling, view, console", WatchAsync)
        {
            Media = [EventStream.Media],
        },
        new("POST", VmApi.Vm + "/console", RestRole.Operator, "Type at the serial line of a VM", TypeAsync)
        {
            Body = typeof(ConsoleInput), Result = typeof(ConsoleInput),
        },
    ];

    private async Task WatchAsync(HttpContext context)
    {
        string vm = context.Value("vm");
        IFleetMessage first = await vms.AskAsync(new GetVmHistory(vm), context.RequestAborted).ConfigureAwait(false);
        if (first is not VmHistory history)
        {
            await context.RejectAsync(first).ConfigureAwait(false);
            return;
        }

        using var events = new EventStream(context);
        await new VmWatch(vms, vm, history, events).RunAsync().ConfigureAwait(false);
    }

    private async Task TypeAsync(HttpContext context)
    {
        string vm = context.Value("vm");
        ConsoleInput input = await context.ReadAsync(RestJson.Default.ConsoleInput).ConfigureAwait(false);
        IFleetMessage answer = await vms.AskAsync(new GetVm(vm), context.RequestAborted).ConfigureAwait(false);
        if (answer is not VmRecord record)
        {
            await context.RejectAsync(answer).ConfigureAwait(false);
            return;
        }

        ConsoleWritten? written = await vms.AskAsync<ConsoleWritten>(
            record.Node, new WriteConsole(vm, Encoding.UTF8.GetBytes(input.Text)), context.RequestAborted).ConfigureAwait(false);
        string problem = written?.Problem ?? $"node '{record.Node}' does not answer";
        await (problem.Length > 0 ? context.RejectAsync(StatusCodes.Status409Conflict, problem)
            : context.WriteAsync(input, RestJson.Default.ConsoleInput)).ConfigureAwait(false);
    }
}
