using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Actors.Snapshots;
using Vmm.Actors.Vm;

namespace Vmm.Actors.Vcpu;

/// <summary>
/// Makes and stops the actor of each enabled vCPU, and pauses and resumes them together. A vCPU that fails is stopped, never
/// restarted, and the supervisor hears of it.
/// </summary>
public sealed class VcpuManager : MessageActor
{
    /// <summary>The dispatcher of vCPU actors, which gives each a thread (hocon/dispatchers.conf).</summary>
    public const string VcpuDispatcher = "vmm.vcpu-dispatcher";

    private static readonly VmCommandRejected s_cpuNotFound = new(RejectionCode.CpuNotFound, "CPU not found");

    private readonly IVmMachine _machine;
    private readonly string? _dispatcher;
    private readonly IActorRef?[] _vcpus;

    // The states that the actors have told of. They do not tell of parking: see StateOf.
    private readonly VcpuState[] _states;
    private readonly int[] _threads;
    private readonly Dictionary<int, IActorRef> _removers = [];
    private readonly HashSet<int> _running = [];
    private readonly Dictionary<IActorRef, VcpuFailed> _failures = [];
    private IActorRef? _pauser;
    private bool _paused = true;

    // What new vCPUs are told; null when nothing is to be given up.
    private ThrottleVcpus? _throttle;

    public VcpuManager(IVmMachine machine, string? dispatcher)
    {
        _machine = machine;
        _dispatcher = dispatcher;
        _vcpus = new IActorRef?[machine.PossibleCpus];
        _states = new VcpuState[machine.PossibleCpus];
        _threads = new int[machine.PossibleCpus];

        // Such a message may come from another process, so the number is checked.
        Receive<CreateVcpu>(create => !IsPossible(create.Cpu), _ => RejectCpu());
        Receive<RemoveVcpu>(remove => !IsPossible(remove.Cpu), _ => RejectCpu());
        Receive<PowerOnVcpu>(on => !IsPossible(on.Cpu), _ => RejectCpu());
        Receive<VcpuStateChanged>(changed => !IsPossible(changed.Cpu), _ => RejectCpu());
        Receive<VcpuThreadStarted>(started => !IsPossible(started.Cpu), _ => RejectCpu());

        Receive<CreateVcpu>(Create);
        Receive<RemoveVcpu>(Remove);
        Receive<Terminated>(OnStopped);
        Receive<PowerOnVcpu>(on =>
        {
            _vcpus[on.Cpu]?.Tell(on);
            Context.System.EventStream.Publish(on);
        });
        Receive<PauseVcpus>(_ => Pause());
        Receive<VcpuPaused>(paused =>
        {
            _running.Remove(paused.Cpu);
            ReportPaused();
        });
        Receive<ResumeVcpus>(_ =>
        {
            _paused = false;
            _machine.Meter.SetRunning(true);
            TellAll(new ResumeVcpu());
        });
        Receive<ResetVcpus>(_ =>
        {
            TellAll(new ResetVcpu());

            // A reset leads out of internal-error: CPUs whose actor failed get a new one.
            SpawnMissing();
            _vcpus[0]?.Tell(new StartBootVcpu());
        });
        Receive<StartLoadedVcpus>(_ =>
        {
            for (int cpu = 0; cpu < _vcpus.Length; cpu++)
            {
                if (_machine.Status(cpu).Psci == PsciPowerState.On)
                {
                    _vcpus[cpu]?.Tell(new StartBootVcpu());
                }
            }
        });
        Receive<VcpuStateChanged>(changed => _states[changed.Cpu] = changed.State);
        Receive<GetVcpuStates>(_ => Sender.Tell(new VcpuStates(StatesNow())));
        Receive<GetVcpuTimes>(_ => Sender.Tell(TimesNow()));
        Receive<DescribeCpusPower>(admin => Sender.Tell(new CpusPowerState(
            admin.Ids, admin.Admin, [.. Enumerable.Range(0, machine.PossibleCpus).Select(OperationalState)])));
        Receive<DescribeVcpuStatus>(admin => Sender.Tell(IsPossible(admin.Cpu) ? Describe(admin) : s_cpuNotFound));
        Receive<VcpuThreadStarted>(started => _threads[started.Cpu] = started.Thread);
        Receive<GetVcpuThreads>(_ => Sender.Tell(new VcpuThreads([.. _threads.Select((thread, cpu) => _vcpus[cpu] == null ? 0 : thread)])));
        Receive<GetVcpuRegisters>(get => ForwardToVcpu(get.Cpu, get, new VcpuRegisters(get.Cpu, "")));
        Receive<GetMachineReport>(get => ForwardToVcpu(get.Cpu, get, new MachineReport("")));
        Receive<ReadGuestMemory>(read => ForwardToVcpu(read.Cpu, read, s_cpuNotFound));
        Receive<ThrottleVcpus>(throttle =>
        {
            _throttle = throttle;
            TellAll(throttle);
        });
        Receive<GuestPoweredOff>(Context.Parent.Tell);
        Receive<GuestReset>(Context.Parent.Tell);

        // The CPUs of a manager before this one may have been others.
        for (int cpu = 0; cpu < _vcpus.Length; cpu++)
        {
            machine.Meter.SetEnabled(cpu, false);
        }

        machine.Meter.SetRunning(false);
        SpawnMissing();
    }

    // The supervisor hears of a failure when the actor is gone, so that a reset can make another.
    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(e =>
    {
        _failures[Sender] = e is VcpuFaultException fault ? new VcpuFailed(fault.Cpu, fault.Report) : new VcpuFailed(-1, e.ToString());
        return Directive.Stop;
    });

    // A vCPU changes between Parked and Running thousands of times a second, without a message. The CPU itself is asked which of the two it
    // is at this moment.
    private VcpuState StateOf(int cpu) => _states[cpu] == VcpuState.Running && _machine.Cpu(cpu).IsParked ? VcpuState.Parked : _states[cpu];

    private VcpuState[] StatesNow() => [.. Enumerable.Range(0, _states.Length).Select(StateOf)];

    private VcpuTimes TimesNow()
    {
        VcpuReading reading = _machine.Meter.Read();
        return new VcpuTimes($"{reading.Meter}", reading.RunNs, reading.BusyNs, reading.EnabledNs, StatesNow());
    }

    private CpuOperationalState OperationalState(int cpu) => _machine.Status(cpu).Psci switch
    {
        PsciPowerState.Off => CpuOperationalState.Off,
        PsciPowerState.On => StateOf(cpu) == VcpuState.Parked ? CpuOperationalState.Standby : CpuOperationalState.On,
        _ => CpuOperationalState.Unknown,
    };

    private VcpuStatus Describe(DescribeVcpuStatus admin)
    {
        CpuStatus status = _machine.Status(admin.Cpu);
        return new VcpuStatus(admin.Cpu, admin.Admin, status.AcpiEnabled, status.GicAccessible, status.Psci, StateOf(admin.Cpu));
    }

    // Passes a query to the vCPU's actor, which answers it on its own thread, between two slices.
    private void ForwardToVcpu(int cpu, object query, IProtocolMessage without)
    {
        if (IsPossible(cpu) && _vcpus[cpu] is { } vcpu)
        {
            _machine.Cpu(cpu).RequestExit();
            vcpu.Forward(query);
        }
        else
        {
            Sender.Tell(without);
        }
    }

    private bool IsPossible(int cpu) => (uint)cpu < (uint)_vcpus.Length;

    private void RejectCpu() => Sender.Tell(s_cpuNotFound);

    private IActorRef Spawn(int cpu)
    {
        _machine.Meter.SetEnabled(cpu, true);
        IActorRef vcpu = Context.ActorOf(VcpuActor.Props(cpu, _machine.Cpu(cpu), _machine.Meter, _paused, _dispatcher), $"vcpu{cpu}");
        Context.Watch(vcpu);
        if (_throttle is { Percent: > 0 })
        {
            vcpu.Tell(_throttle);
        }

        return vcpu;
    }

    private void SpawnMissing()
    {
        for (int i = 0; i < _vcpus.Length; i++)
        {
            if (_machine.IsEnabled(i))
            {
                _vcpus[i] ??= Spawn(i);
            }
        }
    }

    private void Create(CreateVcpu create)
    {
        if (_vcpus[create.Cpu] != null)
        {
            Sender.Tell(new VcpuReady(create.Cpu));
            return;
        }

        _machine.SetExecutable(create.Cpu, true);

        // The thread of the actor need not run yet: who turns the CPU on does so by a message to this manager, which comes after this one.
        Sender.Tell(new VcpuReady(create.Cpu));
        _vcpus[create.Cpu] = Spawn(create.Cpu);
    }

    private void Remove(RemoveVcpu remove)
    {
        if (_vcpus[remove.Cpu] is not { } vcpu)
        {
            Sender.Tell(new VcpuRemoved(remove.Cpu));
            return;
        }

        _removers[remove.Cpu] = Sender;
        _machine.Cpu(remove.Cpu).RequestExit();
        Context.Stop(vcpu);
    }

    private void OnStopped(Terminated stopped)
    {
        int cpu = Array.IndexOf(_vcpus, stopped.ActorRef);
        _vcpus[cpu] = null;
        _states[cpu] = VcpuState.None;
        _machine.Meter.SetEnabled(cpu, false);
        _running.Remove(cpu);
        if (_failures.Remove(stopped.ActorRef, out VcpuFailed? failed))
        {
            Context.Parent.Tell(failed);
        }

        if (_removers.Remove(cpu, out IActorRef? remover))
        {
            _machine.SetExecutable(cpu, false);
            remover.Tell(new VcpuRemoved(cpu));
            _machine.Free(cpu);
        }

        ReportPaused();
    }

    private void Pause()
    {
        _paused = true;
        _pauser = Sender;
        _running.Clear();
        for (int i = 0; i < _vcpus.Length; i++)
        {
            if (_vcpus[i] is { } vcpu)
            {
                _running.Add(i);
                _machine.Cpu(i).RequestExit();
                vcpu.Tell(new PauseVcpu());
            }
        }

        ReportPaused();
    }

    private void ReportPaused()
    {
        if (_running.Count == 0 && _pauser is { } pauser)
        {
            _pauser = null;
            _machine.Meter.SetRunning(false);
            pauser.Tell(new VcpusPaused());
        }
    }

    private void TellAll(object message)
    {
        foreach (IActorRef? vcpu in _vcpus)
        {
            vcpu?.Tell(message);
        }
    }
}
