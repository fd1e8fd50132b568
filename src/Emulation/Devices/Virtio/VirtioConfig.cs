using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Devices.Virtio;

/// <summary>What a virtio device is made from, for every transport.</summary>
/// <param name="Id">The name that the user gave it (<c>id=</c>); empty for none.</param>
public abstract record VirtioConfig(string Id)
{
    /// <summary>Makes the core of the device, for a machine with this RAM.</summary>
    public abstract VirtioDevice Make(IDmaMemory memory);
}
