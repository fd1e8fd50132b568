using System.Collections.Concurrent;
using Vmm.Actors.Protocol;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Commands;

namespace Vmm.Management.Control;

/// <summary>
/// The control socket of a VM, for programs of ours (<c>--control</c>): the messages of <see cref="Actors.Protocol"/> in frames
/// (<see cref="ControlFrame"/>). It serves many clients at once.
/// </summary>
public sealed class ControlServer(MonitorVm vm)
{
    /// <summary>The number of clients that are served at once. More of them wait.</summary>
    public const int MostClients = 32;

    private readonly ConcurrentDictionary<ControlSession, byte> _sessions = [];

    // Clients get events in the same order.
    private readonly Lock _publishing = new();

    /// <summary>Serves clients of a device until <paramref name="stop"/>.</summary>
    public Task RunAsync(CharacterDevice device, CancellationToken stop) =>
        device.RunAsync(connection => Serve(connection, stop), MostClients, stop);

    /// <summary>Sends a message that the VM has published to the clients that want them. Any thread.</summary>
    public void Publish(IProtocolMessage happened)
    {
        lock (_publishing)
        {
            byte[]? frame = null;
            foreach (ControlSession session in _sessions.Keys)
            {
                if (session.IsSubscribed)
                {
                    session.SendEvent(frame ??= new ControlFrame(0, happened).Encode());
                }
            }
        }
    }

    private async Task Serve(CharacterConnection connection, CancellationToken stop)
    {
        var session = new ControlSession(vm, connection);
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
