using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Vmm.Fleet.Rest;

namespace Vmm.Fleet.Single;

/// <summary>
/// REST of one VM (<c>vmm run -api</c>), with the addresses and documents of a node that make sense for it. Whoever opens the socket may do
/// everything: there are no tokens.
/// </summary>
public sealed class SingleVmServer : IAsyncDisposable
{
    // Kestrel wants a whole path; the socket is bound already, to whatever path it has.
    private const string Name = "/api";

    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(2);

    private readonly WebApplication _app;

    private SingleVmServer(WebApplication app) => _app = app;

    /// <summary>Starts to serve.</summary>
    /// <param name="socket">A Unix socket that is bound and open to its owner alone. It is the server's from here on.</param>
    public static async Task<SingleVmServer> StartAsync(Socket socket, SingleVm vm)
    {
        var asker = new Asker(Environment.UserName, RestRole.Admin);
        WebApplication app = RestApp.Build(
            [.. new VmApi(vm).Endpoints, .. new WatchApi(vm).Endpoints],
            builder => builder.WebHost.UseSockets(sockets => sockets.CreateBoundListenSocket = _ => socket)
                .ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(Name)),
            (context, next) =>
            {
                context.SetAsker(asker);
                return RestApp.AnswerAsync(context, next);
            });
        await app.StartAsync().ConfigureAwait(false);
        return new SingleVmServer(app);
    }

    /// <summary>Answers what is under way, and ends.</summary>
    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(s_farewell);
        await _app.StopAsync(limit.Token).ConfigureAwait(false);
        await _app.DisposeAsync().ConfigureAwait(false);
    }
}
