using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices.Ged;

namespace Vmm.Actors.Devices;

/// <summary>The Generic Event Device: whatever the guest is to be told through it comes here as a message.</summary>
public sealed class GedActor : DeviceActor
{
    private readonly Ged _ged;

    public GedActor(Ged ged)
        : base(ged)
    {
        _ged = ged;
        Receive<PressPowerButton>(_ => _ged.Raise(GedEvents.PowerButton));
        Receive<AnnounceCpuEvent>(_ => _ged.Raise(GedEvents.CpuHotplug));
    }

    protected override void ResetCore() => _ged.Reset();
}
