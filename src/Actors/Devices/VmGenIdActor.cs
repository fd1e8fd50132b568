using System.Runtime.CompilerServices;
using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Emulation.Devices.VmGenId;

namespace Vmm.Actors.Devices;

/// <summary>
/// To the devices of a VM that was loaded from a snapshot and is held: it is another VM than the saved one. Answer:
/// <see cref="GenerationIdRenewed"/>. Only to a machine that has a VM generation ID.
/// </summary>
internal sealed record RenewGenerationId;

internal sealed record GenerationIdRenewed;

/// <summary>To the GED: tell the guest that the VM generation ID has changed.</summary>
internal sealed record AnnounceGenerationId;

/// <summary>The VM generation ID: changes it and has the GED tell the guest.</summary>
internal sealed class VmGenIdActor : DeviceActor
{
    [ModuleInitializer]
    internal static void Register() => DeviceActors.Register<VmGenId>((device, _) =>
        new DeviceActorPlan(ActorProps.Of(() => new VmGenIdActor(device)), typeof(RenewGenerationId)));

    public VmGenIdActor(VmGenId device)
        : base(device) => Receive<RenewGenerationId>(_ =>
        {
            device.Renew();
            Context.Parent.Tell(new AnnounceGenerationId());
            Sender.Tell(new GenerationIdRenewed());
        });
}
