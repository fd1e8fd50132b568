using System.Diagnostics;
using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vm;
using Vmm.Emulation;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Interrupts;

namespace Vmm.Actors.Vcpu;

/// <summary>A vCPU's run loop threw an exception.</summary>
public sealed class VcpuFaultException(int cpu, string report, Exception inner) : Exception(inner.Message, inner)
{
    public int Cpu { get; } = cpu;

    /// <summary>The exception, and the registers of the vCPU at that moment.</summary>
    public string Report { get; } = report;
}

/// <summary>
/// The actor of one enabled vCPU: it owns the run loop on a thread of its own. It runs the guest in slices of about a millisecond and looks
/// at its mailbox between them. Each state is one method. A disabled CPU has no actor.
/// <para>To have it read a message at once, call <see cref="IVcpu.RequestExit"/> and <em>then</em> tell it.</para>
/// </summary>
public sealed class VcpuActor : UntypedActor, IVcpuWaker, IWithTimers
{
    private const long InitialBudget = 100_000;
    private const long SmallestBudget = 1_000;
    private const long LargestBudget = 1_000_000;
    private static readonly long s_slice = Stopwatch.Frequency / 1000;

    // The times for which the actor may look for a wake-up before it gives up its thread.
    private static readonly long s_leastPoll = Stopwatch.Frequency / 100_000;
    private static readonly long s_mostPoll = Stopwatch.Frequency / 10_000;

    // The next turn of the run loop. The epoch counts the times that the vCPU began to run, so that a turn left over from before is
    // recognised.
    private sealed record RunSlice(int Epoch);

    private sealed record WakeUp
    {
        public static readonly WakeUp Instance = new();
    }

    private readonly int _index;
    private readonly IVcpu _cpu;
    private readonly VcpuMeter _meter;
    private readonly IActorRef _manager;
    private readonly IActorRef _self;
    private long _budget = InitialBudget;
    private RunSlice _slice = new(0);
    private Action _resume;
    private VcpuState? _published;
    private long _poll = s_leastPoll;
    private long _parkedAt;

    // How much of its time the vCPU gives up.
    private int _throttlePercent;

    public VcpuActor(int index, IVcpu cpu, VcpuMeter meter, bool paused)
    {
        _index = index;
        _cpu = cpu;
        _meter = meter;
        _manager = Context.Parent;
        _self = Self;
        _resume = EnterPoweredOff;
        cpu.SetWaker(this);
        if (paused)
        {
            EnterPaused(EnterPoweredOff);
        }
        else
        {
            EnterPoweredOff();
        }
    }

    public ITimerScheduler Timers { get; set; } = null!;

    public static Props Props(int index, IVcpu cpu, VcpuMeter meter, bool paused, string? dispatcher)
    {
        Props props = ActorProps.Of(() => new VcpuActor(index, cpu, meter, paused));
        return dispatcher == null ? props : props.WithDispatcher(dispatcher);
    }

    /// <summary>Ends the wait of a WFI or for a missing page. Any thread.</summary>
    public void Wake() => _self.Tell(WakeUp.Instance);

    protected override void PreStart()
    {
        HostThread.BecomeVcpu();
        HostThread.AskForSlices(HostThread.HostsOwn);
        _manager.Tell(new VcpuThreadStarted(_index, HostThread.Id));
    }

    protected override void PostStop() => _cpu.SetWaker(null);

    protected override void OnReceive(object message) => Unhandled(message);

    private void PoweredOff(object message)
    {
        switch (message)
        {
            case PowerOnVcpu on:
                _cpu.PowerOn(new GuestPhysicalAddress(on.EntryPoint), on.Context);
                EnterRunning();
                break;
            case StartBootVcpu:
                EnterRunning();
                break;
            case PauseVcpu:
                EnterPaused(EnterPoweredOff);
                break;
        }
    }

    private void Running(object message)
    {
        switch (message)
        {
            case RunSlice slice when slice == _slice:
                Act(RunOnce());
                break;
            case PauseVcpu:
                EnterPaused(EnterRunning);
                break;
        }
    }

    private void Parked(object message)
    {
        switch (message)
        {
            case WakeUp:
                AdaptPoll(Stopwatch.GetTimestamp() - _parkedAt);
                EnterRunning();
                break;
            case PauseVcpu:
                _cpu.Unpark();
                EnterPaused(Park);
                break;
        }
    }

    private void Paused(object message)
    {
        switch (message)
        {
            case ResumeVcpu:
                _resume();
                break;
            case ResetVcpu:
                _resume = EnterPoweredOff;
                break;
            case StartBootVcpu:
                _resume = EnterRunning;
                break;
            case PowerOnVcpu on:
                _cpu.PowerOn(new GuestPhysicalAddress(on.EntryPoint), on.Context);
                _resume = EnterRunning;
                break;
            case PauseVcpu:
                _manager.Tell(new VcpuPaused(_index));
                break;
        }
    }

    private VcpuExit RunOnce()
    {
        long start = Stopwatch.GetTimestamp();
        long elapsed;
        VcpuExit exit;
        _meter.BeginSlice(_index, start);
        try
        {
            exit = _cpu.Run(_budget);
        }
        catch (Exception e)
        {
            string what = e is VcpuExecutionException ? e.Message : $"{e.GetType().Name}: {e.Message}";
            throw new VcpuFaultException(_index, $"cpu{_index}: {what}\n{_cpu.DumpRegisters()}\n{(e.InnerException ?? e).StackTrace}", e);
        }
        finally
        {
            elapsed = Math.Max(Stopwatch.GetTimestamp() - start, 1);
            _meter.EndSlice(_index, start, elapsed);
        }

        if (exit == VcpuExit.BudgetSpent)
        {
            long ideal = Math.Clamp((long)((double)_budget * s_slice / elapsed), _budget / 2, _budget * 2);
            _budget = Math.Clamp(ideal, SmallestBudget, LargestBudget);
        }

        return exit;
    }

    private void Act(VcpuExit exit)
    {
        switch (exit)
        {
            case VcpuExit.WaitForInterrupt or VcpuExit.PageMissing:
                Park();
                break;
            case VcpuExit.WaitForEvent:
                Thread.Yield();
                Self.Tell(_slice);
                break;
            case VcpuExit.PoweredOff:
                EnterPoweredOff();
                break;
            case VcpuExit.SystemOff:
                EnterPoweredOff();
                _manager.Tell(new GuestPoweredOff(_index));
                break;
            case VcpuExit.SystemReset:
                EnterPoweredOff();
                _manager.Tell(new GuestReset(_index));
                break;
            default:
                RunOn();
                break;
        }
    }

    private void RunOn()
    {
        if (_throttlePercent == 0)
        {
            Self.Tell(_slice);
            return;
        }

        // Messages are read meanwhile, so that a vCPU which gives up its time is paused as fast as another.
        TimeSpan rest = TimeSpan.FromMilliseconds((double)_throttlePercent / (100 - _throttlePercent));
        Timers.StartSingleTimer(nameof(ThrottleVcpus), _slice, rest);
    }

    // Waking a thread costs tens of microseconds, so the actor looks for a wake-up for a moment before it gives up the thread, where
    // the wake-ups before came soon.
    private void Park()
    {
        long now = Stopwatch.GetTimestamp();
        long end = now + _poll;
        while (now < end && !_cpu.HasWakeup)
        {
            Thread.SpinWait(10);
            now = Stopwatch.GetTimestamp();
        }

        if (_cpu.TryPark())
        {
            _parkedAt = now;
            Enter(Parked, VcpuState.Parked);
        }
        else
        {
            EnterRunning();
        }
    }

    // As KVM's halt_poll_ns: a wait that the longest poll would have spared lengthens the next one, any other shortens it, to none.
    private void AdaptPoll(long waited) =>
        _poll = waited < s_mostPoll ? Math.Clamp(_poll * 2, s_leastPoll, s_mostPoll) : _poll > s_leastPoll ? _poll / 2 : 0;

    private void EnterPoweredOff() => Enter(PoweredOff, VcpuState.PoweredOff);

    private void EnterRunning()
    {
        Enter(Running, VcpuState.Running);
        _slice = new RunSlice(_slice.Epoch + 1);
        Self.Tell(_slice);
    }

    private void EnterPaused(Action resume)
    {
        _resume = resume;
        Enter(Paused, VcpuState.Paused);
        _manager.Tell(new VcpuPaused(_index));
    }

    // Answers the queries about state that only the owner of the vCPU may look at, and notes what holds in every state.
    private bool Answer(object message)
    {
        if (message is ThrottleVcpus throttle)
        {
            _throttlePercent = Math.Clamp(throttle.Percent, 0, 99);
            return true;
        }

        IProtocolMessage? answer = message switch
        {
            GetVcpuRegisters => new VcpuRegisters(_index, _cpu.DumpRegisters()),
            GetMachineReport => new MachineReport(_cpu.DescribeTlb()),
            ReadGuestMemory read => new GuestMemoryRead(_cpu.ReadMemory(new GuestVirtualAddress(read.Address), read.Length)),
            _ => null,
        };
        if (answer != null)
        {
            Sender.Tell(answer);
        }

        return answer != null;
    }

    private void Enter(UntypedReceive receive, VcpuState state)
    {
        Become(message =>
        {
            if (!Answer(message))
            {
                receive(message);
            }
        });

        // A vCPU changes between Parked and Running thousands of times a second. The manager is told of Running only; when it is asked, it
        // looks at the CPU for which of the two it is.
        if (state != VcpuState.Parked && _published != state)
        {
            _published = state;
            _manager.Tell(new VcpuStateChanged(_index, state));
        }
    }
}
