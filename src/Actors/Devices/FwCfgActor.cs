using Vmm.Emulation.Devices.FwCfg;

namespace Vmm.Actors.Devices;

/// <summary>The firmware configuration device: reset and saved state; all its work is done within the guest's accesses.</summary>
public sealed class FwCfgActor(FwCfg fwCfg) : DeviceActor(fwCfg)
{
    protected override void ResetCore() => fwCfg.Reset();
}
