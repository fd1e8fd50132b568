using Akka.Actor;
using Akka.Configuration;
using Serilog;
using Vmm.Actors.Hosting;
using Vmm.Actors.Hotplug;
using Vmm.Actors.Journals;
using Vmm.Actors.Migration;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vcpu;
using Vmm.Actors.Vm;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Snapshots;
using Vmm.Host.Console;
using Vmm.Host.Logging;
using Vmm.Host.Options;
using Vmm.Management.Text;

namespace Vmm.Host;

/// <summary>One VM with its actor system, for the console and the demo: commands in, serial bytes and events out.</summary>
public sealed class VmSession : IAsyncDisposable
{
    /// <summary>The answer to a question after the VM has ended.</summary>
    internal const string Ending = "the VM has ended";

    // How long the guest has to answer a plug or unplug.
    private static readonly TimeSpan s_hotplugTimeout = TimeSpan.FromSeconds(30);

    private static readonly Type[] s_published =
    [
        typeof(VmStatus), typeof(HotplugOutcome), typeof(VmReset), typeof(VmShutdown), typeof(PowerButtonPressed), typeof(AcpiDeviceOst),
        typeof(CpuStepTaken),
        typeof(MigrationChanged), typeof(MigrationPassed), typeof(MigrationCapabilities), typeof(VmNotice),
        typeof(BlockIoFailed), typeof(SerialPortChanged), typeof(BalloonChanged),
    ];

    private readonly MachineAdapter _machine;
    private readonly ActorSystem _system;
    private readonly IActorRef _vm;
    private readonly IActorRef _listener;
    private readonly StateFolder? _state;
    private readonly ILogger _logger;
    private readonly TaskCompletionSource<VmStatus> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // The VM's supervisor is no more.
    private readonly CancellationTokenSource _gone = new();

    /// <param name="serialOutput">Takes what the guest sends on its serial line, in order.</param>
    /// <param name="hotplugOutcome">Hears how plugs and unplugs end.</param>
    /// <param name="remote">The address where the VM listens for messages of other processes; null if it does not.</param>
    /// <param name="state">The state that the machine keeps for its next run, disposed with this; null if it keeps none.</param>
    /// <param name="shutdownOnReset">A reset request powers the machine off instead.</param>
    /// <param name="migration">What addresses of migrations mean; null for a VM that cannot migrate.</param>
    /// <param name="logger">Takes what happens to the VM; null for <see cref="Log.Logger"/>.</param>
    /// <param name="isLoaded">
    /// The machine is to take over a saved one before it runs: neither the CPUs of <paramref name="state"/> nor those that the
    /// configuration has plugged are part of it.
    /// </param>
    /// <param name="devices">Makes devices while the VM runs; null for a VM that gets none.</param>
    /// <exception cref="OptionException">The port cannot be opened, or the state is of another machine.</exception>
    public VmSession(
        MachineConfig config,
        Action<ReadOnlyMemory<byte>> serialOutput,
        Action<HotplugOutcome> hotplugOutcome,
        EndpointOption? remote = null,
        StateFolder? state = null,
        bool shutdownOnReset = false,
        IMigrationTransport? migration = null,
        ILogger? logger = null,
        bool isLoaded = false,
        IDeviceMaker? devices = null)
    {
        _state = state;
        _logger = logger ?? Log.Logger;
        IHotplugJournal journal = PowerOn(config, state, isLoaded);
        _machine = new MachineAdapter(config, state?.Times);
        var options = new VmOptions(VcpuManager.VcpuDispatcher, s_hotplugTimeout, serialOutput)
        {
            Journal = journal,
            ShutdownOnReset = shutdownOnReset,
            Snapshots = state?.Snapshots,
            Migration = migration,
            DeviceMaker = devices ?? new NoDeviceMaker(),
            MigrationJournal = state?.MigrationJournal ?? new MemoryMigrationJournal(),
        };

        _system = OpenSystem(remote);
        _vm = VmHosting.StartVm(_system, _machine, options);
        _listener = _system.ActorOf(ActorProps.Of(() => new Listener(this, _vm, hotplugOutcome)), "listener");
        foreach (Type published in s_published)
        {
            _system.EventStream.Subscribe(_listener, published);
        }

        _machine.Connect(_vm);
    }

    // Writes the CPUs that are plugged from power-on to the journal before the guest starts.
    private static IHotplugJournal PowerOn(MachineConfig config, StateFolder? state, bool isLoaded)
    {
        IHotplugJournal journal = state?.Journal ?? new MemoryJournal();
        var cpus = PowerOnCpus.Of(config);
        try
        {
            string? refusal = journal.State.RefuseReplacing(cpus);
            IReadOnlyList<IHotplugEvent> happened = isLoaded ? []
                : journal.State.PowerOn(cpus, DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(), out refusal);
            if (refusal != null)
            {
                throw new OptionException(refusal);
            }

            if (happened.Count > 0)
            {
                journal.Append(happened);
            }

            return journal;
        }
        catch (Exception e)
        {
            state?.Dispose();
            throw e is JournalException ? new OptionException(e.Message) : e;
        }
    }

    private ActorSystem OpenSystem(EndpointOption? remote)
    {
        Config config = remote == null ? VmConfiguration.Load() : VmConfiguration.LoadRemote(remote.Host, remote.Port);
        try
        {
            return ActorSystem.Create(VmHosting.SystemName, AkkaLog.Configuration(_logger).WithFallback(config));
        }
        catch (Exception e) when (remote != null)
        {
            _machine.Dispose();
            Exception cause = e;
            while (cause.InnerException != null)
            {
                cause = cause.InnerException;
            }

            throw new OptionException($"cannot listen at {remote.Host}:{remote.Port}: {SystemError.Describe(cause)}");
        }
    }

    /// <summary>Hears what the VM publishes, in order, on one thread at a time.</summary>
    public event Action<IProtocolMessage>? Published;

    public VirtMachine Machine => _machine.Machine;

    /// <summary>A VM that has shut down is not at its end: the host may reset it.</summary>
    public bool StaysAfterShutdown { get; init; }

    /// <summary>Completes with the status shutdown or internal-error.</summary>
    public Task<VmStatus> Ended => _ended.Task;

    /// <summary>
    /// Deletes what saves that were cut off have left in the images of the disks. The VM has not been started.
    /// </summary>
    /// <returns>Lines for people: what is left of them, and loads that were cut off.</returns>
    public IReadOnlyList<string> SettleDisks()
    {
        if (_state == null)
        {
            return [];
        }

        try
        {
            return
            [
                .. _state.Snapshots.TakeCutOffLoads().Select(tag => $"a load of snapshot '{tag}' had been cut off: its disks may be as they"
                    + " were or as in the snapshot, each by itself"),
                .. _state.Snapshots.SettleDisks(new SnapshotDisks(_machine.Devices)),
            ];
        }
        catch (SnapshotException e)
        {
            return [e.Message];
        }
    }

    public void SendSerial(byte[] bytes) => _vm.Tell(new SendSerial(bytes));

    /// <summary>
    /// The answer to a command or query, however long the host takes for it; what was published before it has been heard. A VM that is no
    /// more answers with <see cref="VmCommandRejected"/>.
    /// </summary>
    public async Task<IProtocolMessage> Ask(IProtocolMessage message)
    {
        try
        {
            var answer = (IProtocolMessage)await _vm.Ask<object>(message, Timeout.InfiniteTimeSpan, _gone.Token).ConfigureAwait(false);
            await _listener.Ask<Barrier>(new Barrier(), Timeout.InfiniteTimeSpan, _gone.Token).ConfigureAwait(false);
            return answer;
        }
        catch (OperationCanceledException)
        {
            return new VmCommandRejected(RejectionCode.VmEnded, Ending);
        }
    }

    /// <summary>
    /// How a request to plug, unplug, enable or disable a CPU ended, or why it was rejected. Without an end of its own it is timed out when
    /// the guest does not run.
    /// </summary>
    public Task<IProtocolMessage> AskOutcome(IProtocolMessage request)
    {
        var ended = new TaskCompletionSource<IProtocolMessage>(TaskCreationOptions.RunContinuationsAsynchronously);
        _system.ActorOf(ActorProps.Of(() => new HotplugRequest(_vm, request, ended)));
        return ended.Task;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var cpu in Machine.Cpus)
        {
            cpu.RequestExit();
        }

        // Until no thread of a vCPU uses the machine.
        var gone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using (_gone.Token.Register(gone.SetResult))
        {
            _system.Stop(_vm);
            await gone.Task.ConfigureAwait(false);
        }

        await _system.Terminate().ConfigureAwait(false);
        _machine.Dispose();
        _state?.Dispose();
        _gone.Dispose();
    }

    private sealed record Barrier;

    private sealed class Listener : UntypedActor
    {
        private readonly VmSession _session;
        private readonly Action<HotplugOutcome> _hotplugOutcome;

        public Listener(VmSession session, IActorRef vm, Action<HotplugOutcome> hotplugOutcome)
        {
            _session = session;
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
                    _session._ended.TrySetResult(
                        new VmStatus(VmRunState.InternalError, "the VM's supervisor has failed; the log says why"));
                    _session._gone.Cancel();
                    break;
                case VmStatus status:
                    _session._logger.Information("VM {State} {Detail}", RunStateNames.Of(status.RunState), status.Detail);
                    if (status.RunState == VmRunState.InternalError
                        || (status.RunState == VmRunState.Shutdown && !_session.StaysAfterShutdown))
                    {
                        _session._ended.TrySetResult(status);
                    }

                    break;
                case MigrationChanged changed:
                    _session._logger.Information("Migration {State}", MigrationParameterTable.NameOf(changed.Status));
                    break;
                case VmNotice notice:
                    _session._logger.Warning("{Notice}", notice.Text);
                    break;
                case HotplugOutcome outcome:
                    _session._logger.Information("{Outcome}", OutcomeText.Of(outcome));
                    _hotplugOutcome(outcome);
                    break;
            }
        }
    }
}
