using System.Net;
using System.Security.Cryptography.X509Certificates;
using Akka.Actor;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Serilog;
using Vmm.Fleet.Cluster;
using Vmm.Management.Text;
using BadHttpRequestException = Microsoft.AspNetCore.Http.BadHttpRequestException;

namespace Vmm.Fleet.Rest;

/// <summary>
/// REST of a node. Whoever asks has a bearer token, but for the health of the node; what is wrong is told as problem details (RFC 9457).
/// </summary>
public sealed class RestServer : IAsyncDisposable
{
    // A specification with many disks is far smaller.
    private const int LargestBody = 64 << 10;

    private readonly WebApplication _app;

    private RestServer(WebApplication app) => _app = app;

    /// <summary>The addresses at which it is served.</summary>
    public IReadOnlyList<string> Addresses => [.. _app.Urls];

    /// <summary>Starts to serve.</summary>
    /// <exception cref="NodeConfigException">An address cannot be listened at, or a certificate or token cannot be read.</exception>
    public static async Task<RestServer> StartAsync(NodeConfig config, FleetNode node)
    {
        var tokens = RestTokens.Load(config.Tokens ?? Path.Combine(config.Folder, "tokens"));
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.ConfigureHttpJsonOptions(o => o.SerializerOptions.TypeInfoResolverChain.Insert(0, RestJson.Default));
        builder.WebHost.ConfigureKestrel(kestrel => Listen(kestrel, config));
        WebApplication app = builder.Build();
        app.Use((context, next) => GuardAsync(context, tokens, next));
        new FleetApi(node).Map(app);
        try
        {
            await app.StartAsync().ConfigureAwait(false);
            return new RestServer(app);
        }
        catch (IOException e)
        {
            await app.DisposeAsync().ConfigureAwait(false);
            throw new NodeConfigException($"listen: {SystemError.Describe(e)}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        await _app.StopAsync(limit.Token).ConfigureAwait(false);
        await _app.DisposeAsync().ConfigureAwait(false);
    }

    private static void Listen(KestrelServerOptions kestrel, NodeConfig config)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = LargestBody;
        foreach (Uri address in config.Addresses)
        {
            kestrel.Listen(IPAddress.Parse(address.DnsSafeHost), address.Port, options =>
            {
                if (address.Scheme == "https")
                {
                    options.UseHttps(X509Certificate2.CreateFromPemFile(config.Certificate!, config.Key));
                }
            });
        }
    }

    private static async Task GuardAsync(HttpContext context, RestTokens tokens, RequestDelegate next)
    {
        try
        {
            if (!FleetApi.IsPublic(context.Request.Path))
            {
                const string Scheme = "Bearer ";
                string header = context.Request.Headers.Authorization.ToString();
                if (!header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase)
                    || tokens.Find(header[Scheme.Length..].Trim()) is not { } known)
                {
                    context.Response.Headers.WWWAuthenticate = "Bearer";
                    await ProblemAsync(context, StatusCodes.Status401Unauthorized, "give a token: Authorization: Bearer TOKEN")
                        .ConfigureAwait(false);
                    return;
                }

                RestRole needed = FleetApi.RoleFor(context.Request);
                if (known.Role < needed)
                {
                    await ProblemAsync(
                        context, StatusCodes.Status403Forbidden, $"the token is of a {known.Role}; it takes one of a {needed}")
                        .ConfigureAwait(false);
                    return;
                }

                context.Items[FleetApi.Asker] = known.Name;
                if (!HttpMethods.IsGet(context.Request.Method))
                {
                    Log.Information("{Name} asks: {Method} {Path}", known.Name, context.Request.Method, context.Request.Path.Value);
                }
            }

            await next(context).ConfigureAwait(false);
            if (context.Response is { StatusCode: >= 400, HasStarted: false, ContentLength: null })
            {
                await ProblemAsync(context, context.Response.StatusCode, "there is no such address or method").ConfigureAwait(false);
            }
        }
        catch (BadHttpRequestException e)
        {
            await ProblemAsync(context, e.StatusCode, e.InnerException?.Message ?? e.Message).ConfigureAwait(false);
        }
        catch (AskTimeoutException)
        {
            await ProblemAsync(
                context, StatusCodes.Status503ServiceUnavailable, "the record of the VM does not answer: repeat the request with its id")
                .ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody waits for the answer.
        }
        catch (Exception e)
        {
            Log.Error(e, "{Method} {Path} failed", context.Request.Method, context.Request.Path.Value);
            await ProblemAsync(context, StatusCodes.Status500InternalServerError, "an internal error, which the log describes")
                .ConfigureAwait(false);
        }
    }

    private static Task ProblemAsync(HttpContext context, int status, string detail)
    {
        if (context.Response.HasStarted)
        {
            context.Abort();
            return Task.CompletedTask;
        }

        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(
            new ProblemDetails { Status = status, Detail = detail }, RestJson.Default.ProblemDetails, "application/problem+json");
    }
}
