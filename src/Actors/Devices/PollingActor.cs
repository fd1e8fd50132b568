using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio;

namespace Vmm.Actors.Devices;

/// <summary>
/// A virtio device whose other side are descriptors of the host: one thread does its work (<see cref="PollThread"/>), and its actor says
/// when. The driver's notifications wake the thread itself, so that nothing of the guest's waits for an actor.
/// </summary>
public abstract class PollingActor : VirtioActor
{
    private sealed record Noticed(string Text);

    private sealed record ThreadDone(Action Then);

    protected PollingActor(VirtioDevice device, IDevice transport)
        : base(device, transport)
    {
        IActorRef self = Self;
        Notice = text => self.Tell(new Noticed(text));
        Broken = broken => self.Tell(broken);
        Receive<Noticed>(noticed => Context.System.EventStream.Publish(new VmNotice(noticed.Text)));
        Receive<Exception>(broken => throw new InvalidOperationException($"{Name}: {broken.Message}", broken));
        Receive<ThreadDone>(done => done.Then());
        Receive<PauseDevices>(pause =>
        {
            IActorRef requester = Sender;
            Look();
            OnThread(() => Thread.Pause(pause.Close), () => requester.Tell(new DevicesPaused(pause.Round)));
        });
        Receive<ResumeDevices>(_ =>
        {
            Look();
            Thread.Post(Thread.Resume);
        });
    }

    /// <summary>For the thread: what people are to know, as one line.</summary>
    protected Action<string> Notice { get; }

    /// <summary>For the thread: what should never be thrown.</summary>
    protected Action<Exception> Broken { get; }

    private protected abstract PollThread Thread { get; }

    protected override void PreStart()
    {
        Thread.Start();
        base.PreStart();
    }

    protected override void PostStop()
    {
        base.PostStop();
        Thread.Dispose();
    }

    protected override Action OnNotified() => () =>
    {
        Device.Notified.Acknowledge();
        Thread.Wake();
    };

    protected sealed override void LookAtDriver() => Thread.Wake();

    protected override void Reset(IActorRef requester) => OnThread(Thread.Drop, () => base.Reset(requester));

    // Does the first part on the thread, and then the second one in this actor.
    private void OnThread(Action onThread, Action then)
    {
        IActorRef self = Self;
        Thread.Post(() =>
        {
            onThread();
            self.Tell(new ThreadDone(then));
        });
    }
}
