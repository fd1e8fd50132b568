using Akka.Actor;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio;

namespace Vmm.Actors.Devices;

/// <summary>
/// A virtio device whose work may wait for the host: threads do it (<see cref="BackendThreads"/>), and its actor says when. They work while
/// the VM runs. A pause and a reset let what is under way end.
/// </summary>
public abstract class ThreadedActor : VirtioActor
{
    // Whether the VM runs, and how many wait for the requests under way.
    private bool _runs;
    private int _draining;

    private sealed record Drained(Action Then);

    protected ThreadedActor(VirtioDevice device, IDevice transport)
        : base(device, transport)
    {
        Receive<Exception>(broken => throw new InvalidOperationException($"{Name}: {broken.Message}", broken));
        Receive<Drained>(drained =>
        {
            _draining--;
            drained.Then();
            GoOn();
        });
        Receive<PauseDevices>(pause =>
        {
            _runs = false;
            IActorRef requester = Sender;
            WhenDrained(() => Settle(pause), () => requester.Tell(new DevicesPaused(pause.Round)));
        });
        Receive<ResumeDevices>(_ =>
        {
            _runs = true;
            GoOn();
        });
    }

    /// <summary>The threads; <see cref="Exception"/>s that they tell of are to be told to the actor.</summary>
    private protected abstract BackendThreads Threads { get; }

    /// <summary>Brings what the host has of the device to rest, on a thread, when no request is under way.</summary>
    protected virtual void Settle(PauseDevices pause)
    {
    }

    /// <summary>Whether the host has what the device needs to go on.</summary>
    protected virtual bool TryGoOn() => true;

    protected override void PostStop()
    {
        base.PostStop();
        Threads.End();
    }

    protected override void Reset(IActorRef requester)
    {
        _runs = false;
        WhenDrained(() => { }, () => base.Reset(requester));
    }

    /// <summary>Does the first part on a thread when no request is under way, and then the second one in this actor.</summary>
    protected void WhenDrained(Action onThread, Action then)
    {
        IActorRef self = Self;
        _draining++;
        Threads.Pause(() =>
        {
            onThread();
            self.Tell(new Drained(then));
        });
    }

    private void GoOn()
    {
        if (_runs && _draining == 0 && TryGoOn())
        {
            Threads.Resume();
            Look();
        }
    }
}
