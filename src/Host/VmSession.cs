using Akka.Actor;
using Serilog;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vcpu;
using Vmm.Actors.Vm;
using Vmm.Emulation.Machine;
using Vmm.Host.Console;
using Vmm.Host.Logging;

namespace Vmm.Host;

/// <summary>One VM with its actor system, for the console and the demo: commands in, serial bytes and events out.</summary>
public sealed class VmSession : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);
    private readonly MachineAdapter _machine;
    private readonly ActorSystem _system;
    private readonly IActorRef _vm;
    private readonly TaskCompletionSource<VmStatus> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="serialOutput">Takes what the guest sends on its serial line, in order.</param>
    /// <param name="hotplugOutcome">Hears how plugs and unplugs end.</param>
    public VmSession(MachineConfig config, Action<ReadOnlyMemory<byte>> serialOutput, Action<HotplugOutcome> hotplugOutcome)
    {
        Config = config;
        _machine = new MachineAdapter(config);
        _system = ActorSystem.Create("vmm", AkkaLog.Configuration.WithFallback(VmConfiguration.Load()));
        var options = new VmOptions(VcpuManager.VcpuDispatcher, TimeSpan.FromSeconds(30), serialOutput);
        _vm = _system.ActorOf(Props.Create(() => new VmSupervisor(_machine, options)), "vm");
        _machine.Connect(_vm);
        IActorRef listener = _system.ActorOf(Props.Create(() => new Listener(_ended, hotplugOutcome)), "listener");
        _system.EventStream.Subscribe(listener, typeof(VmStatus));
        _system.EventStream.Subscribe(listener, typeof(HotplugOutcome));
    }

    public MachineConfig Config { get; }

    public VirtMachine Machine => _machine.Machine;

    /// <summary>Completes with the status shutdown or internal-error.</summary>
    public Task<VmStatus> Ended => _ended.Task;

    public void SendSerial(byte[] bytes) => _vm.Tell(new SendSerial(bytes));

    public void Tell(IProtocolMessage message) => _vm.Tell(message);

    /// <exception cref="AskTimeoutException">The VM did not answer.</exception>
    public async Task<IProtocolMessage> Ask(IProtocolMessage message) =>
        (IProtocolMessage)await _vm.Ask<object>(message, s_patience).ConfigureAwait(false);

    public async ValueTask DisposeAsync()
    {
        foreach (var cpu in Machine.Cpus)
        {
            cpu.RequestExit();
        }

        await _vm.GracefulStop(TimeSpan.FromSeconds(10)).ConfigureAwait(false);
        await _system.Terminate().ConfigureAwait(false);
        _machine.Dispose();
    }

    private sealed class Listener : ReceiveActor
    {
        public Listener(TaskCompletionSource<VmStatus> ended, Action<HotplugOutcome> hotplugOutcome)
        {
            Receive<VmStatus>(status =>
            {
                Log.Information("VM {State} {Detail}", status.RunState, status.Detail);
                if (status.RunState is VmRunState.Shutdown or VmRunState.InternalError)
                {
                    ended.TrySetResult(status);
                }
            });
            Receive<HotplugOutcome>(outcome =>
            {
                Log.Information("{Outcome}", SerialConsole.Describe(outcome));
                hotplugOutcome(outcome);
            });
        }
    }
}
