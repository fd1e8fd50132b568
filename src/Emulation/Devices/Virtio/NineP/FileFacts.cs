using System.Runtime.InteropServices;
using static Vmm.Emulation.Devices.Virtio.NineP.NinePSpec;

namespace Vmm.Emulation.Devices.Virtio.NineP;

/// <summary>What the host says of a file: struct statx of statx(2), as far as it is read.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct FileFacts
{
    [FieldOffset(4)]
    public uint BlockSize;

    [FieldOffset(16)]
    public uint Links;

    [FieldOffset(20)]
    public uint User;

    [FieldOffset(24)]
    public uint Group;

    [FieldOffset(28)]
    public ushort Mode;

    [FieldOffset(32)]
    public ulong Inode;

    [FieldOffset(40)]
    public ulong Size;

    [FieldOffset(48)]
    public ulong Blocks;

    [FieldOffset(64)]
    public FileTime Accessed;

    [FieldOffset(96)]
    public FileTime Changed;

    [FieldOffset(112)]
    public FileTime Modified;

    [FieldOffset(128)]
    public uint NodeMajor;

    [FieldOffset(132)]
    public uint NodeMinor;

    [FieldOffset(136)]
    public uint DeviceMajor;

    [FieldOffset(140)]
    public uint DeviceMinor;

    /// <summary>struct statx_timestamp, which begins as struct timespec does.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct FileTime
    {
        public long Seconds;
        public long Nanoseconds;

        /// <summary>The upper half is not the host's.</summary>
        public readonly ulong OnlyNanoseconds => (uint)Nanoseconds;
    }

    public readonly uint Type => Mode & TypeMask;

    public readonly byte QidType => Type == FolderType ? QidDirectory : Type == SymbolicLink ? QidSymbolicLink : (byte)0;

    /// <summary>Changes with what is in the file, as QEMU makes it.</summary>
    public readonly uint QidVersion => (uint)((ulong)Modified.Seconds ^ (Size << 8));

    /// <summary>Names the file; files of other file systems in the folder are told apart by the number of their device.</summary>
    public readonly ulong QidPath => PathOf(Inode);

    /// <summary>As <see cref="QidPath"/>, of another file on the same device.</summary>
    public readonly ulong PathOf(ulong inode) => inode ^ ((ulong)((DeviceMajor << 20) | DeviceMinor) << 32);

    /// <summary>The number of a device node, as Linux's new_encode_dev makes it.</summary>
    public readonly ulong Node => (NodeMinor & 0xFF) | (NodeMajor << 8) | ((ulong)(NodeMinor & ~0xFFu) << 12);

    public readonly bool IsSame(in FileFacts other) =>
        (Inode, DeviceMajor, DeviceMinor) == (other.Inode, other.DeviceMajor, other.DeviceMinor);
}
