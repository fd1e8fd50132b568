using Vmm.Emulation.Devices.Virtio.Net;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Net;

namespace Vmm.Actors.Devices;

/// <summary>
/// The one thread of a network device: it carries frames between the driver's rings and the host's end of the link (<see cref="Netdev"/>),
/// which it owns, and does the commands of the control queue. A frame that has no place to go yet is a copy.
/// </summary>
internal sealed class NetThread(VirtioNet device, Netdev? netdev, Action<string> notice, Action<Exception> broken)
    : PollThread($"net {device.Config.Name}", notice, broken)
{
    // Between two interrupts, and two looks at the other direction.
    private const int MostFramesAtOnce = 64;

    private readonly NetPump _toHost = new();
    private readonly NetPump _toGuest = new();
    private readonly FlowSteering _steering = new();

    // Of each queue: whether the driver is to be interrupted; of a pair, whether there may be more to transmit.
    private readonly bool[] _interrupts = new bool[device.QueueCount];
    private readonly bool[] _transmits = new bool[device.Config.Pairs];

    private readonly Netdev? _netdev = netdev;
    private Func<NetFrame, bool>? _send;
    private Func<NetFrame, bool>? _deliver;
    private bool _linkWanted = true;
    private bool _lacksBuffers;
    private string? _toldProblem;

    // ── For what is posted ──

    /// <summary>The host's end of the link; null for none.</summary>
    public Netdev? Netdev => _netdev;

    /// <summary>What the host's end knew of the guest at the last pause.</summary>
    public byte[] SavedState { get; private set; } = [];

    public override void Pause(bool release)
    {
        base.Pause(release);
        SavedState = _netdev?.SaveState() ?? [];
        if (release)
        {
            _netdev?.Release();
        }
    }

    /// <summary>Frames on their way are nobody's.</summary>
    public override void Drop()
    {
        _toHost.Drop();
        _toGuest.Drop();
        _lacksBuffers = false;
    }

    /// <summary>Takes the link away, or gives it back (<c>set_link</c>).</summary>
    public void WantLink(bool isUp) => _linkWanted = isUp;

    /// <summary>Tells the network where the guest is, in its place: a request of RARP with its address, as QEMU sends it.</summary>
    public void Announce()
    {
        if (_netdev != null && !_toHost.IsBusy)
        {
            RarpFrame.Write(_toHost.Frame, device.Mac);
            BeginSend();
        }
    }

    // ── The thread ──

    protected override string? Claim()
    {
        Array.Fill(_transmits, true);
        return _netdev?.Claim();
    }

    protected override void AddTo(NetPoll poll)
    {
        TellOfLink();
        _netdev?.AddTo(poll, takes: Runs && !_toGuest.IsBusy, gives: Runs && _toHost.IsBusy);
    }

    protected override void Look(NetPoll poll) => _netdev?.Work();

    // Whether the guest has a link, and what people are to know of it.
    private void TellOfLink()
    {
        device.SetLink(HasLink);
        string? problem = _netdev?.Problem;
        if (problem != null && problem != _toldProblem)
        {
            Notice(problem);
        }

        _toldProblem = problem;
    }

    private bool HasLink => _linkWanted && _netdev is { IsConnected: true };

    // Does some of what there is to do; whether there may be more.
    protected override bool Serve()
    {
        Interrupt();
        if (device.TakeNotified(device.ControlQueue) && device.ServeControl())
        {
            _interrupts[device.ControlQueue] = true;
        }

        bool more = false;
        for (int pair = 0; pair < device.Config.Pairs; pair++)
        {
            more |= Transmit(pair);
        }

        more |= Receive();
        Interrupt();
        return more;
    }

    private bool Transmit(int pair)
    {
        int queue = VirtioNet.TxQueue(pair);
        if (_toHost.IsBusy && !_toHost.TryPass(_send ??= Send))
        {
            return false;
        }

        _transmits[pair] |= device.TakeNotified(queue);
        if (!_transmits[pair])
        {
            return false;
        }

        device.SuppressNotifications(queue);
        for (int i = 0; i < MostFramesAtOnce; i++)
        {
            if (!device.TryTransmit(pair, _toHost.Frame))
            {
                _transmits[pair] = device.AllowNotifications(queue);
                return _transmits[pair];
            }

            _interrupts[queue] = true;
            if (_toHost.Frame.Length > 0)
            {
                if (device.Config.Pairs > 1)
                {
                    _steering.Learn(_toHost.Frame, pair);
                }

                if (!BeginSend())
                {
                    return false;
                }
            }
        }

        return true;
    }

    private bool BeginSend()
    {
        _netdev?.Record(_toHost.Frame);
        _toHost.Begin(_netdev?.TakesUnfinished ?? true);
        return _toHost.TryPass(_send ??= Send);
    }

    private bool Receive()
    {
        for (int pair = 0; pair < device.Config.Pairs; pair++)
        {
            _lacksBuffers &= !device.TakeNotified(VirtioNet.RxQueue(pair));
        }

        if (_lacksBuffers || _netdev == null)
        {
            return false;
        }

        for (int i = 0; i < MostFramesAtOnce; i++)
        {
            if (!_toGuest.IsBusy)
            {
                if (!_netdev.TryReceive(_toGuest.Frame))
                {
                    return false;
                }

                _netdev.Record(_toGuest.Frame);
                _toGuest.Begin(device.TakesWhole(_toGuest.Frame));
            }

            if (!_toGuest.TryPass(_deliver ??= Deliver))
            {
                return false;
            }
        }

        return true;
    }

    private bool Send(NetFrame frame) => !HasLink || _netdev!.TrySend(frame);

    private bool Deliver(NetFrame frame)
    {
        if (!HasLink)
        {
            return true;
        }

        int active = device.ActivePairs;
        int pair = active > 1 ? _steering.PairOf(frame, active) : 0;
        int queue = VirtioNet.RxQueue(pair);
        NetDelivery delivery = device.TryReceive(pair, frame);
        _lacksBuffers = delivery == NetDelivery.NoBuffers;
        if (delivery == NetDelivery.Delivered)
        {
            _interrupts[queue] = true;
            device.SuppressNotifications(queue);
        }

        return !_lacksBuffers;
    }

    private void Interrupt()
    {
        for (int queue = 0; queue < _interrupts.Length; queue++)
        {
            if (_interrupts[queue])
            {
                device.Interrupt(queue);
                _interrupts[queue] = false;
            }
        }
    }
}
