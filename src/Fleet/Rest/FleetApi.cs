using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Rest;

/// <summary>The addresses of REST and what they answer (docs/rest.md). It knows the fleet's messages, and nothing of agents.</summary>
internal sealed class FleetApi(FleetNode node)
{
    /// <summary>The item of a request's context that has the name of whoever asks.</summary>
    public const string Asker = "asker";

    private const string Vms = "/v1/vms";
    private const string Nodes = "/v1/nodes";
    private const string Live = "/health/live";
    private const string Ready = "/health/ready";
    private const string IdempotencyKey = "Idempotency-Key";

    // How long an answer may be waited for, and how often it is looked for.
    private const int LongestWait = 60;
    // The events that wait for a client to read them.
    private const int MostEvents = 1000;

    // How often a connection without events is shown to live.
    private static readonly TimeSpan s_alive = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(50);

    /// <summary>Whether an address is answered without a token.</summary>
    public static bool IsPublic(PathString path) => path == Live || path == Ready;

    /// <summary>What whoever asks has to be.</summary>
    public static RestRole RoleFor(HttpRequest request) =>
        HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method) ? RestRole.Viewer
        : HttpMethods.IsPost(request.Method) && request.Path != Vms ? RestRole.Operator : RestRole.Admin;

    public void Map(IEndpointRouteBuilder app)
    {
        app.MapGet(Live, context => context.Response.WriteAsync("ok"));
        app.MapGet(Ready, context =>
        {
            context.Response.StatusCode = node.IsUp ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
            return context.Response.WriteAsync(node.IsUp ? "ok" : "the node has not joined its cluster");
        });
        app.MapGet(Vms, ListAsync);
        app.MapPost(Vms, CreateAsync);
        app.MapGet(Vms + "/{vm}", GetAsync);
        app.MapDelete(Vms + "/{vm}", context => DoAsync(context, new NewOperation(VmAction.Delete)));
        app.MapPost(Vms + "/{vm}/operations", async context =>
        {
            NewOperation asked = await ReadAsync(context, RestJson.Default.NewOperation).ConfigureAwait(false);
            if (asked.Action == VmAction.Delete)
            {
                throw new BadHttpRequestException("a VM is deleted by DELETE of its address");
            }

            await DoAsync(context, asked).ConfigureAwait(false);
        });
        app.MapGet(Vms + "/{vm}/operations/{id}", GetOperationAsync);
        app.MapGet(Nodes, async context => await WriteAsync(
            context, [.. await node.NodesAsync(context.RequestAborted).ConfigureAwait(false)], RestJson.Default.NodeStatusArray)
            .ConfigureAwait(false));
        app.MapPut(Nodes + "/{node}", SetNodeAsync);
        app.MapGet("/v1/events", TellEventsAsync);
        app.MapGet("/v1/node", async context =>
            await WriteAsync(context, await node.ReportAsync(context.RequestAborted).ConfigureAwait(false), RestJson.Default.NodeReport)
                .ConfigureAwait(false));
    }

    private async Task SetNodeAsync(HttpContext context)
    {
        NodeChange asked = await ReadAsync(context, RestJson.Default.NodeChange).ConfigureAwait(false);
        string name = Value(context, "node");
        NodeStatus? status = await node.SetTakesVmsAsync(name, asked.TakesVms, context.RequestAborted).ConfigureAwait(false);
        await (status != null ? WriteAsync(context, status, RestJson.Default.NodeStatus)
            : RejectAsync(context, StatusCodes.Status404NotFound, $"there is no node '{name}' now")).ConfigureAwait(false);
    }

    private async Task ListAsync(HttpContext context)
    {
        IFleetMessage[] answers = await Task.WhenAll(
            (await node.ListAsync().ConfigureAwait(false)).Select(vm => node.AskAsync(new GetVm(vm), context.RequestAborted)))
            .ConfigureAwait(false);
        await WriteAsync(
            context, [.. answers.OfType<VmRecord>().OrderBy(r => r.Vm, StringComparer.Ordinal)], RestJson.Default.VmRecordArray)
            .ConfigureAwait(false);
    }

    private async Task CreateAsync(HttpContext context)
    {
        NewVm asked = await ReadAsync(context, RestJson.Default.NewVm).ConfigureAwait(false);
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
            await RejectAsync(context, answer).ConfigureAwait(false);
            return;
        }

        context.Response.StatusCode = StatusCodes.Status201Created;
        context.Response.Headers.Location = $"{Vms}/{asked.Name}";
        await TellAsync(context, asked.Name).ConfigureAwait(false);
    }

    private Task GetAsync(HttpContext context) => TellAsync(context, Value(context, "vm"));

    private async Task TellAsync(HttpContext context, string vm)
    {
        IFleetMessage answer = await node.AskAsync(new GetVm(vm), context.RequestAborted).ConfigureAwait(false);
        if (answer is not VmRecord record)
        {
            await RejectAsync(context, answer).ConfigureAwait(false);
            return;
        }

        string tag = TagOf(record);
        context.Response.Headers.ETag = tag;
        if (context.Request.Headers.IfNoneMatch == tag)
        {
            context.Response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        await WriteAsync(context, record, RestJson.Default.VmRecord).ConfigureAwait(false);
    }

    private async Task DoAsync(HttpContext context, NewOperation asked)
    {
        string vm = Value(context, "vm");
        string condition = context.Request.Headers.IfMatch.ToString();
        if (condition.Length > 0)
        {
            IFleetMessage now = await node.AskAsync(new GetVm(vm), context.RequestAborted).ConfigureAwait(false);
            if (now is VmRecord record && condition != "*" && condition != TagOf(record))
            {
                await RejectAsync(context, StatusCodes.Status412PreconditionFailed, "the VM has changed since").ConfigureAwait(false);
                return;
            }
        }

        IFleetMessage answer = await node.AskAsync(
            new CommandVm(vm, IdOf(context), asked.Action, asked.Number, asked.Text), context.RequestAborted).ConfigureAwait(false);
        if (answer is not VmOperation operation)
        {
            await RejectAsync(context, answer).ConfigureAwait(false);
            return;
        }

        context.Response.StatusCode = StatusCodes.Status202Accepted;
        context.Response.Headers.Location = $"{Vms}/{vm}/operations/{operation.Id}";
        await WriteAsync(context, operation, RestJson.Default.VmOperation).ConfigureAwait(false);
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
        var query = new GetOperation(Value(context, "vm"), Value(context, "id"));
        IFleetMessage answer = await node.AskAsync(query, context.RequestAborted).ConfigureAwait(false);
        while (answer is VmOperation { IsDone: false } && Environment.TickCount64 < end)
        {
            await Task.Delay(s_look, context.RequestAborted).ConfigureAwait(false);
            answer = await node.AskAsync(query, context.RequestAborted).ConfigureAwait(false);
        }

        await (answer is VmOperation operation ? WriteAsync(context, operation, RestJson.Default.VmOperation)
            : RejectAsync(context, answer)).ConfigureAwait(false);
    }

    // Server-sent events (HTML, "Server-sent events"): what the node sees of its VMs, first as it is and then each change.
    private async Task TellEventsAsync(HttpContext context)
    {
        CancellationToken gone = context.RequestAborted;
        var happened = Channel.CreateBounded<IFleetMessage>(MostEvents);
        using IDisposable subscription = node.Subscribe(report =>
        {
            // Whoever does not read gets the end.
            if (!happened.Writer.TryWrite(report))
            {
                happened.Writer.TryComplete();
            }
        });
        NodeReport now = await node.ReportAsync(gone).ConfigureAwait(false);
        context.Response.ContentType = "text/event-stream";
        context.Response.Headers.CacheControl = "no-store";
        foreach (VmReport report in now.Vms)
        {
            await TellEventAsync(context, report).ConfigureAwait(false);
        }

        await context.Response.Body.FlushAsync(gone).ConfigureAwait(false);
        while (true)
        {
            Task<bool> next = happened.Reader.WaitToReadAsync(gone).AsTask();
            while (await Task.WhenAny(next, Task.Delay(s_alive, gone)).ConfigureAwait(false) != next)
            {
                // A comment, by which both sides find a lost connection.
                gone.ThrowIfCancellationRequested();
                await context.Response.WriteAsync(":\n\n", gone).ConfigureAwait(false);
            }

            if (!await next.ConfigureAwait(false))
            {
                return;
            }

            while (happened.Reader.TryRead(out IFleetMessage? report))
            {
                await TellEventAsync(context, report).ConfigureAwait(false);
            }

            await context.Response.Body.FlushAsync(gone).ConfigureAwait(false);
        }
    }

    private static Task TellEventAsync(HttpContext context, IFleetMessage happened) => context.Response.WriteAsync(
        $"event: {(happened is VmScaled ? "scaling" : "vm")}\n"
        + $"data: {JsonSerializer.Serialize(happened, happened.GetType(), RestJson.Default)}\n\n", context.RequestAborted);

    private static string TagOf(VmRecord record) => string.Create(CultureInfo.InvariantCulture, $"\"{record.Version}\"");

    // A name that no VM can have is one that there is not.
    private static string Value(HttpContext context, string name) => (string)context.Request.RouteValues[name]!;

    private static string IdOf(HttpContext context) =>
        context.Request.Headers[IdempotencyKey].ToString() is { Length: > 0 } id ? id : Guid.NewGuid().ToString("N");

    private static async Task<T> ReadAsync<T>(HttpContext context, JsonTypeInfo<T> type)
    {
        if (!context.Request.HasJsonContentType())
        {
            throw new BadHttpRequestException("give a body of application/json", StatusCodes.Status415UnsupportedMediaType);
        }

        try
        {
            return await context.Request.ReadFromJsonAsync(type, context.RequestAborted).ConfigureAwait(false)
                ?? throw new BadHttpRequestException("the body is null");
        }
        catch (JsonException e)
        {
            throw new BadHttpRequestException($"the body: {e.Message}");
        }
    }

    private static Task WriteAsync<T>(HttpContext context, T value, JsonTypeInfo<T> type) =>
        context.Response.WriteAsJsonAsync(value, type, cancellationToken: context.RequestAborted);

    private static Task RejectAsync(HttpContext context, IFleetMessage answer) => answer is VmRejected rejected
        ? RejectAsync(
            context,
            rejected.Code switch
            {
                VmRejectionCode.NotFound => StatusCodes.Status404NotFound,
                VmRejectionCode.Exists => StatusCodes.Status409Conflict,
                VmRejectionCode.Invalid => StatusCodes.Status422UnprocessableEntity,
                _ => StatusCodes.Status503ServiceUnavailable,
            },
            rejected.Reason)
        : throw new InvalidOperationException($"a record answered with {answer.GetType().Name}");

    private static Task RejectAsync(HttpContext context, int status, string detail)
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(
            new ProblemDetails { Status = status, Detail = detail }, RestJson.Default.ProblemDetails, "application/problem+json");
    }
}
