using System.Runtime.CompilerServices;
using Vmm.Actors.Hosting;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio.Rng;

namespace Vmm.Actors.Devices;

/// <summary>The entropy device: fills the guest's buffers with random bytes of the host, on a notification.</summary>
internal sealed class VirtioRngActor(VirtioRng rng, IDevice transport) : ServingActor(rng, transport)
{
    [ModuleInitializer]
    internal static void Register() => DeviceActors.RegisterVirtio<VirtioRng>((rng, transport, _) =>
        new DeviceActorPlan(ActorProps.Of(() => new VirtioRngActor(rng, transport))) { Pauses = true });

    protected override bool Serve() => rng.Serve();
}
