namespace Vmm.Fleet.Isolation;

/// <summary>What a rule allows for a file, or for all files below a folder. The values are the kernel's (landlock(7)).</summary>
[Flags]
internal enum HostAccess : ulong
{
    Execute = 1 << 0,
    WriteFile = 1 << 1,
    ReadFile = 1 << 2,
    ReadFolder = 1 << 3,
    RemoveFolder = 1 << 4,
    RemoveFile = 1 << 5,
    MakeFolder = 1 << 7,
    MakeFile = 1 << 8,
    MakeSocket = 1 << 9,
    MakePipe = 1 << 10,

    /// <summary>To move and link files between folders.</summary>
    Refer = 1 << 13,
    Truncate = 1 << 14,

    /// <summary>Calls of ioctl(2) on devices; since Linux 6.10.</summary>
    ControlDevice = 1 << 15,

    /// <summary>All that rules can allow; device files and symbolic links, which have no name here, are among it.</summary>
    All = (1 << 16) - 1,

    /// <summary>What makes sense for a file: a rule for one must have no more.</summary>
    OfFile = Execute | WriteFile | ReadFile | Truncate | ControlDevice,

    Read = ReadFile | ReadFolder,
    Run = Read | Execute,
    Write = ReadFile | WriteFile | Truncate,

    /// <summary>All but programs, device files and symbolic links, which could lead the node elsewhere.</summary>
    Keep = Read | Write | MakeFolder | MakeFile | MakeSocket | MakePipe | RemoveFolder | RemoveFile | Refer,
}

/// <summary>What is allowed for a file of the host, or for all files below a folder.</summary>
internal readonly record struct HostRule(HostAccess Access, string Path);
