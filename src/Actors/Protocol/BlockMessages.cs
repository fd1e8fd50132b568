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

public sealed record BlockCommandDone : IProtocolMessage;

/// <summary>Query: the disks. Answer: <see cref="BlockDevices"/>.</summary>
public sealed record GetBlockDevices : IBlockCommand
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
/// <param name="Figures">Of each disk <see cref="FiguresOfDisk"/>: for reads, writes, flushes and unmaps the bytes, the operations that
/// were done, and their nanoseconds.</param>
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
    long[] Figures) : IProtocolMessage
{
    public const int FiguresOfDisk = 12;
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
