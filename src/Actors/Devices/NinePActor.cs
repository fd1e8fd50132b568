using System.Runtime.CompilerServices;
using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio.NineP;

namespace Vmm.Actors.Devices;

/// <summary>A shared folder: it owns the threads that serve it (<see cref="NinePThreads"/>).</summary>
public sealed class NinePActor : ThreadedActor
{
    private readonly VirtioNineP _folder;
    private readonly NinePThreads _threads;

    [ModuleInitializer]
    internal static void Register() => DeviceActors.RegisterVirtio<VirtioNineP>((folder, transport, _) =>
        new DeviceActorPlan(ActorProps.Of(() => new NinePActor(folder, transport))) { Pauses = true });

    public NinePActor(VirtioNineP folder, IDevice transport)
        : base(folder, transport)
    {
        IActorRef self = Self;
        _folder = folder;
        _threads = new NinePThreads(folder, broken => self.Tell(broken));
    }

    protected override string Name => $"9p {_folder.Tag}";

    private protected override BackendThreads Threads => _threads;

    protected override void LookAtDriver()
    {
        if (_folder.TakeNotified())
        {
            _threads.Wake();
        }
    }
}
