using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Akka.Actor;
using Akka.Event;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio.Net;
using Vmm.Emulation.Net;
using Vmm.Emulation.Net.User;
using Vmm.Emulation.State;

namespace Vmm.Actors.Devices;

/// <summary>
/// A network device on virtio: it owns the thread that carries its frames (<see cref="NetThread"/>), says when it does, and has it do what
/// people ask of the link. The driver's notifications wake the thread itself, so that no frame waits for an actor. A machine that is handed
/// over to another process gives up the ports at which its backend listens. After a load the guest tells the network where it is.
/// </summary>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "PostStop ends the thread.")]
public sealed class NetActor : DeviceActor, IWithTimers
{
    // QEMU's defaults of announce-initial, -max, -rounds and -step.
    private static readonly AnnounceNet s_announce = new("", 50, 550, 5, 100);

    private readonly VirtioNet _net;
    private readonly NetThread _thread;
    private readonly BackendUnit _backend;
    private string? _fault;

    private sealed record Told(string Text);

    private sealed record ThreadDone(Action Then);

    private sealed record AnnounceRound(AnnounceNet Plan, int Round);

    [ModuleInitializer]
    internal static void Register() => DeviceActors.RegisterVirtio<VirtioNet>((net, transport, around) =>
        new DeviceActorPlan(ActorProps.Of(() => new NetActor(net, transport, around.Machine.Netdevs.Find(net.Config.Netdev))))
        {
            Pauses = true,
        });

    public NetActor(VirtioNet net, IDevice transport, Netdev? netdev)
        : base(transport)
    {
        IActorRef self = Self;
        _net = net;
        _thread = new NetThread(net, netdev, text => self.Tell(new Told(text)), broken => self.Tell(broken));
        _backend = new BackendUnit(_thread);
        Receive<Told>(told => Context.System.EventStream.Publish(new VmNotice(told.Text)));
        Receive<Exception>(broken => throw new InvalidOperationException($"{net.Config.Name}: {broken.Message}", broken));
        Receive<ThreadDone>(done => done.Then());
        Receive<PauseDevices>(Pause);
        Receive<ResumeDevices>(_ =>
        {
            LookAtFault();
            _thread.Post(_thread.Resume);
        });
        Receive<SetNetLink>(set => Do(() => _thread.WantLink(set.IsUp)));
        Receive<AddHostForward>(add => Do(() => UserNetwork(add.Link).AddForward(HostForward.Parse(add.Rule))));
        Receive<RemoveHostForward>(RemoveForward);
        Receive<GetNetConnections>(get => Answer(() => new NetConnections(UserNetwork(get.Link).DescribeConnections())));
        Receive<AnnounceNet>(plan =>
        {
            Announce(new AnnounceRound(plan, 1));
            Sender.Tell(new NetCommandDone());
        });
        Receive<AnnounceRound>(Announce);
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override IReadOnlyList<IStateUnit> StateUnits => [.. base.StateUnits, _backend];

    protected override void PreStart()
    {
        _thread.Start();
        _net.Notified.Connect(() =>
        {
            _net.Notified.Acknowledge();
            _thread.Wake();
        });
    }

    protected override void PostStop()
    {
        _net.Notified.Connect(null);
        _thread.Dispose();
    }

    protected override void Reset(IActorRef requester) => OnThread(_thread.Drop, () =>
    {
        _fault = null;
        base.Reset(requester);
    });

    /// <summary>The network learns where the guest is, from the moment on at which it runs.</summary>
    protected override void Loaded() => Announce(new AnnounceRound(s_announce, 1));

    private void Pause(PauseDevices pause)
    {
        IActorRef requester = Sender;
        LookAtFault();
        OnThread(() => _backend.State = _thread.Pause(pause.Close), () => requester.Tell(new DevicesPaused(pause.Round)));
    }

    // Does the first part on the thread, and then the second one in this actor.
    private void OnThread(Action onThread, Action then)
    {
        IActorRef self = Self;
        _thread.Post(() =>
        {
            onThread();
            self.Tell(new ThreadDone(then));
        });
    }

    private void Do(Action action) => Answer(() =>
    {
        action();
        return new NetCommandDone();
    });

    // Answers with what the thread finds.
    private void Answer(Func<IProtocolMessage> find)
    {
        IActorRef requester = Sender;
        _thread.Post(() =>
        {
            IProtocolMessage answer;
            try
            {
                answer = find();
            }
            catch (NetException e)
            {
                answer = new VmCommandRejected(RejectionCode.InvalidArgument, e.Message);
            }

            requester.Tell(answer);
        });
    }

    private UserNetdev UserNetwork(string link) => _thread.Netdev as UserNetdev
        ?? throw new NetException($"netdev '{link}' is not of type 'user'");

    private void RemoveForward(RemoveHostForward remove) => Answer(() =>
        UserNetwork(remove.Link).RemoveForward(HostForward.ParseHost(remove.Rule)) ? new NetCommandDone()
            : new VmCommandRejected(RejectionCode.DeviceNotFound, $"host forwarding rule for {remove.Rule} not found"));

    private void Announce(AnnounceRound round)
    {
        if (!_net.AskToAnnounce())
        {
            _thread.Post(_thread.Announce);
        }

        if (round.Round < round.Plan.Rounds)
        {
            int wait = Math.Min(round.Plan.Initial + ((round.Round - 1) * round.Plan.Step), round.Plan.Most);
            Timers.StartSingleTimer(nameof(AnnounceRound), round with { Round = round.Round + 1 }, TimeSpan.FromMilliseconds(wait));
        }
    }

    // What the driver did wrong is told of when the VM next stops or goes on.
    private void LookAtFault()
    {
        if (_net.Fault is { } fault && fault != _fault)
        {
            Context.GetLogger().Warning("{0}: {1}", _net.Config.Name, fault);
        }

        _fault = _net.Fault;
    }

    /// <summary>What the host's end of the link knows of the guest. The actor's, and taken by its thread.</summary>
    private sealed class BackendUnit(NetThread thread) : IStateUnit
    {
        // The largest state of a backend that is taken.
        private const int MostBytes = 1 << 20;

        public string Id => "virtio-net-backend";

        /// <summary>Of the last pause.</summary>
        public byte[] State { get; set; } = [];

        public void Save(StateWriter writer) => writer.Write<byte>("state", State);

        public void Load(StateReader reader)
        {
            byte[] state = reader.ReadArray<byte>("state", MostBytes);
            thread.Post(() => thread.Netdev?.LoadState(state));
        }
    }
}
