using Vmm.Emulation.Devices.Virtio.Vsock;
using Vmm.Emulation.Net;

namespace Vmm.Actors.Devices;

/// <summary>The one thread of a socket device, which owns its connections (<see cref="VsockConnections"/>).</summary>
/// <param name="told">Is told of what people are to know, as one line; must not block.</param>
/// <param name="broken">Is told of what should never be thrown.</param>
internal sealed class VsockThread(VirtioVsock device, Action<string> told, Action<Exception> broken)
    : PollThread($"vsock {device.Config.GuestCid}", broken)
{
    private readonly VsockConnections _connections = new(device);

    // ── For what is posted ──

    public void Resume()
    {
        if (_connections.Claim() is { } problem)
        {
            told(problem);
        }

        Runs = true;
    }

    /// <param name="release">Another process is to have the guest.</param>
    public void Pause(bool release)
    {
        Runs = false;
        if (release)
        {
            _connections.Release();
        }
    }

    /// <summary>All connections end.</summary>
    public void Drop() => _connections.Drop();

    /// <summary>Nobody connects any more.</summary>
    public void Close() => _connections.Dispose();

    // ── The thread ──

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
}
