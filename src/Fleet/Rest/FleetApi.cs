using System.Globalization;
using System.Threading.Channels;
using Microsoft.AspNetCore.Http;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Rest;

/// <summary>The addresses of REST and what they answer (docs/rest.md). It knows the fleet's messages, and nothing of agents.</summary>
internal sealed class FleetApi(FleetNode node)
{
    /// <summary>The item of a request's context that has the name of whoever asks.</summary>
    public const string Asker = "asker";

    /// <summary>The item that has the role of whoever asks.</summary>
    public const string AskerRole = "role";

    private const string Vms = "/v1/vms";
    private const string Nodes = "/v1/nodes";
    private const string Vm = Vms + "/{vm}";
    private const string TextMedia = "text/plain";
    private const string Live = "/health/live";
    private const string Ready = "/health/ready";
    private const string IdempotencyKey = "Idempotency-Key";

    // How long an answer may be waited for, and how often it is looked for.
    private const int LongestWait = 60;
    // The events that wait for a client to read them.
    private const int MostEvents = 1000;

    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(50);

    private static readonly RestParameter s_key =
        new(IdempotencyKey, "string", "the id of the request: one that is known is not carried out again");

    private static readonly RestParameter s_match = new("If-Match", "string", "the ETag that the VM is to have");

    /// <summary>The addresses.</summary>
    public IEnumerable<RestEndpoint> Endpoints =>
    [
        new("GET", Live, null, "Whether the process runs", context => TellTextAsync(context, "ok")) { Media = [TextMedia] },
        new("GET", Ready, null, "Whether the node is a member of its cluster", TellReadyAsync) { Media = [TextMedia] },
        new("GET", Vms, RestRole.Viewer, "All VMs", ListAsync) { Result = typeof(VmRecord[]) },
        new("POST", Vms, RestRole.Admin, "Make a VM, which is not started", CreateAsync)
        {
            Body = typeof(NewVm), Result = typeof(VmRecord), Status = StatusCodes.Status201Created, Headers = [s_key],
        },
        new("GET", Vm, RestRole.Viewer, "A VM", context => TellAsync(context, context.Value("vm")))
        {
            Result = typeof(VmRecord), Headers = [new("If-None-Match", "string", "the ETag that is known: 304 while it holds")],
        },
        new("DELETE", Vm, RestRole.Admin, "Stop a VM and remove all of it", context => DoAsync(context, new NewOperation(VmAction.Delete)))
        {
            Result = typeof(VmOperation), Status = StatusCodes.Status202Accepted, Headers = [s_key, s_match],
        },
        new("POST", Vm + "/operations", RestRole.Operator, "Do something with a VM", DoAsync)
        {
            Body = typeof(NewOperation), Result = typeof(VmOperation), Status = StatusCodes.Status202Accepted, Headers = [s_key, s_match],
        },
        new("GET", Vm + "/operations/{id}", RestRole.Viewer, "How an operation stands", GetOperationAsync)
        {
            Result = typeof(VmOperation), Query = [new("wait", "integer", $"seconds that the end is waited for, at most {LongestWait}")],
        },
        new("PUT", Vm + "/scaling", RestRole.Operator, "Let the number of CPUs follow the load", async context =>
            await ScaleAsync(context, await context.ReadAsync(RestJson.Default.ScalingSpec).ConfigureAwait(false)).ConfigureAwait(false))
        {
            Body = typeof(ScalingSpec), Result = typeof(VmRecord),
        },
        new("DELETE", Vm + "/scaling", RestRole.Operator, "Leave the number of CPUs as it is", context => ScaleAsync(context, null))
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
        new("GET", "/v1/events", RestRole.Viewer, "Server-sent events: vm, operation, scaling", TellEventsAsync)
        {
            Media = [EventStream.Media],
        },
        new("GET", "/v1/node", RestRole.Viewer, "What the node that is asked sees of its VMs", async context =>
            await context.WriteAsync(await node.ReportAsync(context.RequestAborted).ConfigureAwait(false), RestJson.Default.NodeReport)
                .ConfigureAwait(false))
        {
            Result = typeof(NodeReport),
        },
    ];

    private Task TellReadyAsync(HttpContext context)
    {
        context.Response.StatusCode = node.IsUp ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        return TellTextAsync(context, node.IsUp ? "ok" : "the node has not joined its cluster");
    }

    private static Task TellTextAsync(HttpContext context, string text)
    {
        context.Response.ContentType = TextMedia;
        return context.Response.WriteAsync(text);
    }

    private async Task ScaleAsync(HttpContext context, ScalingSpec? scaling)
    {
        IFleetMessage answer = await node.AskAsync(new SetScaling(context.Value("vm"), scaling), context.RequestAborted)
            .ConfigureAwait(false);
        await (answer is VmRecord record ? context.WriteAsync(record, RestJson.Default.VmRecord) : context.RejectAsync(answer))
            .ConfigureAwait(false);
    }

    private async Task DoAsync(HttpContext context)
    {
        NewOperation asked = await context.ReadAsync(RestJson.Default.NewOperation).ConfigureAwait(false);
        if (asked.Action == VmAction.Delete)
        {
            throw new BadHttpRequestException("a VM is deleted by DELETE of its address");
        }

        await DoAsync(context, asked).ConfigureAwait(false);
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

    private async Task ListAsync(HttpContext context)
    {
        IFleetMessage[] answers = await Task.WhenAll(
            (await node.ListAsync().ConfigureAwait(false)).Select(vm => node.AskAsync(new GetVm(vm), context.RequestAborted)))
            .ConfigureAwait(false);
        await context.WriteAsync(
            [.. answers.OfType<VmRecord>().OrderBy(r => r.Vm, StringComparer.Ordinal)], RestJson.Default.VmRecordArray)
            .ConfigureAwait(false);
    }

    private async Task CreateAsync(HttpContext context)
    {
        NewVm asked = await context.ReadAsync(RestJson.Default.NewVm).ConfigureAwait(false);
        if (!FleetNames.IsVm(asked.Name))
        {
            throw new BadHttpRequestException($"name: a VM is called {FleetNames.VmRule}");
        }

        IFleetMessage answer = await node.AskAsync(
            new CreateVm(
                asked.Name, IdOf(context), asked.Owner ?? (string)context.Items[Asker]!, asked.Node ?? "", asked.Policy, asked.Spec),
            context.RequestAborted).ConfigureAwait(false);
        if (answer is not VmOperation)
        {
            await context.RejectAsync(answer).ConfigureAwait(false);
            return;
        }

        context.Response.StatusCode = StatusCodes.Status201Created;
        context.Response.Headers.Location = $"{Vms}/{asked.Name}";
        await TellAsync(context, asked.Name).ConfigureAwait(false);
    }

    private async Task TellAsync(HttpContext context, string vm)
    {
        IFleetMessage answer = await node.AskAsync(new GetVm(vm), context.RequestAborted).ConfigureAwait(false);
        if (answer is not VmRecord record)
        {
            await context.RejectAsync(answer).ConfigureAwait(false);
            return;
        }

        string tag = record.Tag();
        context.Response.Headers.ETag = tag;
        if (context.Request.Headers.IfNoneMatch == tag)
        {
            context.Response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        await context.WriteAsync(record, RestJson.Default.VmRecord).ConfigureAwait(false);
    }

    private async Task DoAsync(HttpContext context, NewOperation asked)
    {
        string vm = context.Value("vm");
        string condition = context.Request.Headers.IfMatch.ToString();
        IFleetMessage answer = await node.AskAsync(
            new CommandVm(vm, IdOf(context), asked.Action, asked.Number, asked.Text, condition == "*" ? "" : condition),
            context.RequestAborted).ConfigureAwait(false);
        if (answer is not VmOperation operation)
        {
            await context.RejectAsync(answer).ConfigureAwait(false);
            return;
        }

        context.Response.StatusCode = StatusCodes.Status202Accepted;
        context.Response.Headers.Location = $"{Vms}/{vm}/operations/{operation.Id}";
        await context.WriteAsync(operation, RestJson.Default.VmOperation).ConfigureAwait(false);
    }

    // With ?wait=SECONDS it answers when the operation has ended, or the time is over.
    private async Task GetOperationAsync(HttpContext context)
    {
        string wait = context.Request.Query["wait"].ToString();
        if (!int.TryParse(wait.Length == 0 ? "0" : wait, NumberStyles.None, CultureInfo.InvariantCulture, out int seconds)
            || seconds > LongestWait)
        {
            throw new BadHttpRequestException($"wait: give 0 to {LongestWait} seconds");
        }

        long end = Environment.TickCount64 + (seconds * 1000L);
        var query = new GetOperation(context.Value("vm"), context.Value("id"));
        IFleetMessage answer = await node.AskAsync(query, context.RequestAborted).ConfigureAwait(false);
        while (answer is VmOperation { IsDone: false } && Environment.TickCount64 < end)
        {
            await Task.Delay(s_look, context.RequestAborted).ConfigureAwait(false);
            answer = await node.AskAsync(query, context.RequestAborted).ConfigureAwait(false);
        }

        await (answer is VmOperation operation ? context.WriteAsync(operation, RestJson.Default.VmOperation)
            : context.RejectAsync(answer)).ConfigureAwait(false);
    }

    // What the node sees of its VMs, first as it is and then each change.
    private async Task TellEventsAsync(HttpContext context)
    {
        var happened = Channel.CreateBounded<IFleetMessage>(MostEvents);
        using IDisposable subscription = node.Subscribe(message =>
        {
            // Whoever does not read gets the end.
            if (message is not VmTimes && !happened.Writer.TryWrite(message))
            {
                happened.Writer.TryComplete();
            }
        });
        NodeReport now = await node.ReportAsync(context.RequestAborted).ConfigureAwait(false);
        using var events = new EventStream(context);
        Task alive = events.ShowAliveAsync();
        try
        {
            foreach (VmReport report in now.Vms)
            {
                await events.SendAsync("vm", report).ConfigureAwait(false);
            }

            await foreach (IFleetMessage message in happened.Reader.ReadAllAsync(events.Gone).ConfigureAwait(false))
            {
                await events.SendAsync(message is VmScaled ? "scaling" : message is VmOperation ? "operation" : "vm", message)
                    .ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (events.Gone.IsCancellationRequested)
        {
            // Nobody listens, or the node ends.
        }
        finally
        {
            await events.EndAsync(alive).ConfigureAwait(false);
        }
    }

    private static string IdOf(HttpContext context) =>
        context.Request.Headers[IdempotencyKey].ToString() is { Length: > 0 } id ? id : Guid.NewGuid().ToString("N");
}
