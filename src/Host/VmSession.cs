using Akka.Actor;
using Akka.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging;
using Serilog;
using Serilog.Extensions.Logging;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vcpu;
using Vmm.Actors.Vm;
using Vmm.Emulation.Machine;
using Vmm.Host.Console;
using Vmm.Host.Logging;
using Vmm.Host.Options;

namespace Vmm.Host;

/// <summary>One VM with its actor system, for the console and the demo: commands in, serial bytes and events out.</summary>
public sealed class VmSession : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_outcomePatience = TimeSpan.FromSeconds(120);

    private static readonly Type[] s_published =
        [typeof(VmStatus), typeof(HotplugOutcome), typeof(VmReset), typeof(VmShutdown), typeof(PowerButtonPressed), typeof(AcpiDeviceOst)];

    private readonly MachineAdapter _machine;
    private readonly ServiceProvider _services;
    private readonly IHostedService _akka;
    private readonly IActorRef _vm;
    private readonly StateFolder? _state;
    private IActorRef _listener = ActorRefs.Nobody;
    private readonly TaskCompletionSource<VmStatus> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="serialOutput">Takes what the guest sends on its serial line, in order.</param>
    /// <param name="hotplugOutcome">Hears how plugs and unplugs end.</param>
    /// <param name="remote">Where the VM takes messages from other processes; null for nowhere.</param>
    /// <param name="state">What the machine keeps for its next run, disposed with this; null for a machine that ends with this.</param>
    /// <param name="shutdownOnReset">What would reset the machine shuts it down.</param>
    /// <exception cref="OptionException">The port cannot be opened.</exception>
    public VmSession(
        MachineConfig config,
        Action<ReadOnlyMemory<byte>> serialOutput,
        Action<HotplugOutcome> hotplugOutcome,
        EndpointOption? remote = null,
        StateFolder? state = null,
        bool shutdownOnReset = false)
    {
        _state = state;
        Config = config;
        _machine = new MachineAdapter(config);
        var options = new VmOptions(VcpuManager.VcpuDispatcher, TimeSpan.FromSeconds(30), serialOutput) { JournalFile = state?.JournalFile, ShutdownOnReset = shutdownOnReset };

        // Of a generic host there is what Akka.Hosting needs: a VM on a terminal has neither settings files nor a host's life cycle.
        _services = new ServiceCollection()
            .AddSingleton<ILoggerFactory>(new SerilogLoggerFactory())
            .AddSingleton(typeof(ILogger<>), typeof(Logger<>))
            .AddSingleton<IHostApplicationLifetime, ApplicationLifetime>()
            .AddAkka(VmHosting.SystemName, akka => (remote == null ? akka : akka.WithRemoteControl(remote.Host, remote.Port))
                .ConfigureLoggers(AkkaLog.Configure)
                .WithVm(_machine, options)
                .WithActors((system, registry) =>
                {
                    IActorRef vm = registry.Get<VmSupervisor>();
                    IActorRef listener = _listener = system.ActorOf(Props.Create(() => new Listener(this, vm, _ended, hotplugOutcome)), "listener");
                    foreach (Type published in s_published)
                    {
                        system.EventStream.Subscribe(listener, published);
                    }
                }))
            .BuildServiceProvider();
        OpenSystem(remote);
        _akka = _services.GetRequiredService<IHostedService>();
        _akka.StartAsync(CancellationToken.None).GetAwaiter().GetResult();
        _vm = _services.GetRequiredService<IRequiredActor<VmSupervisor>>().ActorRef;
        _machine.Connect(_vm);
    }

    // First of all, for Akka.Hosting would print what goes wrong.
    private void OpenSystem(EndpointOption? remote)
    {
        try
        {
            _services.GetRequiredService<ActorSystem>();
        }
        catch (Exception e) when (remote != null)
        {
            _machine.Dispose();
            Exception cause = e;
            while (cause.InnerException != null)
            {
                cause = cause.InnerException;
            }

            throw new OptionException($"cannot listen at {remote.Host}:{remote.Port}: {cause.Message}");
        }
    }

    public MachineConfig Config { get; }

    /// <summary>Hears what the VM publishes, in order, on one thread at a time.</summary>
    public event Action<IProtocolMessage>? Published;

    public VirtMachine Machine => _machine.Machine;

    /// <summary>A VM that has shut down is not at its end: the host may reset it.</summary>
    public bool StaysAfterShutdown { get; init; }

    /// <summary>Completes with the status shutdown or internal-error.</summary>
    public Task<VmStatus> Ended => _ended.Task;

    public void SendSerial(byte[] bytes) => _vm.Tell(new SendSerial(bytes));

    public void Tell(IProtocolMessage message) => _vm.Tell(message);

    /// <summary>The answer to a command or query; what was published before it has been heard.</summary>
    /// <exception cref="AskTimeoutException">The VM did not answer.</exception>
    public async Task<IProtocolMessage> Ask(IProtocolMessage message)
    {
        var answer = (IProtocolMessage)await _vm.Ask<object>(message, s_patience).ConfigureAwait(false);
        await _listener.Ask<Barrier>(new Barrier(), s_patience).ConfigureAwait(false);
        return answer;
    }

    /// <summary>How a request to plug, unplug, enable or disable a CPU ended, or why it was rejected.</summary>
    /// <exception cref="TimeoutException">The VM did not say.</exception>
    public async Task<IProtocolMessage> AskOutcome(IProtocolMessage request)
    {
        using var inbox = Inbox.Create(_services.GetRequiredService<ActorSystem>());
        inbox.Send(_vm, request);

        // Others may come first, and each has its time.
        var answer = (IProtocolMessage)await inbox.ReceiveAsync(s_outcomePatience).ConfigureAwait(false);
        return answer is HotplugAccepted ? (IProtocolMessage)await inbox.ReceiveAsync(s_outcomePatience).ConfigureAwait(false) : answer;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var cpu in Machine.Cpus)
        {
            cpu.RequestExit();
        }

        await _vm.GracefulStop(TimeSpan.FromSeconds(10)).ConfigureAwait(false);
        await _akka.StopAsync(CancellationToken.None).ConfigureAwait(false);
        await _services.DisposeAsync().ConfigureAwait(false);
        _machine.Dispose();
        _state?.Dispose();
    }

    private sealed record Barrier;

    private sealed class Listener : UntypedActor
    {
        private readonly VmSession _session;
        private readonly TaskCompletionSource<VmStatus> _ended;
        private readonly Action<HotplugOutcome> _hotplugOutcome;

        public Listener(VmSession session, IActorRef vm, TaskCompletionSource<VmStatus> ended, Action<HotplugOutcome> hotplugOutcome)
        {
            _session = session;
            _ended = ended;
            _hotplugOutcome = hotplugOutcome;
            Context.Watch(vm);
        }

        protected override void OnReceive(object message)
        {
            if (message is IProtocolMessage published)
            {
                _session.Published?.Invoke(published);
            }

            switch (message)
            {
                case Barrier:
                    Sender.Tell(message);
                    break;
                case Terminated:
                    _ended.TrySetResult(new VmStatus(VmRunState.InternalError, "the VM's supervisor has failed; the log says why"));
                    break;
                case VmStatus status:
                    Log.Information("VM {State} {Detail}", status.RunState, status.Detail);
                    if (status.RunState == VmRunState.InternalError || (status.RunState == VmRunState.Shutdown && !_session.StaysAfterShutdown))
                    {
                        _ended.TrySetResult(status);
                    }

                    break;
                case HotplugOutcome outcome:
                    Log.Information("{Outcome}", SerialConsole.Describe(outcome));
                    _hotplugOutcome(outcome);
                    break;
            }
        }
    }
}
