using System.Diagnostics;
using System.Globalization;
using System.Threading.Channels;
using Microsoft.AspNetCore.Http;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Records;
using Vmm.Fleet.Telemetry;

namespace Vmm.Fleet.Rest;

/// <summary>
/// The addresses of REST that are about VMs that there are, and what they answer (docs/rest.md): those of a fleet, or one by itself. It
/// knows the fleet's messages, and nothing of agents.
/// </summary>
internal sealed class VmApi(IVms vms)
{
    /// <summary>All VMs.</summary>
    public const string Vms = "/v1/vms";

    /// <summary>One of them.</summary>
    public const string Vm = Vms + "/{vm}";

    private const string Operations = Vm + "/operations";

    private const string TextMedia = "text/plain";
    private const string Live = "/health/live";
    private const string Ready = "/health/ready";
    private const string IdempotencyKey = "Idempotency-Key";

    // How long an answer may be waited for, and how often it is looked for.
    private const int LongestWait = 60;
    // The events that wait for a client to read them.
    private const int MostEvents = 10_000;

    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(50);

    /// <summary>The header with the id of a request.</summary>
    public static readonly RestParameter Key =
        new(IdempotencyKey, "string", "the id of the request: one that is known is not carried out again");

    /// <summary>The header with the version that a request is meant for.</summary>
    public static readonly RestParameter Match = new("If-Match", "string", "the ETag that the VM is to have");

    private static readonly RestParameter s_trace =
        new("traceparent", "string", "the trace that a change of CPUs is to be part of (W3C Trace Context)");

    /// <summary>The addresses.</summary>
    public IEnumerable<RestEndpoint> Endpoints =>
    [
        new("GET", Live, null, "Whether the process runs", context => TellTextAsync(context, "ok")) { Media = [TextMedia] },
        new("GET", Ready, null, "Whether the node is a member of its cluster", TellReadyAsync) { Media = [TextMedia] },
        new("GET", Vms, RestRole.Viewer, "All VMs", ListAsync) { Result = typeof(VmRecord[]) },
        new("GET", Vm, RestRole.Viewer, "A VM", context => TellAsync(context, context.Value("vm")))
        {
            Result = typeof(VmRecord), Headers = [new("If-None-Match", "string", "the ETag that is known: 304 while it holds")],
        },
        new("POST", Operations, RestRole.Operator, "Do something with a VM", DoAsync)
        {
            Body = typeof(NewOperation), Result = typeof(VmOperation), Status = StatusCodes.Status202Accepted,
            Headers = [Key, Match, s_trace],
        },
        new("GET", Operations + "/{id}", RestRole.Viewer, "How an operation stands", GetOperationAsync)
        {
            Result = typeof(VmOperation), Query = [new("wait", "integer", $"seconds that the end is waited for, at most {LongestWait}")],
        },
        new("GET", "/v1/events", RestRole.Viewer, "Server-sent events: vm, operation, scaling", TellEventsAsync)
        {
            Media = [EventStream.Media],
        },
        new("GET", "/v1/node", RestRole.Viewer, "What the node that is asked sees of its VMs", async context =>
            await context.WriteAsync(await vms.ReportAsync(context.RequestAborted).ConfigureAwait(false), RestJson.Default.NodeReport)
                .ConfigureAwait(false))
        {
            Result = typeof(NodeReport),
        },
    ];

    private Task TellReadyAsync(HttpContext context)
    {
        context.Response.StatusCode = vms.IsUp ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        return TellTextAsync(context, vms.IsUp ? "ok" : "the node has not joined its cluster");
    }

    private static Task TellTextAsync(HttpContext context, string text)
    {
        context.Response.ContentType = TextMedia;
        return context.Response.WriteAsync(text);
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

    private async Task ListAsync(HttpContext context)
    {
        IFleetMessage[] answers = await Task.WhenAll(
            (await vms.ListAsync().ConfigureAwait(false)).Select(vm => vms.AskAsync(new GetVm(vm), context.RequestAborted)))
            .ConfigureAwait(false);
        await context.WriteAsync(
            [.. answers.OfType<VmRecord>().OrderBy(r => r.Vm, StringComparer.Ordinal)], RestJson.Default.VmRecordArray)
            .ConfigureAwait(false);
    }

    /// <summary>Answers with a VM.</summary>
    public async Task TellAsync(HttpContext context, string vm)
    {
        IFleetMessage answer = await vms.AskAsync(new GetVm(vm), context.RequestAborted).ConfigureAwait(false);
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

    /// <summary>Has something done with a VM, and answers with the operation.</summary>
    public async Task DoAsync(HttpContext context, NewOperation asked)
    {
        string vm = context.Value("vm");
        string condition = context.Request.Headers.IfMatch.ToString();
        string trace = asked.Action is VmAction.Resize or VmAction.Plug or VmAction.Unplug or VmAction.Enable or VmAction.Disable
            ? Trace(context, vm, asked.Action) : "";
        IFleetMessage answer = await vms.AskAsync(
            new CommandVm(vm, IdOf(context), asked.Action, asked.Number, asked.Text, condition == "*" ? "" : condition, trace),
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

    // Begins the span of a request, which ends with the answer; returns the trace for those who go on with it.
    private static string Trace(HttpContext context, string vm, VmAction action)
    {
        Activity? span = FleetTraces.BeginRequest(
            $"POST {Operations}", context.Request.Headers.TraceParent.ToString(),
            ("http.request.method", context.Request.Method), ("http.route", Operations), ("vmm.vm", vm), ("vmm.action", $"{action}"));
        context.Response.OnCompleted(() =>
        {
            span?.SetTag("http.response.status_code", context.Response.StatusCode).Dispose();
            return Task.CompletedTask;
        });
        return FleetTraces.TraceOf(span);
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
        IFleetMessage answer = await vms.AskAsync(query, context.RequestAborted).ConfigureAwait(false);
        while (answer is VmOperation { IsDone: false } && Environment.TickCount64 < end)
        {
            await Task.Delay(s_look, context.RequestAborted).ConfigureAwait(false);
            answer = await vms.AskAsync(query, context.RequestAborted).ConfigureAwait(false);
        }

        await (answer is VmOperation operation ? context.WriteAsync(operation, RestJson.Default.VmOperation)
            : context.RejectAsync(answer)).ConfigureAwait(false);
    }

    // What the nodes see of their VMs, first as it is and then each change.
    private async Task TellEventsAsync(HttpContext context)
    {
        var happened = Channel.CreateBounded<IFleetMessage>(MostEvents);
        using IDisposable subscription = vms.Follow(message =>
        {
            // Whoever does not read gets the end.
            if (!happened.Writer.TryWrite(message))
            {
                happened.Writer.TryComplete();
            }
        });
        using var events = new EventStream(context);
        Task alive = events.ShowAliveAsync();
        try
        {
            await foreach (IFleetMessage message in happened.Reader.ReadAllAsync(events.Gone).ConfigureAwait(false))
            {
                await (message switch
                {
                    VmSeen { Report: var vm } seen => events.SendAsync(
                        "vm", new VmAtNode(seen.Node, seen.Vm, vm.State, vm.Detail, vm.Process, vm.EnabledCpus)),
                    VmScaled => events.SendAsync("scaling", message),
                    VmOperation => events.SendAsync("operation", message),
                    _ => Task.CompletedTask,
                }).ConfigureAwait(false);
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

    /// <summary>The id of a request: a new one if it has none.</summary>
    public static string IdOf(HttpContext context) =>
        context.Request.Headers[IdempotencyKey].ToString() is { Length: > 0 } id ? id : Guid.NewGuid().ToString("N");
}
