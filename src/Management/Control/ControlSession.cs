using Serilog;
using Vmm.Actors.Protocol;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Commands;

namespace Vmm.Management.Control;

/// <summary>
/// One client of the control socket. Its requests are carried out at once, and each is answered when it is done; a client that ends its
/// connection gets no more answers, but what it has asked for is done. A client that does not read its answers is not read from; it loses
/// its connection when too many events wait for it. So does a client that sends what is no frame.
/// </summary>
internal sealed class ControlSession
{
    // The number of requests under way. More of them stay in the socket.
    private const int MostRequests = 64;

    // The answers and events in bytes that may wait for a client to read them.
    private const int LargestOutput = 1 << 20;

    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(1);

    private readonly MonitorVm _vm;
    private readonly CharacterConnection _connection;
    private readonly OutputQueue _output;

    private volatile bool _isSubscribed;

    public ControlSession(MonitorVm vm, CharacterConnection connection)
    {
        _vm = vm;
        _connection = connection;
        _output = new OutputQueue(connection.Output, LargestOutput);
    }

    /// <summary>Whether the client has asked for events.</summary>
    public bool IsSubscribed => _isSubscribed;

    /// <summary>Serves the client until it goes or <paramref name="stop"/>.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        // Not disposed: what is under way may end after the connection.
        var room = new SemaphoreSlim(MostRequests);
        await SendAsync(0, new ControlGreeting(ProtocolVersion.Current, Environment.ProcessId)).ConfigureAwait(false);
        try
        {
            while (true)
            {
                await room.WaitAsync(stop).ConfigureAwait(false);
                ControlFrame? request =
                    await ControlFrame.ReadAsync(_connection.Input, ControlFrame.LargestRequest, stop).ConfigureAwait(false);
                if (request == null)
                {
                    return;
                }

                _ = AnswerAsync(request, room);
            }
        }
        catch (ControlFrameException e)
        {
            Log.Warning("{Peer} is disconnected: {Reason}", _connection.Peer, e.Message);
        }
        finally
        {
            _output.Complete();
            await Task.WhenAny(_output.Completion, Task.Delay(s_farewell, CancellationToken.None)).ConfigureAwait(false);
        }
    }

    /// <summary>Sends an event. It never waits. Any thread.</summary>
    public void SendEvent(ReadOnlyMemory<byte> frame)
    {
        if (!_output.TryAdd(frame) && !_output.HasEnded)
        {
            Log.Warning("{Peer} does not read its events: it is disconnected", _connection.Peer);
            _ = _connection.DisposeAsync().AsTask();
        }
    }

    private async Task AnswerAsync(ControlFrame request, SemaphoreSlim room)
    {
        try
        {
            IProtocolMessage answer = await DoAsync(request.Message).ConfigureAwait(false);
            await SendAsync(request.Id, answer).ConfigureAwait(false);
            if (answer is VmQuitting)
            {
                _vm.Quit();
            }
        }
        catch (Exception e)
        {
            Log.Error(e, "{Peer}: {Request} failed", _connection.Peer, request.Message.GetType().Name);
            await SendAsync(request.Id, new VmCommandRejected(RejectionCode.InternalError, "an internal error, which the log describes"))
                .ConfigureAwait(false);
        }
        finally
        {
            room.Release();
        }
    }

    private async Task<IProtocolMessage> DoAsync(IProtocolMessage message)
    {
        switch (message)
        {
            case SubscribeEvents:
                _isSubscribed = true;
                return new EventsSubscribed();
            case QuitVm:
                return new VmQuitting();
            case var _ when ControlRequests.IsAsked(message):
                return await _vm.AskEnd(message).ConfigureAwait(false);
            default:
                return new VmCommandRejected(RejectionCode.NotSupported, $"{message.GetType().Name} is no request");
        }
    }

    private Task<bool> SendAsync(ulong id, IProtocolMessage message) => _output.AddAsync(new ControlFrame(id, message).Encode());
}
