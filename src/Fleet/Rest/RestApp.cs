using Akka.Actor;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Serilog;
using Vmm.Fleet.Records;
using BadHttpRequestException = Microsoft.AspNetCore.Http.BadHttpRequestException;

namespace Vmm.Fleet.Rest;

/// <summary>What serves the addresses of REST, with their reference; what is wrong is told as problem details (RFC 9457).</summary>
internal static class RestApp
{
    // A specification with many disks is far smaller.
    private const int LargestBody = 64 << 10;

    /// <param name="endpoints">All that the reference has.</param>
    /// <param name="more">Says where it listens, and what it needs beside that.</param>
    /// <param name="guard">Answers who may not ask; others by <see cref="AnswerAsync"/>. It sets the asker.</param>
    public static WebApplication Build(
        IReadOnlyList<RestEndpoint> endpoints, Action<WebApplicationBuilder> more, Func<HttpContext, RequestDelegate, Task> guard)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.ConfigureHttpJsonOptions(o => o.SerializerOptions.TypeInfoResolverChain.Insert(0, RestJson.Default));
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = LargestBody;
        });
        more(builder);
        WebApplication app = builder.Build();
        app.Use(guard);
        Array.ForEach([.. endpoints, .. ReferenceApi.Of(endpoints)], endpoint => endpoint.Map(app));
        return app;
    }

    /// <summary>Answers a request of somebody who may ask.</summary>
    public static async Task AnswerAsync(HttpContext context, RequestDelegate next)
    {
        try
        {
            await next(context).ConfigureAwait(false);
            if (context.Response is { StatusCode: >= 400, HasStarted: false, ContentLength: null })
            {
                await context.RejectAsync(context.Response.StatusCode, "there is no such address or method").ConfigureAwait(false);
            }
        }
        catch (BadHttpRequestException e)
        {
            await context.RejectAsync(e.StatusCode, e.InnerException?.Message ?? e.Message).ConfigureAwait(false);
        }
        catch (AskTimeoutException)
        {
            await context.RejectAsync(
                StatusCodes.Status503ServiceUnavailable, "the record does not answer: repeat the request with its id")
                .ConfigureAwait(false);
        }
        catch (RecordsException e)
        {
            Log.Warning("{Method} {Path}: {Reason}", context.Request.Method, context.Request.Path.Value, e.Message);
            await context.RejectAsync(StatusCodes.Status503ServiceUnavailable, "the database does not answer: repeat the request")
                .ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody waits for the answer.
        }
        catch (Exception e)
        {
            Log.Error(e, "{Method} {Path} failed", context.Request.Method, context.Request.Path.Value);
            await context.RejectAsync(StatusCodes.Status500InternalServerError, "an internal error, which the log describes")
                .ConfigureAwait(false);
        }
    }
}
