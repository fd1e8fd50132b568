using System.Net.Sockets;
using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Fleet.Messages;
using Vmm.Management.CharacterDevices;

namespace Vmm.Fleet.Nodes;

/// <summary>
/// The guest's serial line for any number of readers: the socket takes one client, which is this actor while somebody reads or writes. The
/// last bytes are kept, so that who comes later sees what was there. A line that is lost is connected to again.
/// </summary>
internal sealed class ConsoleActor : MessageActor, IWithTimers
{
    /// <summary>The bytes that may wait for the guest to read them.</summary>
    public const int MostWaiting = 16 << 10;

    private static readonly TimeSpan s_tick = TimeSpan.FromMilliseconds(100);

    // How long a reader waits, and how long the line is kept when nobody asks. Milliseconds.
    private const long ReaderPatience = 5000;
    private const long Idle = 15_000;

    private readonly string _path;
    private readonly SerialHistory _history = new();
    private readonly List<(IActorRef Reader, ReadConsole Read, long Until)> _readers = [];
    private readonly Queue<byte[]> _toWrite = new();
    private readonly byte[] _buffer = new byte[4096];
    private int _waiting;
    private bool _connects;
    private bool _writes;
    private NetworkStream? _line;
    private long _usedAt;

    public ConsoleActor(VmFolder folder)
    {
        _path = folder.Console;
        Receive<ReadConsole>(Read);
        Receive<WriteConsole>(Write);
        Receive<Tick>(_ => Look());
        Receive<Connected>(Begin);
        Receive<Arrived>(arrived => arrived.Line == _line, Take);
        Receive<Arrived>(_ => { });
        Receive<Written>(written => written.Line == _line, _ =>
        {
            _writes = false;
            WriteNext();
        });
        Receive<Written>(_ => { });
    }

    private sealed record Tick;

    // Line is null when nobody listens there.
    private sealed record Connected(NetworkStream? Line);

    // Count is 0 at the end of the line.
    private sealed record Arrived(NetworkStream Line, int Count);

    private sealed record Written(NetworkStream Line);

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PostStop() => _line?.Dispose();

    private void Read(ReadConsole read)
    {
        Use();
        if (!TryAnswer(Sender, read))
        {
            _readers.Add((Sender, read, Environment.TickCount64 + ReaderPatience));
        }
    }

    private void Write(WriteConsole write)
    {
        Use();
        if (_waiting + write.Bytes.Length > MostWaiting)
        {
            Sender.Tell(new ConsoleWritten(write.Vm, "the guest does not read its serial line: nothing more is taken"));
            return;
        }

        _waiting += write.Bytes.Length;
        _toWrite.Enqueue(write.Bytes);
        WriteNext();
        Sender.Tell(new ConsoleWritten(write.Vm, ""));
    }

    // Somebody wants the line.
    private void Use()
    {
        _usedAt = Environment.TickCount64;
        if (!Timers.IsTimerActive(nameof(Tick)))
        {
            Timers.StartPeriodicTimer(nameof(Tick), new Tick(), TimeSpan.Zero, s_tick);
        }
    }

    private void Look()
    {
        long now = Environment.TickCount64;
        foreach ((IActorRef reader, ReadConsole read, long until) in _readers.Where(r => r.Until <= now).ToArray())
        {
            reader.Tell(_history.After(read));
        }

        _readers.RemoveAll(r => r.Until <= now);
        if (now - _usedAt > Idle && _readers.Count == 0)
        {
            Timers.Cancel(nameof(Tick));
            Lose();
        }
        else if (_line == null && !_connects)
        {
            _connects = true;
            (string path, IActorRef self) = (_path, Self);
            Task.Run(async () => self.Tell(new Connected(await ConnectAsync(path).ConfigureAwait(false))));
        }
    }

    private void Begin(Connected connected)
    {
        (_connects, _line) = (false, connected.Line);
        if (_line != null)
        {
            ReadNext(_line);
            WriteNext();
        }
    }

    private void Take(Arrived arrived)
    {
        if (arrived.Count == 0)
        {
            Lose();
            return;
        }

        _history.Add(_buffer.AsSpan(0, arrived.Count));
        _readers.RemoveAll(r => TryAnswer(r.Reader, r.Read));
        ReadNext(arrived.Line);
    }

    private bool TryAnswer(IActorRef reader, ReadConsole read)
    {
        ConsoleOutput output = _history.After(read);
        if (output.Bytes.Length > 0)
        {
            reader.Tell(output);
        }

        return output.Bytes.Length > 0;
    }

    private void Lose()
    {
        _line?.Dispose();
        _line = null;
        _writes = false;
        _toWrite.Clear();
        _waiting = 0;
    }

    private void ReadNext(NetworkStream line)
    {
        // The buffer is the task's until it has told.
        (byte[] buffer, IActorRef self) = (_buffer, Self);
        Task.Run(async () => self.Tell(new Arrived(line, await Count(line.ReadAsync(buffer)).ConfigureAwait(false))));
    }

    private void WriteNext()
    {
        if (_line == null || _writes || !_toWrite.TryDequeue(out byte[]? bytes))
        {
            return;
        }

        (_writes, _waiting) = (true, _waiting - bytes.Length);
        (NetworkStream line, IActorRef self) = (_line, Self);
        async ValueTask<int> WriteAsync()
        {
            await line.WriteAsync(bytes).ConfigureAwait(false);
            return bytes.Length;
        }

        Task.Run(async () =>
        {
            await Count(WriteAsync()).ConfigureAwait(false);
            self.Tell(new Written(line));
        });
    }

    // A line that was lost has no more bytes; its reader finds that.
    private static async Task<int> Count(ValueTask<int> bytes)
    {
        try
        {
            return await bytes.ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            return 0;
        }
    }

    private static async Task<NetworkStream?> ConnectAsync(string path)
    {
        var address = new UnixDomainSocketEndPoint(path);
        Socket socket = HostSocket.New(address);
        try
        {
            await socket.ConnectAsync(address).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }
    }
}
