using Vmm.Emulation.Devices.Virtio.Vsock;
using Vmm.Emulation.Net;

namespace Vmm.Actors.Devices;

/// <summary>The one thread of a socket device, which owns its connections (<see cref="VsockConnections"/>).</summary>
internal sealed class VsockThread(VirtioVsock device, Action<string> notice, Action<Exception> broken)
    : PollThread($"vsock {device.Config.GuestCid}", notice, broken)
{
    private readonly VsockConnections _connections = new(device);

    public override void Pause(bool release)
    {
        base.Pause(release);
        if (release)
        {
            _connections.Release();
        }
    }

    /// <summary>All connections end.</summary>
    public override void Drop() => _connections.Drop();

    protected override string? Claim() => _connections.Claim();

    protected override bool Serve() => _connections.Serve();

    protected override void AddTo(NetPoll poll)
    {
        if (Runs)
        {
            _connections.AddTo(poll);
        }
    }

    protected override void Look(NetPoll poll)
    {
        if (Runs)
        {
            _connections.Look(poll);
        }
    }

    /// <summary>Nobody connects any more.</summary>
    protected override void End() => _connections.Dispose();
}
