using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Akka.Actor;
using Akka.Event;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio.Vsock;

namespace Vmm.Actors.Devices;

/// <summary>
/// A socket device on virtio: it owns the thread that has its connections (<see cref="VsockThread"/>), and says when it works. The driver's
/// notifications wake the thread itself. A machine that is handed over to another process ends its connections, and so does a reset.
/// </summary>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "PostStop ends the thread.")]
public sealed class VsockActor : DeviceActor
{
    private readonly VirtioVsock _vsock;
    private readonly VsockThread _thread;
    private string? _fault;

    private sealed record Told(string Text);

    private sealed record ThreadDone(Action Then);

    [ModuleInitializer]
    internal static void Register() => DeviceActors.RegisterVirtio<VirtioVsock>((vsock, transport, _) =>
        new DeviceActorPlan(ActorProps.Of(() => new VsockActor(vsock, transport))) { Pauses = true });

    public VsockActor(VirtioVsock vsock, IDevice transport)
        : base(transport)
    {
        IActorRef self = Self;
        _vsock = vsock;
        _thread = new VsockThread(vsock, text => self.Tell(new Told(text)), broken => self.Tell(broken));
        Receive<Told>(told => Context.System.EventStream.Publish(new VmNotice(told.Text)));
        Receive<Exception>(broken => throw new InvalidOperationException($"{vsock.Name}: {broken.Message}", broken));
        Receive<ThreadDone>(done => done.Then());
        Receive<PauseDevices>(pause =>
        {
            IActorRef requester = Sender;
            LookAtFault();
            OnThread(() => _thread.Pause(pause.Close), () => requester.Tell(new DevicesPaused(pause.Round)));
        });
        Receive<ResumeDevices>(_ =>
        {
            LookAtFault();
            _thread.Post(_thread.Resume);
        });
    }

    protected override void PreStart()
    {
        _thread.Start();
        _vsock.Notified.Connect(() =>
        {
            _vsock.Notified.Acknowledge();
            _thread.Wake();
        });
    }

    protected override void PostStop()
    {
        _vsock.Notified.Connect(null);
        _thread.Post(_thread.Close);
        _thread.Dispose();
    }

    protected override void Reset(IActorRef requester) => OnThread(_thread.Drop, () =>
    {
        _fault = null;
        base.Reset(requester);
    });

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

    // What the driver did wrong is told of when the VM next stops or goes on.
    private void LookAtFault()
    {
        if (_vsock.Fault is { } fault && fault != _fault)
        {
            Context.GetLogger().Warning("{0}: {1}", _vsock.Name, fault);
        }

        _fault = _vsock.Fault;
    }
}
