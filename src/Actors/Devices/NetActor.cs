using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio.Net;
using Vmm.Emulation.Net;
using Vmm.Emulation.Net.User;
using Vmm.Emulation.State;

namespace Vmm.Actors.Devices;

/// <summary>
/// A network device on virtio: it owns the thread that carries its frames (<see cref="NetThread"/>), and has it do what people ask of the
/// link. A machine that is handed over to another process gives up the ports at which its backend listens. After a load the guest tells the
/// network where it is.
/// </summary>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "PostStop ends the thread.")]
public sealed class NetActor : PollingActor, IWithTimers
{
    // QEMU's defaults of announce-initial, -max, -rounds and -step.
    private static readonly AnnounceNet s_announce = new("", 50, 550, 5, 100);

    private readonly VirtioNet _net;
    private readonly NetThread _thread;
    private readonly BackendUnit _backend;

    private sealed record AnnounceRound(AnnounceNet Plan, int Round);

    [ModuleInitializer]
    internal static void Register() => DeviceActors.RegisterVirtio<VirtioNet>((net, transport, around) =>
        new DeviceActorPlan(ActorProps.Of(() => new NetActor(net, transport, around.Machine.Netdevs.Find(net.Config.Netdev))))
        {
            Pauses = true,
        });

    public NetActor(VirtioNet net, IDevice transport, Netdev? netdev)
        : base(net, transport)
    {
        _net = net;
        _thread = new NetThread(net, netdev, Notice, Broken);
        _backend = new BackendUnit(_thread);
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

    protected override string Name => _net.Config.Name;

    private protected override PollThread Thread => _thread;

    /// <summary>The network learns where the guest is, from the moment on at which it runs.</summary>
    protected override void Loaded() => Announce(new AnnounceRound(s_announce, 1));

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

    /// <summary>What the host's end of the link knows of the guest. It is asked while the thread does nothing.</summary>
    private sealed class BackendUnit(NetThread thread) : IStateUnit
    {
        // The largest state of a backend that is taken.
        private const int MostBytes = 1 << 20;

        public string Id => "virtio-net-backend";

        public void Save(StateWriter writer) => writer.Write<byte>("state", thread.SavedState);

        public void Load(StateReader reader)
        {
            byte[] state = reader.ReadArray<byte>("state", MostBytes);
            thread.Post(() => thread.Netdev?.LoadState(state));
        }
    }
}
