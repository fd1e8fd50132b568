using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Vmm.Actors.Migration;

namespace Vmm.Actors.Tests;

/// <summary>
/// Real sockets on the loopback interface, whose link is lost after a number of bytes: what came before arrives. One migration at a time.
/// And files.
/// </summary>
internal sealed class CuttableTransport : IMigrationTransport
{
    private long _sent;
    private long _answered;

    /// <summary>Bytes of the sender after which the link is lost.</summary>
    public long CutAfterSent { get; set; } = long.MaxValue;

    /// <summary>Bytes of the receiver after which the link is lost.</summary>
    public long CutAfterAnswered { get; set; } = long.MaxValue;

    /// <summary>The byte of the sender that arrives with a bit flipped.</summary>
    public long DamageSent { get; set; } = -1;

    /// <summary>Called before the sender connects, with the port and how often it has connected already.</summary>
    public Action<int, int>? Connecting { get; set; }

    /// <summary>Bytes that the sender has written.</summary>
    public long Sent => Volatile.Read(ref _sent);

    /// <summary>Bytes that the receiver has written.</summary>
    public long Answered => Volatile.Read(ref _answered);

    public IMigrationEndpoint Parse(string uri, string tlsCreds, string tlsHostname, string tlsAuthz = "") =>
        uri.StartsWith("tcp:", StringComparison.Ordinal) ? new Endpoint(this, int.Parse(uri[4..], CultureInfo.InvariantCulture))
            : uri.StartsWith("file:", StringComparison.Ordinal) ? new FileEndpoint(uri[5..])
            : throw new FormatException($"'{uri}' is no address");

    private sealed class Endpoint(CuttableTransport transport, int port) : IMigrationEndpoint
    {
        private int _connected;

        public bool HasReturnPath => true;

        public bool TakesChannels => true;

        public IMigrationFile? File => null;

        public async Task<Stream> ConnectAsync(CancellationToken stop)
        {
            transport.Connecting?.Invoke(port, _connected++);
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(IPAddress.Loopback, port, stop).ConfigureAwait(false);
            }
            catch (SocketException e)
            {
                socket.Dispose();
                throw new IOException(e.Message, e);
            }

            return new CutStream(
                socket, bytes => transport.CutAfterSent - Interlocked.Add(ref transport._sent, bytes),
                bytes => transport.DamageSent - transport.Sent);
        }

        public IMigrationListener Listen() => new Listener(transport, port);
    }

    private sealed class FileEndpoint(string path) : IMigrationEndpoint, IMigrationFile, IMigrationListener
    {
        public bool HasReturnPath => false;

        public bool TakesChannels => false;

        public IMigrationFile? File => this;

        public string Path => path;

        public long Offset => 0;

        public string Address => $"file:{path}";

        public SafeFileHandle Create() => System.IO.File.OpenHandle(path, FileMode.Create, FileAccess.ReadWrite);

        public SafeFileHandle Open() => System.IO.File.OpenHandle(path);

        public IMigrationListener Listen() => this;

        public Task<Stream> ConnectAsync(CancellationToken stop) => Task.FromResult<Stream>(new FileStream(Create(), FileAccess.ReadWrite));

        public Task<Stream> AcceptAsync(CancellationToken stop) => Task.FromResult<Stream>(new FileStream(Open(), FileAccess.Read));

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    private sealed class Listener : IMigrationListener
    {
        private readonly CuttableTransport _transport;
        private readonly TcpListener _listener;

        public Listener(CuttableTransport transport, int port)
        {
            _transport = transport;
            _listener = new TcpListener(IPAddress.Loopback, port);
            _listener.Start();
        }

        public string Address => $"tcp:{((IPEndPoint)_listener.LocalEndpoint).Port}";

        public async Task<Stream> AcceptAsync(CancellationToken stop)
        {
            Socket socket = await _listener.AcceptSocketAsync(stop).ConfigureAwait(false);
            return new CutStream(
                socket, bytes => _transport.CutAfterAnswered - Interlocked.Add(ref _transport._answered, bytes), _ => -1);
        }

        public ValueTask DisposeAsync()
        {
            _listener.Dispose();
            return ValueTask.CompletedTask;
        }
    }

    // `left` counts bytes that are written and gives how many more may be; less than 0 when some of these may not. `damage` is asked before
    // that, and gives which of the bytes is damaged.
    private sealed class CutStream(Socket socket, Func<int, long> left, Func<int, long> damage) : NetworkStream(socket, ownsSocket: true)
    {
        public override void Write(ReadOnlySpan<byte> buffer)
        {
            long damaged = damage(buffer.Length);
            if (damaged >= 0 && damaged < buffer.Length)
            {
                byte[] copy = buffer.ToArray();
                copy[damaged] ^= 4;
                buffer = copy;
            }

            long rest = left(buffer.Length);
            base.Write(buffer[..(int)Math.Clamp(buffer.Length + Math.Min(rest, 0), 0, buffer.Length)]);
            if (rest < 0)
            {
                Socket.Shutdown(SocketShutdown.Both);
                throw new IOException("the link is lost");
            }
        }
    }
}
