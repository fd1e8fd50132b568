using System.Net;
using System.Net.Sockets;

namespace Vmm.Benchmarks.Migration;

/// <summary>Where a link is cut.</summary>
/// <param name="Forward">So many bytes of the sender come through, counted from <paramref name="AfterReverse"/> on.</param>
/// <param name="Reverse">So many bytes of the receiver come through.</param>
/// <param name="AfterReverse">So many bytes of the receiver have come through before the sender's are counted.</param>
internal sealed record Cut(long Forward = long.MaxValue, long Reverse = long.MaxValue, long AfterReverse = 0);

/// <summary>A TCP proxy for one connection, which cuts it: both ends see a reset.</summary>
internal sealed class CuttingProxy : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Cut _cut;
    private readonly int _port;
    private readonly Task _work;
    private long _forward;
    private long _reverse;
    private long _counted;

    /// <param name="port">Where the receiver listens.</param>
    public CuttingProxy(int port, Cut cut)
    {
        _port = port;
        _cut = cut;
        _listener.Start();
        _work = RunAsync();
    }

    /// <summary>Where the sender connects.</summary>
    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Bytes of the sender that have come through.</summary>
    public long Forward => Interlocked.Read(ref _forward);

    /// <summary>Bytes of the receiver that have come through.</summary>
    public long Reverse => Interlocked.Read(ref _reverse);

    public bool WasCut { get; private set; }

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Dispose();
        _work.Wait();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        try
        {
            using Socket sender = await _listener.AcceptSocketAsync(_stop.Token).ConfigureAwait(false);
            using var receiver = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await receiver.ConnectAsync(IPAddress.Loopback, _port, _stop.Token).ConfigureAwait(false);
            using var cut = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
            Task[] pumps = [PumpAsync(sender, receiver, forward: true, cut), PumpAsync(receiver, sender, forward: false, cut)];
            await Task.WhenAll(pumps).ConfigureAwait(false);
            if (WasCut)
            {
                sender.LingerState = receiver.LingerState = new LingerOption(true, 0);
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            // One of the ends is gone, or this is.
        }
    }

    private async Task PumpAsync(Socket from, Socket to, bool forward, CancellationTokenSource cut)
    {
        byte[] buffer = new byte[1 << 16];
        try
        {
            while (true)
            {
                int count = await from.ReceiveAsync(buffer, cut.Token).ConfigureAwait(false);
                if (count == 0)
                {
                    to.Shutdown(SocketShutdown.Send);
                    return;
                }

                int allowed = (int)Math.Min(count, Allowance(forward));
                for (int sent = 0; sent < allowed;)
                {
                    sent += await to.SendAsync(buffer.AsMemory(sent, allowed - sent), cut.Token).ConfigureAwait(false);
                }

                Interlocked.Add(ref (forward ? ref _forward : ref _reverse), allowed);
                if (forward && Reverse >= _cut.AfterReverse)
                {
                    _counted += allowed;
                }

                if (allowed < count || Allowance(forward) == 0)
                {
                    WasCut = true;
                    await cut.CancelAsync().ConfigureAwait(false);
                    return;
                }
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            // What ends one direction ends the other, too.
            await cut.CancelAsync().ConfigureAwait(false);
        }
    }

    // How many bytes may still come through.
    private long Allowance(bool forward) => !forward ? _cut.Reverse - Reverse
        : Reverse < _cut.AfterReverse ? long.MaxValue
        : _cut.Forward - _counted;
}
