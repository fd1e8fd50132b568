using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Vmm.Actors.Hosting;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio.Vsock;

namespace Vmm.Actors.Devices;

/// <summary>
/// A socket device on virtio: it owns the thread that has its connections (<see cref="VsockThread"/>). A machine that is handed over to
/// another process ends its connections, and so does a reset.
/// </summary>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "PostStop ends the thread.")]
public sealed class VsockActor : PollingActor
{
    private readonly VsockThread _thread;

    [ModuleInitializer]
    internal static void Register() => DeviceActors.RegisterVirtio<VirtioVsock>((vsock, transport, _) =>
        new DeviceActorPlan(ActorProps.Of(() => new VsockActor(vsock, transport))) { Pauses = true });

    public VsockActor(VirtioVsock vsock, IDevice transport)
        : base(vsock, transport) => _thread = new VsockThread(vsock, Notice, Broken);

    private protected override PollThread Thread => _thread;
}
