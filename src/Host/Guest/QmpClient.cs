using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Vmm.Management.Text;

namespace Vmm.Host.Guest;

/// <summary>A client of the QMP of a VM in another process. One command at a time.</summary>
/// <param name="socket">It is connected, and belongs to the client.</param>
internal sealed class QmpClient(Socket socket) : IAsyncDisposable
{
    private readonly SemaphoreSlim _turn = new(1);
    private readonly StreamReader _lines = new(new NetworkStream(socket), Encoding.UTF8);
    private Task _reading = Task.CompletedTask;

    // Completes the command that waits for its answer. Set by who has the turn, before it sends.
    private TaskCompletionSource<JsonObject> _answer = new();

    /// <summary>An event of the VM: its name and its data. Called on one thread at a time, in order.</summary>
    public event Action<string, JsonNode?>? Happened;

    /// <summary>Takes the greeting and negotiates. To be called first.</summary>
    /// <exception cref="GuestSilentException">The VM has ended.</exception>
    public async Task NegotiateAsync()
    {
        _reading = ReadAsync();
        await AskAsync("qmp_capabilities").ConfigureAwait(false);
    }

    /// <summary>Executes a command and gives its result.</summary>
    /// <param name="arguments">An object; null for none.</param>
    /// <exception cref="GuestSilentException">The VM refused it, or has ended.</exception>
    public async Task<JsonNode> AskAsync(string command, JsonObject? arguments = null)
    {
        await _turn.WaitAsync().ConfigureAwait(false);
        try
        {
            var answer = new TaskCompletionSource<JsonObject>(TaskCreationOptions.RunContinuationsAsynchronously);
            Volatile.Write(ref _answer, answer);
            var request = new JsonObject { ["execute"] = command };
            if (arguments != null)
            {
                request["arguments"] = arguments;
            }

            await socket.SendAsync(Encoding.UTF8.GetBytes(request.ToJsonString() + "\n")).ConfigureAwait(false);
            Task ended = await Task.WhenAny(answer.Task, _reading).ConfigureAwait(false);
            if (ended == _reading && !answer.Task.IsCompleted)
            {
                throw new GuestSilentException($"{command}: the VM has ended");
            }

            JsonObject said = await answer.Task.ConfigureAwait(false);
            return said["return"] ?? throw new GuestSilentException(
                string.Create(CultureInfo.InvariantCulture, $"{command}: {said["error"]?["desc"]}"));
        }
        catch (SocketException e)
        {
            throw new GuestSilentException($"{command}: {SystemError.Describe(e)}");
        }
        finally
        {
            _turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        socket.Dispose();
        await _reading.ConfigureAwait(false);
        _lines.Dispose();
        _turn.Dispose();
    }

    private async Task ReadAsync()
    {
        try
        {
            while (await _lines.ReadLineAsync().ConfigureAwait(false) is { } line)
            {
                if (JsonNode.Parse(line) is not JsonObject message)
                {
                    continue;
                }

                if (message["event"]?.GetValue<string>() is { } name)
                {
                    Happened?.Invoke(name, message["data"]);
                }
                else if (!message.ContainsKey("QMP"))
                {
                    Volatile.Read(ref _answer).TrySetResult(message);
                }
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The VM has ended, or this client is disposed of.
        }
    }
}
