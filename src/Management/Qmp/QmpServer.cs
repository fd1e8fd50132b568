using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Serilog;
using Vmm.Actors.Protocol;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Commands;
using Vmm.Management.Qapi;

namespace Vmm.Management.Qmp;

/// <summary>
/// The QMP server. It serves many clients at each of any number of character devices, and sends the events to all of them.
/// </summary>
public sealed class QmpServer
{
    /// <summary>The number of clients that one socket serves at once. More of them wait. QEMU serves one.</summary>
    public const int MostClients = 32;

    private readonly ConcurrentDictionary<QmpSession, byte> _sessions = [];
    private readonly VmEvents _events = new();
    private readonly Lock _sending = new();
    private readonly QapiCommandTable _commands;

    public QmpServer(QapiCommandTable commands)
    {
        _commands = commands;
        commands.Raised += (name, data) =>
        {
            lock (_sending)
            {
                Send(name, data);
            }
        };
    }

    /// <summary>Serves clients of a device until <paramref name="stop"/>.</summary>
    public Task RunAsync(CharacterDevice device, bool pretty, CancellationToken stop) =>
        device.RunAsync(connection => Serve(connection, pretty, stop), MostClients, stop);

    /// <summary>Sends the events of a message that the VM has published. Any thread.</summary>
    public void Publish(IProtocolMessage happened)
    {
        // One message at a time, so that all clients get the events in the same order.
        lock (_sending)
        {
            foreach ((string name, object? data) in _events.Of(happened))
            {
                Send(name, data);
            }
        }
    }

    private void Send(string name, object? data)
    {
        long microseconds = (DateTime.UtcNow - DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;
        var message = new JsonObject
        {
            ["timestamp"] = new JsonObject { ["seconds"] = microseconds / 1_000_000, ["microseconds"] = microseconds % 1_000_000 },
            ["event"] = name,
        };
        if (data != null)
        {
            message["data"] = QapiJson.Write(data);
        }

        byte[] compact = QmpSession.Encode(message, pretty: false);
        byte[] pretty = QmpSession.Encode(message, pretty: true);
        foreach (QmpSession session in _sessions.Keys)
        {
            session.SendEvent(compact, pretty);
        }
    }

    private async Task Serve(CharacterConnection connection, bool pretty, CancellationToken stop)
    {
        Log.Debug("QMP client {Peer}", connection.Peer);
        var session = new QmpSession(_commands, connection, pretty);
        _sessions[session] = 0;
        try
        {
            await session.RunAsync(stop).ConfigureAwait(false);
        }
        finally
        {
            _sessions.TryRemove(session, out _);
        }
    }
}
