using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Devices.Virtio;

/// <summary>What a virtio device is made from, for every transport. It owns what the host has of it, such as a disk's file.</summary>
/// <param name="Id">The name that the user gave it (<c>id=</c>); empty for none.</param>
public abstract record VirtioConfig(string Id) : IDisposable
{
    /// <summary>The name of its type in front of that of the transport, such as <c>virtio-blk</c>.</summary>
    public abstract string TypeName { get; }

    /// <summary><c>bootindex=</c>: the place among what firmware is to boot from, the lowest first; null for none.</summary>
    public int? BootIndex { get; init; }

    /// <summary>The end of its path for firmware, behind the transport's (QEMU, add_boot_device_path).</summary>
    public virtual string BootPath => "";

    /// <summary>Closes what the host has of the device, after the machine.</summary>
    public virtual void Dispose() => GC.SuppressFinalize(this);

    /// <summary>Makes the core of the device, for a machine with this RAM.</summary>
    public abstract VirtioDevice Make(IDmaMemory memory);
}
