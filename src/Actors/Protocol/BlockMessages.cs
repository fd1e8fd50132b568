namespace Vmm.Actors.Protocol;

/// <summary>A command for the device that has a disk.</summary>
public interface IBlockCommand : IProtocolMessage
{
    /// <summary>The name of the disk or of its uppermost node.</summary>
    string Disk { get; }
}

/// <summary>
/// Give a disk another size; the guest is told. Answer: <see cref="BlockCommandDone"/> or <see cref="VmCommandRejected"/>.
/// </summary>
public sealed record ResizeBlock(string Disk, long Bytes) : IBlockCommand;

/// <summary>
/// Limit how fast a disk may be, and put it into a group of limits. Answer: <see cref="BlockCommandDone"/> or
/// <see cref="VmCommandRejected"/>.
/// </summary>
/// <param name="Limits">The values of all limits, in the order of <c>ThrottleLimits.Names</c>.</param>
/// <param name="Group">The name of the group; empty for the one that it is in, or its own.</param>
public sealed record LimitBlock(string Disk, long[] Limits, string Group) : IBlockCommand;

/// <summary>
/// Put a qcow2 overlay over a disk, which takes what is written from now on. Answer: <see cref="BlockCommandDone"/> or
/// <see cref="VmCommandRejected"/>.
/// </summary>
/// <param name="Path">The file of the overlay.</param>
/// <param name="NodeName">The name of its node; empty for any.</param>
/// <param name="Exists">It was made before.</param>
public sealed record PutBlockOverlay(string Disk, string Path, string NodeName, bool Exists) : IBlockCommand;

/// <summary>
/// Make an internal snapshot of a disk in its image. Answer: <see cref="BlockCommandDone"/> or <see cref="VmCommandRejected"/>.
/// </summary>
public sealed record MakeBlockSnapshot(string Disk, string Name) : IBlockCommand;

/// <summary>
/// Delete an internal snapshot from a disk's image. Answer: <see cref="BlockSnapshotDeleted"/> or <see cref="VmCommandRejected"/>.
/// </summary>
/// <param name="Id">Its number in the image; null for any.</param>
/// <param name="Name">Its name; null for any.</param>
public sealed record DeleteBlockSnapshot(string Disk, string? Id, string? Name) : IBlockCommand;

/// <summary>An internal snapshot of a disk is gone.</summary>
/// <param name="Fields">As <see cref="BlockNodes.Snapshots"/> has them, without the index of the node.</param>
public sealed record BlockSnapshotDeleted(string Id, string Name, long[] Fields) : IProtocolMessage;

/// <summary>Take a disk's medium away for good, whatever the guest does with it. Answer: <see cref="BlockCommandDone"/>.</summary>
public sealed record EjectBlock(string Disk) : IBlockCommand;

/// <summary>A command about images that no device has.</summary>
public interface IBlockImageCommand : IProtocolMessage;

/// <summary>
/// Name an image, for a device that comes later. Answer: <see cref="BlockCommandDone"/> or <see cref="VmCommandRejected"/>.
/// </summary>
/// <param name="Image">As <c>-drive</c> or <c>-blockdev</c> have it.</param>
/// <param name="IsNode">It is a node (<c>-blockdev</c>).</param>
public sealed record AddBlockImage(string Image, bool IsNode) : IBlockImageCommand;

/// <summary>
/// Forget an image. A drive that a device has loses its medium; a node stays. Answer: <see cref="BlockCommandDone"/> or
/// <see cref="VmCommandRejected"/>.
/// </summary>
/// <param name="IsNode">Only a node is meant.</param>
public sealed record RemoveBlockImage(string Name, bool IsNode) : IBlockImageCommand;

/// <summary>Query: the images that no device has, as disks. Answer: <see cref="BlockDevices"/>.</summary>
public sealed record GetUnusedImages : IBlockImageCommand;

/// <summary>Query: the nodes of those. Answer: <see cref="BlockNodes"/>.</summary>
public sealed record GetUnusedNodes : IBlockImageCommand;

public sealed record BlockCommandDone : IProtocolMessage;

/// <summary>Query: the disks. Answer: <see cref="BlockDevices"/>.</summary>
public sealed record GetBlockDevices : IBlockCommand
{
    string IBlockCommand.Disk => "";
}

/// <summary>Query: the nodes of the disks. Answer: <see cref="BlockNodes"/>.</summary>
public sealed record GetBlockNodes : IBlockCommand
{
    string IBlockCommand.Disk => "";
}

/// <summary>The disks, in the order of the command line, in parallel arrays.</summary>
/// <param name="Names">The <c>id=</c> of the drive; empty for a node alone.</param>
/// <param name="NodeNames">The uppermost node.</param>
/// <param name="Devices">What QEMU calls the device that has it (<c>qdev</c>): a name, or a path among its objects.</param>
/// <param name="QomPaths">The path of that device among QEMU's objects.</param>
/// <param name="Statuses">ok, nospace or failed: why the VM is stopped for the disk.</param>
/// <param name="Drivers">The format; empty while the disk is closed.</param>
/// <param name="BackingFiles">The name of the backing file; empty for none.</param>
/// <param name="Depths">How many backing files are under one another.</param>
/// <param name="WriteBack">Of <c>cache=</c>, as the two that follow.</param>
/// <param name="DetectZeroes"><c>detect-zeroes=</c>: off, on or unmap.</param>
/// <param name="Limits">Of each disk <see cref="LimitsOfDisk"/>, in the order of <c>ThrottleLimits.Names</c>.</param>
/// <param name="Groups">The name of its group of limits; empty for none.</param>
/// <param name="Figures">Of each disk <see cref="FiguresOfDisk"/>: for reads, writes, flushes and unmaps the bytes, the operations that
/// were done, their nanoseconds, those that failed, and those that made no sense.</param>
/// <param name="Idle">Nanoseconds since the last operation ended; -1 for none.</param>
/// <param name="Orders">The numbers of the images, in the order in which all were named.</param>
public sealed record BlockDevices(
    string[] Names,
    string[] NodeNames,
    string[] Devices,
    string[] QomPaths,
    string[] Statuses,
    string[] Drivers,
    string[] FileNames,
    string[] BackingFiles,
    int[] Depths,
    bool[] ReadOnly,
    bool[] WriteBack,
    bool[] Direct,
    bool[] NoFlush,
    string[] DetectZeroes,
    long[] Limits,
    string[] Groups,
    long[] Figures,
    long[] Idle,
    int[] Orders) : IProtocolMessage
{
    public const int FiguresOfOperation = 5;
    public const int FiguresOfDisk = 4 * FiguresOfOperation;
    public const int LimitsOfDisk = 19;
}

/// <summary>Block nodes, those of a disk together, in parallel arrays.</summary>
/// <param name="Names">What monitors call them.</param>
/// <param name="Children">The index of the node that has its bytes; -1 for a file.</param>
/// <param name="Backings">The index of the node of the backing file; -1 for none.</param>
/// <param name="BackingFiles">The name of the backing file as the header has it; empty for none.</param>
/// <param name="Sizes">Bytes of the node, as a disk.</param>
/// <param name="Allocated">Bytes that its file takes of the host.</param>
/// <param name="Formats">
/// Of each node <see cref="FieldsOfFormat"/>, 0 where it is no qcow2: bytes of a cluster; version; bits of a refcount; 1 for zstd; 1 for
/// lazy refcounts; 1 for dirty; 1 for damaged.
/// </param>
/// <param name="SnapshotNames">Of each internal snapshot its id and its name.</param>
/// <param name="Snapshots">
/// Of each internal snapshot <see cref="FieldsOfSnapshot"/>: the index of the node, bytes of the machine's state, when it was taken and how
/// long the guest had run, both in nanoseconds, and the instructions that it had executed, -1 for one that counts none.
/// </param>
/// <param name="Direct">Of the disk that each belongs to, as the one that follows (<c>cache=</c>).</param>
/// <param name="Figures">
/// Of each node <see cref="FiguresOfNode"/>: one past the last byte that was written, discards that were done and that failed, and the
/// bytes of the former.
/// </param>
/// <param name="Orders">When each was named or opened, among all nodes: the lower the earlier.</param>
public sealed record BlockNodes(
    string[] Names,
    string[] Drivers,
    string[] FileNames,
    bool[] ReadOnly,
    int[] Children,
    int[] Backings,
    string[] BackingFiles,
    string[] BackingFormats,
    long[] Sizes,
    long[] Allocated,
    long[] Formats,
    string[] SnapshotNames,
    long[] Snapshots,
    bool[] Direct,
    bool[] NoFlush,
    long[] Figures,
    int[] Orders) : IProtocolMessage
{
    public const int FieldsOfFormat = 7;
    public const int FieldsOfSnapshot = 5;
    public const int FiguresOfNode = 4;
}

/// <summary>What happens to a request that has failed, in QEMU's words.</summary>
public enum BlockErrorAction
{
    Ignore,
    Report,
    Stop,
}

/// <summary>Published: the host could not do what the guest asked of a disk.</summary>
/// <param name="QomPath">The path of the disk's device among QEMU's objects.</param>
/// <param name="NoSpace">Because the host has no room left.</param>
/// <param name="Reason">The host's words.</param>
public sealed record BlockIoFailed(
    string QomPath, string Disk, string NodeName, bool IsRead, BlockErrorAction Action, bool NoSpace, string Reason) : IProtocolMessage;
