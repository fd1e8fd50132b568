using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Serilog;
using Vmm.Actors.Protocol;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Commands;
using Vmm.Management.Qapi;

namespace Vmm.Management.Qmp;

/// <summary>The QMP server: any number of character devices, many clients at each; all of them hear the events.</summary>
public sealed class QmpServer(QapiCommandTable commands)
{
    /// <summary>Clients that one socket serves at once; more wait until one goes. QEMU serves one.</summary>
    public const int MostClients = 32;

    private readonly ConcurrentDictionary<QmpSession, byte> _sessions = [];
    private readonly VmEvents _events = new();
    private readonly Lock _sending = new();

    /// <summary>Serves clients of a device until <paramref name="stop"/>.</summary>
    public Task RunAsync(CharacterDevice device, bool pretty, CancellationToken stop) =>
        device.RunAsync(connection => Serve(connection, pretty, stop), MostClients, stop);

    /// <summary>Sends the events that something which the VM has published stands for. Any thread.</summary>
    public void Publish(IProtocolMessage happened)
    {
        // One after another, so that all clients hear them in one order.
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
        var session = new QmpSession(commands, connection, pretty);
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
