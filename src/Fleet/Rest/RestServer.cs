using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Telemetry;
using Vmm.Management.Certificates;
using Vmm.Management.Text;

namespace Vmm.Fleet.Rest;

/// <summary>
/// REST of a node. Whoever asks has a bearer token, but for the health of the node; what is wrong is told as problem details (RFC 9457).
/// </summary>
public sealed class RestServer : IAsyncDisposable
{
    // The fleet's, and those of .NET: the process, its threads, HTTP.
    private static readonly string[] s_meters =
        [FleetMetrics.MeterName, "System.Runtime", "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel"];

    private static readonly RestEndpoint s_metrics =
        new("GET", "/metrics", RestRole.Viewer, "Figures of the node, for Prometheus", null) { Media = ["text/plain"] };

    private readonly WebApplication _app;
    private readonly AuditLog _audit;
    private readonly FleetMetrics _metrics;
    private readonly IDisposable _subscription;

    private RestServer(WebApplication app, AuditLog audit, FleetMetrics metrics, IDisposable subscription) =>
        (_app, _audit, _metrics, _subscription) = (app, audit, metrics, subscription);

    /// <summary>The addresses at which it is served.</summary>
    public IReadOnlyList<string> Addresses => [.. _app.Urls];

    /// <summary>Starts to serve.</summary>
    /// <exception cref="NodeConfigException">An address cannot be listened at, or a certificate or token cannot be read.</exception>
    public static async Task<RestServer> StartAsync(NodeConfig config, FleetNode node)
    {
        RestTls? tls = RestTls.Open(config);
        WatchedFiles<RestTokens> tokens = RestTokens.Open(config.Tokens ?? Path.Combine(config.Folder, "tokens"));
        var audit = new AuditLog(Path.Combine(config.Folder, "audit"));
        var vms = new VmApi(node);
        WebApplication app = RestApp.Build(
            [
                .. vms.Endpoints,
                .. new FleetApi(node, vms).Endpoints,
                .. new WatchApi(node).Endpoints,
                .. new AccountApi(node, config.Tariff).Endpoints,
                s_metrics,
            ],
            builder =>
            {
                OpenTelemetryBuilder telemetry = builder.Services.AddOpenTelemetry()
                    .WithMetrics(metrics => metrics.AddMeter(s_meters).AddPrometheusExporter());
                if (config.Traces is { } collector)
                {
                    telemetry.WithTracing(traces => FleetTraces.Export(traces, config.Name, collector));
                }

                builder.WebHost.ConfigureKestrel(kestrel => Listen(kestrel, config, tls));
            },
            (context, next) => GuardAsync(context, tokens, tls, audit, next));
        Array.ForEach([.. PageFiles.Endpoints], endpoint => endpoint.Map(app));
        app.MapPrometheusScrapingEndpoint(s_metrics.Path).WithMetadata(s_metrics);
        try
        {
            await app.StartAsync().ConfigureAwait(false);
            return new RestServer(app, audit, new FleetMetrics(node), node.Subscribe(happened =>
            {
                if (happened is VmOperation operation)
                {
                    audit.Add(operation);
                }
            }));
        }
        catch (IOException e)
        {
            audit.Dispose();
            await app.DisposeAsync().ConfigureAwait(false);
            throw new NodeConfigException($"listen: {SystemError.Describe(e)}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        await _app.StopAsync(limit.Token).ConfigureAwait(false);
        await _app.DisposeAsync().ConfigureAwait(false);
        _subscription.Dispose();
        _metrics.Dispose();
        _audit.Dispose();
    }

    private static void Listen(KestrelServerOptions kestrel, NodeConfig config, RestTls? tls)
    {
        foreach (Uri address in config.Addresses)
        {
            kestrel.Listen(IPAddress.Parse(address.DnsSafeHost), address.Port, options =>
            {
                if (address.Scheme == "https")
                {
                    options.UseHttps(tls!.Options);
                }
            });
        }
    }

    private static async Task GuardAsync(
        HttpContext context, WatchedFiles<RestTokens> tokens, RestTls? tls, AuditLog audit, RequestDelegate next)
    {
        RestEndpoint? endpoint = context.GetEndpoint()?.Metadata.GetMetadata<RestEndpoint>();
        if (endpoint is { Role: null })
        {
            await RestApp.AnswerAsync(context, next).ConfigureAwait(false);
            return;
        }

        // A token says more than the certificate of the program that sends it.
        const string Scheme = "Bearer ";
        string header = context.Request.Headers.Authorization.ToString();
        Asker? known = header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? tokens.Value.Find(header[Scheme.Length..].Trim())
            : header.Length == 0 ? tls?.Find(context.Connection.ClientCertificate) : null;
        if (known == null)
        {
            context.Response.Headers.WWWAuthenticate = "Bearer";
            await context.RejectAsync(StatusCodes.Status401Unauthorized, "give a token: Authorization: Bearer TOKEN")
                .ConfigureAwait(false);
            return;
        }

        context.SetAsker(known);
        if (known.Role < endpoint?.Role)
        {
            await context.RejectAsync(
                StatusCodes.Status403Forbidden, $"it takes the role {endpoint.Role}; yours is {known.Role}").ConfigureAwait(false);
        }
        else
        {
            await RestApp.AnswerAsync(context, next).ConfigureAwait(false);
        }

        if (!HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsHead(context.Request.Method))
        {
            audit.Add(context, known.Name, known.Role);
        }
    }
}
