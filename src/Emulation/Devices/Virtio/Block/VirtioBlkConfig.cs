using Vmm.Emulation.Block;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Devices.Virtio.Block;

/// <summary>What becomes of a request that the host cannot do (<c>rerror=</c>, <c>werror=</c>).</summary>
public enum BlockErrorPolicy
{
    /// <summary>The guest is told.</summary>
    Report,

    /// <summary>The guest is told that all went well.</summary>
    Ignore,

    /// <summary>The VM stops; when it goes on the request is tried again.</summary>
    Stop,

    /// <summary>The VM stops where the host has no room left; of another error the guest is told.</summary>
    StopWithoutSpace,
}

/// <summary>A disk on virtio, with QEMU's properties of <c>virtio-blk</c> and its defaults. Its maker has checked it.</summary>
/// <param name="Id"><c>id=</c>.</param>
/// <param name="Disk"><c>drive=</c>; its maker disposes it, after the machine.</param>
public sealed record VirtioBlkConfig(string Id, BlockBackend Disk) : VirtioConfig(Id)
{
    /// <summary><c>serial=</c>: what the guest reads as its number; 20 bytes of it.</summary>
    public string Serial { get; init; } = "";

    /// <summary><c>num-queues=</c>.</summary>
    public int Queues { get; init; } = 1;

    /// <summary><c>queue-size=</c>: descriptors of a queue, a power of two.</summary>
    public int QueueSize { get; init; } = 256;

    /// <summary><c>logical_block_size=</c>: requests are whole blocks; a power of two from 512.</summary>
    public int LogicalBlockSize { get; init; } = VirtioBlkSpec.SectorSize;

    /// <summary><c>physical_block_size=</c>; a power of two, no less than the logical one.</summary>
    public int PhysicalBlockSize { get; init; } = VirtioBlkSpec.SectorSize;

    /// <summary><c>min_io_size=</c>: bytes; 0 for not said.</summary>
    public int MinimumIoSize { get; init; }

    /// <summary><c>opt_io_size=</c>: bytes; 0 for not said.</summary>
    public int OptimalIoSize { get; init; }

    /// <summary><c>config-wce=</c>: the guest may turn the write cache off and on.</summary>
    public bool ConfigurableWriteCache { get; init; } = true;

    /// <summary><c>discard=</c> of the device: the guest may give room back.</summary>
    public bool Discard { get; init; } = true;

    /// <summary><c>write-zeroes=</c>.</summary>
    public bool WriteZeroes { get; init; } = true;

    /// <summary><c>rerror=</c>, of reads.</summary>
    public BlockErrorPolicy ReadError { get; init; } = BlockErrorPolicy.Report;

    /// <summary><c>werror=</c>, of all other requests.</summary>
    public BlockErrorPolicy WriteError { get; init; } = BlockErrorPolicy.StopWithoutSpace;

    /// <summary><c>packed=</c>, <c>event_idx=</c>, <c>indirect_desc=</c>.</summary>
    public VirtioFeatures Rings { get; init; } = VirtioFeatures.EventIndex | VirtioFeatures.IndirectDescriptors;

    public override string TypeName => "virtio-blk";

    public override string BootPath => "/disk@0,0";

    public override void Dispose()
    {
        Disk.Dispose();
        base.Dispose();
    }

    public override VirtioDevice Make(IDmaMemory memory) => new VirtioBlk(memory, this);
}
