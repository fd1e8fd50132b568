using System.Collections.Concurrent;
using System.Net.Sockets;
using Vmm.Actors.Protocol;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Text;

namespace Vmm.Management.Control;

/// <summary>A connection to the control socket of a VM in another process. Any number of requests may be under way.</summary>
public sealed class ControlClient : IAsyncDisposable
{
    private const string Lost = "the connection to the VM is lost";

    private readonly NetworkStream _stream;
    private readonly Action<IProtocolMessage> _happened;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<ulong, TaskCompletionSource<IProtocolMessage>> _asked = [];

    // One frame at a time is written.
    private readonly SemaphoreSlim _writing = new(1);
    private ulong _lastId;
    private volatile bool _isLost;

    private ControlClient(NetworkStream stream, ControlGreeting greeting, Action<IProtocolMessage> happened)
    {
        _stream = stream;
        _happened = happened;
        Greeting = greeting;
        Completion = ReceiveAsync();
    }

    /// <summary>What the VM says of itself.</summary>
    public ControlGreeting Greeting { get; }

    /// <summary>Completes when the connection has ended, for whatever reason. Requests under way have failed then.</summary>
    public Task Completion { get; }

    /// <summary>Connects to the socket of a VM.</summary>
    /// <param name="path">The Unix socket of <c>--control</c>.</param>
    /// <param name="happened">Takes what the VM publishes after <see cref="SubscribeEvents"/>, in order; it does not wait.</param>
    /// <param name="stop">Ends the attempt.</param>
    /// <exception cref="IOException">Nobody listens there, or it is no VM.</exception>
    public static async Task<ControlClient> ConnectAsync(string path, Action<IProtocolMessage> happened, CancellationToken stop)
    {
        var address = new UnixDomainSocketEndPoint(path);
        Socket socket = HostSocket.New(address);
        try
        {
            await socket.ConnectAsync(address, stop).ConfigureAwait(false);
            var stream = new NetworkStream(socket, ownsSocket: true);
            return await ControlFrame.ReadAsync(stream, ControlFrame.LargestAnswer, stop).ConfigureAwait(false)
                is { Message: ControlGreeting greeting }
                ? new ControlClient(stream, greeting, happened)
                : throw new IOException($"what listens at {UserText.Legible(path)} is no VM");
        }
        catch (Exception e)
        {
            socket.Dispose();
            throw e is SocketException or ControlFrameException
                ? new IOException($"cannot connect to {UserText.Legible(path)}: {SystemError.Describe(e)}", e) : e;
        }
    }

    /// <summary>The answer to a request; for one that the guest has a part in, how it ended.</summary>
    /// <exception cref="IOException">The connection is lost. Whether the request was carried out is not known.</exception>
    public async Task<IProtocolMessage> AskAsync(IProtocolMessage request, CancellationToken stop)
    {
        ulong id = Interlocked.Increment(ref _lastId);
        var answer = new TaskCompletionSource<IProtocolMessage>(TaskCreationOptions.RunContinuationsAsynchronously);
        _asked[id] = answer;
        try
        {
            // Whoever ends the connection sets the flag and then looks for requests.
            if (_isLost)
            {
                throw new IOException(Lost);
            }

            byte[] frame = new ControlFrame(id, request).Encode();
            await _writing.WaitAsync(stop).ConfigureAwait(false);
            try
            {
                // A frame that is begun is written to its end.
                await _stream.WriteAsync(frame, _stop.Token).ConfigureAwait(false);
            }
            finally
            {
                _writing.Release();
            }

            return await answer.Task.WaitAsync(stop).ConfigureAwait(false);
        }
        catch (Exception e) when (e is ObjectDisposedException || (e is OperationCanceledException && !stop.IsCancellationRequested))
        {
            throw new IOException(Lost, e);
        }
        finally
        {
            _asked.TryRemove(id, out _);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await Completion.ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task ReceiveAsync()
    {
        try
        {
            while (await ControlFrame.ReadAsync(_stream, ControlFrame.LargestAnswer, _stop.Token).ConfigureAwait(false) is { } frame)
            {
                if (frame.Id == 0)
                {
                    _happened(frame.Message);
                }
                else if (_asked.TryGetValue(frame.Id, out TaskCompletionSource<IProtocolMessage>? answer))
                {
                    answer.TrySetResult(frame.Message);
                }
            }
        }
        catch (Exception e) when (e is IOException or ControlFrameException or OperationCanceledException or ObjectDisposedException)
        {
            Serilog.Log.Debug("A control connection has ended: {Reason}", SystemError.Describe(e));
        }
        finally
        {
            await _stream.DisposeAsync().ConfigureAwait(false);
            _isLost = true;
            foreach (TaskCompletionSource<IProtocolMessage> answer in _asked.Values)
            {
                answer.TrySetException(new IOException(Lost));
            }
        }
    }
}
