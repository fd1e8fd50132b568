using Vmm.Emulation.Block;

namespace Vmm.Emulation.Devices.Virtio.NineP;

/// <summary>Requests of 9P2000.L; the answer to each has the next number (Linux, include/net/9p/9p.h, enum p9_msg_t).</summary>
internal enum NinePType : byte
{
    Error = 7,
    StatFs = 8,
    Open = 12,
    Create = 14,
    SymbolicLink = 16,
    MakeNode = 18,
    Rename = 20,
    ReadLink = 22,
    GetAttributes = 24,
    SetAttributes = 26,
    XattrWalk = 30,
    XattrCreate = 32,
    ReadDirectory = 40,
    Sync = 50,
    Lock = 52,
    GetLock = 54,
    Link = 70,
    MakeDirectory = 72,
    RenameAt = 74,
    UnlinkAt = 76,
    Version = 100,
    Auth = 102,
    Attach = 104,
    Flush = 108,
    Walk = 110,
    Read = 116,
    Write = 118,
    Clunk = 120,
    Remove = 122,
}

/// <summary>Numbers of 9P2000.L (Linux, include/net/9p/9p.h), and of the virtio device that carries it.</summary>
internal static class NinePSpec
{
    /// <summary>VIRTIO_9P_MOUNT_TAG: the configuration space has the tag, behind its 16-bit length.</summary>
    public const ulong MountTag = 1;

    /// <summary>As QEMU's device (MAX_REQ).</summary>
    public const int QueueSize = 128;

    /// <summary>size[4] type[1] tag[2].</summary>
    public const int HeaderSize = 7;

    /// <summary>What a message may have at least, as QEMU has it (P9_MIN_MSIZE).</summary>
    public const uint LeastMessage = 4096;

    /// <summary>What a message may have at most: what Linux's transport can carry with pages of 4 KiB.</summary>
    public const uint MostMessage = 512 << 10;

    /// <summary>The most names of a walk (P9_MAXWELEM).</summary>
    public const int MostNames = 16;

    public const int LongestName = 255;
    public const int LongestPath = 4095;
    public const int QidSize = 13;

    /// <summary>The largest extended attribute, and the largest list of their names (Linux, XATTR_SIZE_MAX, XATTR_LIST_MAX).</summary>
    public const int LargestXattr = 65536;

    // Types of a qid.
    public const byte QidDirectory = 0x80;
    public const byte QidSymbolicLink = 0x02;

    // Flags of an open (P9_DOTL_…), which are those of Linux without an architecture's own.
    public const uint AccessMode = 3;
    public const uint Exclusive = 0x80;
    public const uint Truncate = 0x200;
    public const uint Append = 0x400;

    // Attributes that are set (P9_ATTR_…).
    public const uint SetMode = 1;
    public const uint SetUser = 2;
    public const uint SetGroup = 4;
    public const uint SetSize = 8;
    public const uint SetAccessTime = 0x10;
    public const uint SetModificationTime = 0x20;
    public const uint SetChangeTime = 0x40;
    public const uint AccessTimeGiven = 0x80;
    public const uint ModificationTimeGiven = 0x100;

    /// <summary>P9_STATS_BASIC: all but the time of birth, generation and data version.</summary>
    public const ulong BasicAttributes = 0x7FF;

    /// <summary>P9_LOCK_TYPE_UNLCK.</summary>
    public const byte Unlocked = 2;

    // Bits of a mode (inode(7)).
    public const uint TypeMask = 0xF000;
    public const uint Fifo = 0x1000;
    public const uint CharacterDevice = 0x2000;
    public const uint FolderType = 0x4000;
    public const uint BlockDevice = 0x6000;
    public const uint Regular = 0x8000;
    public const uint SymbolicLink = 0xA000;
    public const uint Socket = 0xC000;
    public const uint Permissions = 0xFFF;

    // Errors that no disk has.
    public const Errno NotPermitted = (Errno)1;
    public const Errno NoDeviceOrAddress = (Errno)6;
    public const Errno BadFid = (Errno)9;
    public const Errno Exists = (Errno)17;
    public const Errno NotDirectory = (Errno)20;
    public const Errno TooManyFids = (Errno)24;
    public const Errno NameTooLong = (Errno)36;
    public const Errno NoData = (Errno)61;
    public const Errno Protocol = (Errno)71;
    public const Errno MessageTooLong = (Errno)90;
}
