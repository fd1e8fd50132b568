using Akka.Actor;
using Vmm.Actors.Devices;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vm;
using Vmm.Emulation.Devices.InterruptController;
using Vmm.Emulation.Devices.VmGenId;

namespace Vmm.Actors.Snapshots;

/// <summary>
/// An actor that takes the state of the VM, or gives it another one: the steps that snapshots and migrations have in
/// common. Each step tells what is to be done when it is over; a rejection of any ends in <see cref="Abandon"/>, an exception in
/// <see cref="Fail"/>.
/// <code>
/// take: VM held → hotplug frozen → GIC, then devices asked for their state
/// give: VM held → hotplug frozen, its journal written → parts stopped → CPUs loaded → parts made anew, devices load their state
/// </code>
/// Work with files and connections is done by tasks, which have the machine to themselves while the VM is held: the actor waits for the
/// task alone.
/// </summary>
internal abstract class HoldingActor(IVmMachine machine, IActorRef supervisor) : MessageActor, IWithUnboundedStash
{
    // The end of a task, by its number: a task may end after it is no longer waited for, because a part of the VM has failed meanwhile.
    private sealed record TaskEnded(int Task, object? Result, Exception? Failure);

    private VmHeld? _held;

    // What hotplug said when it was frozen for this holding; null before that, and on a machine without hotplug.
    private HotplugFrozen? _frozen;
    private bool _areSlotsFrozen;

    // The number of the last task.
    private int _task;

    public IStash Stash { get; set; } = null!;

    protected IVmMachine Machine => machine;

    /// <summary>The VM is held, or its parts are stopped.</summary>
    protected bool IsHolding => _held != null;

    /// <summary>Ends what is under way, because a step was rejected.</summary>
    protected abstract void Abandon(VmCommandRejected why);

    /// <summary>Ends what is under way, because a task failed.</summary>
    protected abstract void Fail(Exception cause);

    /// <summary>What is answered while a step is waited for.</summary>
    protected abstract void Queries();

    /// <summary>Work with files, and with the machine while it is held. Everything but <see cref="Queries"/> waits.</summary>
    protected void RunTask(Func<object?> work, Action<object?> then)
    {
        IActorRef self = Self;
        int task = ++_task;
        _ = Task.Run(() =>
        {
            try
            {
                self.Tell(new TaskEnded(task, work(), null));
            }
            catch (Exception e)
            {
                self.Tell(new TaskEnded(task, null, e));
            }
        });
        Await(() => Receive<TaskEnded>(ended => ended.Task == task, ended =>
        {
            if (ended.Failure != null)
            {
                Fail(ended.Failure);
            }
            else
            {
                then(ended.Result);
            }
        }));
    }

    /// <summary>Waits for the next step's answer; a rejection of it is that of the request.</summary>
    protected void Await(Action describe) => Become(() =>
    {
        describe();
        Receive<VmCommandRejected>(Abandon);
        Receive<TaskEnded>(_ => { });
        Queries();
        ReceiveAny(_ => Stash.Stash());
    });

    /// <summary>The VM becomes this actor's: nobody else saves, loads or moves it until <see cref="Disclaim"/>.</summary>
    /// <param name="what">What is done with it, for whoever else wants it: a sentence.</param>
    protected void Claim(string what, Action then)
    {
        supervisor.Tell(new ClaimVm(what));
        Await(() => Receive<VmClaimed>(_ => then()));
    }

    protected void Disclaim() => supervisor.Tell(new DisclaimVm());

    /// <summary>Holds the VM still until <see cref="Release"/>.</summary>
    /// <param name="state">Its run state meanwhile.</param>
    /// <param name="then">Is given the run state from which it was held.</param>
    protected void Hold(VmRunState state, Action<VmRunState> then)
    {
        supervisor.Tell(new HoldVm(state));
        Await(() => Receive<VmHeld>(held =>
        {
            // A disk may be slow: the VM, which is held already, answers meanwhile. What it is to be handed over with is closed.
            _held = held;
            held.Devices.Tell(new PauseDevices(Close: state == VmRunState.FinishMigrate));
            Await(() => Receive<DevicesPaused>(_ =>
            {
                machine.TraceStep("the VM is held");
                then(held.From);
            }));
        }));
    }

    /// <summary>Takes the state of the held VM.</summary>
    protected void Collect(Action<VmState> then)
    {
        // The guest may have done what blocks it since the save or the migration was asked for.
        if (VmState.BlockerOf(machine) is { } blocker)
        {
            Abandon(new VmCommandRejected(RejectionCode.InvalidState, blocker));
            return;
        }

        Freeze(frozen => Collect(frozen, then));
    }

    private void Collect(HotplugFrozen? frozen, Action<VmState> then)
    {
        // The levels of interrupt lines that a device drives after the GIC was saved are driven again when the device is loaded.
        var states = new Dictionary<string, byte[]>();
        string gic = machine.Devices.Single(d => d.Device is GicV3Device).Id;
        string[] others = [.. machine.Devices.Where(d => d.HasActor && d.Id != gic).Select(d => d.Id)];
        _held!.Gic.Tell(new GetDeviceState(gic));
        Await(() => Receive<DeviceState>(state =>
        {
            states[state.Device] = state.Bytes;
            if (state.Device == gic)
            {
                Array.ForEach(others, id => _held.Devices.Tell(new GetDeviceState(id)));
            }

            if (states.Count == others.Length + 1)
            {
                machine.TraceStep("the devices have told their state");
                then(VmState.Of(machine, states, frozen));
            }
        }));
    }

    /// <summary>Gives the held VM another state; it stays held until <see cref="Release"/>.</summary>
    /// <param name="loadRam">Makes RAM what it is to be, while the machine is nobody's.</param>
    /// <param name="then">It has the state.</param>
    protected void Give(LoadableVm state, Action loadRam, Action then) => Freeze(frozen =>
    {
        void Stop()
        {
            supervisor.Tell(new StopParts());
            Await(() => Receive<PartsStopped>(_ =>
            {
                machine.TraceStep("the parts are stopped");
                LoadMachine(state, loadRam, then);
            }));
        }

        if (frozen == null)
        {
            Stop();
            return;
        }

        _held!.Hotplug!.Tell(new RestoreHotplug(state.Hotplug!.State));
        Await(() => Receive<HotplugRestored>(_ => Stop()));
    });

    /// <summary>The held VM is another one than that whose state it was given: a guest that can notice it, does.</summary>
    protected void RenewGenerationId(Action then)
    {
        if (!machine.Devices.Any(d => d.Device is VmGenId))
        {
            then();
            return;
        }

        _held!.Devices.Tell(new RenewGenerationId());
        Await(() => Receive<GenerationIdRenewed>(_ => then()));
    }

    /// <summary>Ends the holding.</summary>
    /// <param name="state">How the VM goes on.</param>
    protected void Release(ReleaseVm state)
    {
        if (_held != null)
        {
            object goesOn = state.As == VmRunState.PostMigrate ? new HandOverHotplug() : new ThawHotplug();
            if (_areSlotsFrozen)
            {
                _held.Slots.Tell(goesOn);
            }

            if (_frozen != null)
            {
                _held.Hotplug?.Tell(goesOn);
            }

            supervisor.Tell(state);
            (_held, _frozen, _areSlotsFrozen) = (null, null, false);
        }
    }

    /// <summary>CPUs and devices of the held VM neither come nor go until <see cref="Release"/>.</summary>
    protected void Freeze(Action<HotplugFrozen?> then)
    {
        if (!_areSlotsFrozen)
        {
            _held!.Slots.Tell(new FreezeHotplug());
            Await(() => Receive<SlotsFrozen>(_ =>
            {
                _areSlotsFrozen = true;
                Freeze(then);
            }));
            return;
        }

        if (_held!.Hotplug == null || _frozen != null)
        {
            then(_frozen);
            return;
        }

        _held.Hotplug.Tell(new FreezeHotplug());
        Await(() => Receive<HotplugFrozen>(frozen =>
        {
            _frozen = frozen;
            machine.TraceStep("hotplug is frozen");
            then(frozen);
        }));
    }

    private void LoadMachine(LoadableVm state, Action loadRam, Action then) => RunTask(
        () =>
        {
            try
            {
                machine.Load(state.Machine, loadRam);
                return null;
            }
            catch (Exception e)
            {
                return e;
            }
        },
        failure =>
        {
            (_held, _frozen, _areSlotsFrozen) = (null, null, false);
            machine.TraceStep("the CPUs are loaded");
            supervisor.Tell(failure is Exception e ? new FailVm($"the machine is loaded in part: {e.Message}")
                : new RemakeVm(state.Devices, state.Hotplug?.LastOst));
            Await(() => Receive<VmHeld>(held =>
            {
                _held = held;
                machine.TraceStep("the devices are loaded");
                if (state.Notice is { } notice)
                {
                    Context.System.EventStream.Publish(new VmNotice(notice));
                }

                then();
            }));
        });
}
