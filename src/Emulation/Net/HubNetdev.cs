using System.Globalization;

namespace Vmm.Emulation.Net;

/// <summary>
/// A port of a hub of this VM (<c>-netdev hubport</c>): what comes in at one port goes out at all others. A port is a device's, or has a
/// backend (<c>netdev=</c>), for which it has a thread of its own. What has no room at a port is lost there, as on any Ethernet.
/// </summary>
/// <param name="number">The hub (<c>hubid=</c>).</param>
/// <param name="backendId">The backend behind the port; null for none.</param>
public sealed class HubNetdev(string id, int number, string? backendId) : Netdev(id)
{
    // Frames that wait at a port, and those that are taken from a backend between two looks at what waits for it.
    private const int MostWaiting = 256;
    private const int MostFramesAtOnce = 64;

    // The port's own end hears, and the hub rings, once until the port has looked.
    private readonly (HostSocket Hears, HostSocket Rings) _bell = HostSocket.MakePair();
    private int _rung;

    // Messages (header and frame) for the port, under the lock.
    private readonly Lock _lock = new();
    private readonly Queue<byte[]> _waiting = [];

    // Over the backend: its thread has it, and others claim it and give it up. Lock order: this → the lock of any port.
    private readonly Lock _backendLock = new();

    // Set once, by Join.
    private volatile Hub? _hub;
    private Netdev? _backend;
    private Thread? _thread;
    private volatile bool _ended;

    /// <summary>The name of the backend behind it; null for a port of a device.</summary>
    public string? BackendId => backendId;

    public override string Type => "hubport";

    public override string Details => string.Create(
        CultureInfo.InvariantCulture, $"hubid={number}{(backendId == null ? "" : $",peer={backendId}")}");

    public override bool TakesUnfinished => true;

    public override void Open()
    {
    }

    /// <summary>The hub's number.</summary>
    public int Number => number;

    /// <summary>Connects the port with its hub, and with its backend.</summary>
    /// <param name="table">Where its backend is.</param>
    /// <exception cref="NetException">Its backend is not there, or another's: one line, in QEMU's words.</exception>
    internal void Join(NetdevTable table, Hub hub)
    {
        if (backendId != null)
        {
            _backend = table.Find(backendId) ?? throw new NetException($"netdev '{backendId}' not found");
            if (_backend is HubNetdev || table.All.OfType<HubNetdev>().Any(h => h != this && h.BackendId == backendId))
            {
                throw new NetException($"netdev '{backendId}' already has a peer");
            }

            _thread = new Thread(Carry) { IsBackground = true, Name = $"hub {Id}" };
        }

        _hub = hub;
        hub.Ports = [.. hub.Ports, this];
        _thread?.Start();
    }

    /// <summary>Takes the port out of its hub.</summary>
    internal void Leave()
    {
        if (_hub is { } hub)
        {
            hub.Ports = [.. hub.Ports.Where(p => p != this)];
        }
    }

    public override string? Claim()
    {
        string? problem = null;
        foreach (HubNetdev port in _hub?.Ports ?? [])
        {
            lock (port._backendLock)
            {
                problem ??= port._backend?.Claim();
            }
        }

        return problem;
    }

    public override void Release()
    {
        foreach (HubNetdev port in _hub?.Ports ?? [])
        {
            lock (port._backendLock)
            {
                port._backend?.Release();
            }
        }
    }

    public override void AddTo(NetPoll poll, bool takes, bool gives)
    {
        if (takes)
        {
            poll.Add(_bell.Hears.Handle, read: true, write: false);
        }
    }

    public override bool TrySend(NetFrame frame)
    {
        foreach (HubNetdev port in _hub?.Ports ?? [])
        {
            if (port != this)
            {
                port.Take(frame);
            }
        }

        return true;
    }

    public override bool TryReceive(NetFrame frame)
    {
        lock (_lock)
        {
            if (_waiting.TryDequeue(out byte[]? message))
            {
                message.CopyTo(frame.Room);
                frame.Length = message.Length - NetFrame.HeaderSize;
                return true;
            }

            // The bell is silent before the next frame can come.
            if (Interlocked.Exchange(ref _rung, 0) != 0)
            {
                Span<byte> one = stackalloc byte[1];
                _bell.Hears.Receive(one);
            }

            return false;
        }
    }

    public override void Dispose()
    {
        _ended = true;
        Ring();
        _thread?.Join();
        _bell.Hears.Dispose();
        _bell.Rings.Dispose();
        base.Dispose();
    }

    private void Take(NetFrame frame)
    {
        lock (_lock)
        {
            if (_waiting.Count == MostWaiting || _ended)
            {
                return;
            }

            _waiting.Enqueue(frame.Message.ToArray());
            Ring();
        }
    }

    private void Ring()
    {
        if (Interlocked.Exchange(ref _rung, 1) == 0)
        {
            _bell.Rings.Send([0]);
        }
    }

    // The thread of a port with a backend: it is between the two as a device's thread is between guest and backend.
    private void Carry()
    {
        using var poll = new NetPoll();
        var toBackend = new NetPump();
        var fromBackend = new NetFrame();
        while (!_ended)
        {
            poll.Clear();
            int received = 0;
            lock (_backendLock)
            {
                _backend!.Work();
                while (received < MostFramesAtOnce && _backend.TryReceive(fromBackend))
                {
                    _backend.Record(fromBackend);
                    TrySend(fromBackend);
                    received++;
                }

                Pass(toBackend);
                _backend.AddTo(poll, takes: true, gives: toBackend.IsBusy);
            }

            // The bell may have been taken down after it rang for the end.
            if (_ended)
            {
                break;
            }

            AddTo(poll, takes: !toBackend.IsBusy, gives: false);
            poll.Wait(received == MostFramesAtOnce ? 0 : -1);
        }
    }

    private void Pass(NetPump pump)
    {
        while (true)
        {
            if (!pump.IsBusy)
            {
                if (!TryReceive(pump.Frame))
                {
                    return;
                }

                _backend!.Record(pump.Frame);
                pump.Begin(_backend.TakesUnfinished);
            }

            if (!pump.TryPass(_backend!.TrySend))
            {
                return;
            }
        }
    }

    /// <summary>A hub: its ports. Whoever changes them holds the lock of the table, and replaces the array as a whole.</summary>
    internal sealed class Hub
    {
        private volatile HubNetdev[] _ports = [];

        public HubNetdev[] Ports
        {
            get => _ports;
            set => _ports = value;
        }
    }
}
