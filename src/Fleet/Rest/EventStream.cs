using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Vmm.Fleet.Rest;

/// <summary>
/// An answer of server-sent events (HTML, "Server-sent events"). It ends when the client goes or the node ends. Any thread may send.
/// </summary>
internal sealed class EventStream : IDisposable
{
    /// <summary>The media type.</summary>
    public const string Media = "text/event-stream";

    // How often a connection without events is shown to live.
    private static readonly TimeSpan s_alive = TimeSpan.FromSeconds(15);

    private readonly HttpContext _context;
    private readonly CancellationTokenSource _gone;
    private readonly SemaphoreSlim _writing = new(1);

    public EventStream(HttpContext context)
    {
        _context = context;
        _gone = CancellationTokenSource.CreateLinkedTokenSource(
            context.RequestAborted, context.RequestServices.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping);
        context.Response.ContentType = Media;
        context.Response.Headers.CacheControl = "no-store";
    }

    /// <summary>Ends what is to be told.</summary>
    public CancellationToken Gone => _gone.Token;

    /// <summary>Sends an event.</summary>
    /// <param name="data">Of a type of <see cref="RestJson"/>.</param>
    public Task SendAsync(string name, object data) =>
        WriteAsync($"event: {name}\ndata: {JsonSerializer.Serialize(data, data.GetType(), RestJson.Default)}\n\n");

    /// <summary>Sends comments, by which both sides find a lost connection, until <see cref="Gone"/>.</summary>
    public async Task ShowAliveAsync()
    {
        while (true)
        {
            await WriteAsync(":\n\n").ConfigureAwait(false);
            await Task.Delay(s_alive, Gone).ConfigureAwait(false);
        }
    }

    /// <summary>Ends what is told, as if the client had gone.</summary>
    /// <param name="tellers">They are waited for, however they end.</param>
    public async Task EndAsync(params IEnumerable<Task> tellers)
    {
        await _gone.CancelAsync().ConfigureAwait(false);
        foreach (Task teller in tellers)
        {
            await teller.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public void Dispose()
    {
        _gone.Dispose();
        _writing.Dispose();
    }

    private async Task WriteAsync(string text)
    {
        await _writing.WaitAsync(Gone).ConfigureAwait(false);
        try
        {
            await _context.Response.WriteAsync(text, Gone).ConfigureAwait(false);
            await _context.Response.Body.FlushAsync(Gone).ConfigureAwait(false);
        }
        finally
        {
            _writing.Release();
        }
    }
}
