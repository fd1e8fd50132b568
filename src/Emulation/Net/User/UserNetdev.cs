using System.Diagnostics;
using System.Text;

namespace Vmm.Emulation.Net.User;

/// <summary>
/// A network of its own for the guest, behind which the host is (<c>-netdev user</c>): a process with libslirp (<see cref="SlirpProcess"/>)
/// has it, and frames go to it and come from it over a pair of sockets. When that process ends, the link is lost and nothing else.
/// </summary>
/// <param name="program">The command, with its first arguments, by which this program starts itself.</param>
public sealed class UserNetdev(string id, UserNetOptions options, IReadOnlyList<string> program) : Netdev(id)
{
    // A busy host may take long to start a process.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    // The process collects its garbage, of which there is little, without a thread for it, and is small.
    private static readonly string[] s_environment = ["DOTNET_gcConcurrent=0", "DOTNET_GCHeapHardLimit=0x8000000", "DOTNET_TieredPGO=0"];

    // Forwards of now, and whether they are with the host.
    private readonly List<HostForward> _forwards = [.. options.HostForwards];
    private bool _isClaimed;

    private GuestForwarder? _forwarder;
    private HostProcess? _process;
    private HostSocket? _frames;
    private HostSocket? _requests;
    private byte[] _state = [];

    public override string Type => "user";

    public override string Details => $"net={options.Network},restrict={(options.Restrict ? "on" : "off")}";

    public override bool TakesUnfinished => true;

    public override bool IsConnected => Problem == null;

    public override void Open()
    {
        _forwarder = options.GuestForwards.Count > 0 ? new GuestForwarder(options.GuestForwards) : null;
        (HostSocket frames, HostSocket theirFrames) = HostSocket.MakePair();
        (HostSocket requests, HostSocket theirRequests) = HostSocket.MakePair();
        using (theirFrames)
        using (theirRequests)
        {
            (_frames, _requests) = (frames, requests);
            _process = HostProcess.Start(
                [.. program, SlirpProcess.Name, .. options.ToArguments(_forwarder?.Paths ?? [])], s_environment,
                [(theirFrames.Handle, SlirpPacket.FrameDescriptor), (theirRequests.Handle, SlirpPacket.RequestDescriptor)]);
        }

        try
        {
            ReceiveAnswer();
        }
        catch (NetException)
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Listens where it was told to; a saved state, if there is one, is taken first.</summary>
    public override string? Claim()
    {
        if (_isClaimed || Problem != null)
        {
            return null;
        }

        _isClaimed = true;
        try
        {
            if (_state.Length > 0)
            {
                Request(SlirpRequest.LoadState, _state);
                _state = [];
            }

            foreach (HostForward forward in _forwards)
            {
                Listen(forward);
            }

            return null;
        }
        catch (NetException e)
        {
            return e.Message;
        }
    }

    public override void Release()
    {
        if (!_isClaimed)
        {
            return;
        }

        _isClaimed = false;
        foreach (HostForward forward in _forwards)
        {
            TryRequest(SlirpRequest.RemoveForward, Encoding.UTF8.GetBytes(forward.ToString()));
        }
    }

    /// <summary>Forwards a port from now on.</summary>
    /// <exception cref="NetException">The host does not let it.</exception>
    public void AddForward(HostForward forward)
    {
        if (_isClaimed)
        {
            Listen(forward);
        }

        _forwards.Add(forward);
    }

    /// <summary>Forwards a port no more; false where it was not forwarded.</summary>
    public bool RemoveForward(HostForward forward)
    {
        int at = _forwards.FindIndex(f => f.IsAtPortOf(forward));
        if (at < 0)
        {
            return false;
        }

        if (_isClaimed)
        {
            TryRequest(SlirpRequest.RemoveForward, Encoding.UTF8.GetBytes(_forwards[at].ToString()));
        }

        _forwards.RemoveAt(at);
        return true;
    }

    /// <summary>The connections, as <c>info usernet</c> shows them.</summary>
    /// <exception cref="NetException">The process has ended.</exception>
    public string DescribeConnections() => Encoding.UTF8.GetString(Request(SlirpRequest.DescribeConnections, []));

    public override void AddTo(NetPoll poll, bool takes, bool gives)
    {
        if (_frames != null && Problem == null && (takes || gives))
        {
            poll.Add(_frames.Handle, takes, gives);
        }
    }

    public override bool TrySend(NetFrame frame)
    {
        if (_frames == null || Problem != null)
        {
            return true;
        }

        int sent = _frames.Send(frame.Message);
        if (sent == HostSocket.Gone)
        {
            LoseProcess();
        }

        return sent != HostSocket.WouldBlock;
    }

    public override bool TryReceive(NetFrame frame)
    {
        if (_frames == null || Problem != null)
        {
            return false;
        }

        int received = _frames.Receive(frame.Room);
        if (received < NetFrame.HeaderSize + NetFrame.EthernetSize)
        {
            if (received == HostSocket.Gone)
            {
                LoseProcess();
            }

            return false;
        }

        frame.Length = received - NetFrame.HeaderSize;
        return true;
    }

    public override byte[] SaveState() => TryRequest(SlirpRequest.SaveState, []) ?? _state;

    public override void LoadState(byte[] state) => _state = state;

    /// <summary>Ends the process. Its connections end with it.</summary>
    public override void Dispose()
    {
        _frames?.Dispose();
        _requests?.Dispose();
        _process?.Dispose();
        _forwarder?.Dispose();
        (_frames, _requests, _process, _forwarder) = (null, null, null, null);
        base.Dispose();
    }

    private void Listen(HostForward forward)
    {
        try
        {
            Request(SlirpRequest.AddForward, Encoding.UTF8.GetBytes(forward.ToString()));
        }
        catch (NetException e)
        {
            throw new NetException($"Could not set up host forwarding rule '{forward}'", e);
        }
    }

    private byte[]? TryRequest(SlirpRequest request, byte[] bytes)
    {
        try
        {
            return Request(request, bytes);
        }
        catch (NetException)
        {
            return null;
        }
    }

    private byte[] Request(SlirpRequest request, byte[] bytes)
    {
        if (_requests == null || Problem != null || _requests.Send([(byte)request, .. bytes], wait: true) < 0)
        {
            throw new NetException($"the network of '{Id}' has ended");
        }

        return ReceiveAnswer();
    }

    private byte[] ReceiveAnswer()
    {
        using var poll = new NetPoll();
        byte[] packet = new byte[SlirpPacket.MostBytes];
        long begun = Stopwatch.GetTimestamp();
        while (true)
        {
            int received = _requests!.Receive(packet);
            if (received > 0)
            {
                return packet[0] == SlirpPacket.Done ? packet[1..received]
                    : throw new NetException(Encoding.UTF8.GetString(packet[1..received]));
            }

            if (received == HostSocket.Gone || Stopwatch.GetElapsedTime(begun) > s_patience)
            {
                LoseProcess();
                throw new NetException($"-netdev user: the process that has the network of '{Id}' has ended");
            }

            poll.Clear();
            poll.Add(_requests.Handle, read: true, write: false);
            poll.Wait(1000);
        }
    }

    private void LoseProcess() => Lose($"the network '{Id}' has ended, for the process that had it has");
}
