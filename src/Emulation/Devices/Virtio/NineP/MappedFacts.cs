using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Block;
using static Vmm.Emulation.Devices.Virtio.NineP.NinePSpec;

namespace Vmm.Emulation.Devices.Virtio.NineP;

/// <summary>
/// What files are to the guest, kept beside what they are to the host in extended attributes of their own
/// (<c>security_model=mapped-xattr</c>; names and values are those of QEMU, hw/9pfs/9p-local.c, so either reads the other's folders). On
/// the host there are regular files and folders of this process alone: a symbolic link is a file that holds its target, a device node,
/// FIFO or socket an empty one.
/// </summary>
internal static class MappedFacts
{
    private static readonly byte[] s_user = [.. "user.virtfs.uid"u8];
    private static readonly byte[] s_group = [.. "user.virtfs.gid"u8];
    private static readonly byte[] s_mode = [.. "user.virtfs.mode"u8];
    private static readonly byte[] s_device = [.. "user.virtfs.rdev"u8];

    private static ReadOnlySpan<byte> Prefix => "user.virtfs."u8;

    private static ReadOnlySpan<byte> AccessList => "system.posix_acl_"u8;

    /// <summary>Makes of what the host says of a file what it is to the guest. What is not noted is the host's.</summary>
    public static void Apply(SafeFileHandle file, ref FileFacts facts)
    {
        Span<byte> value = stackalloc byte[sizeof(ulong)];
        if (TryGet(file, s_user, value[..4]))
        {
            facts.User = BinaryPrimitives.ReadUInt32LittleEndian(value);
        }

        if (TryGet(file, s_group, value[..4]))
        {
            facts.Group = BinaryPrimitives.ReadUInt32LittleEndian(value);
        }

        // A folder is one for both sides, and nothing else is.
        if (TryGet(file, s_mode, value[..4]) && BinaryPrimitives.ReadUInt32LittleEndian(value) is var mode)
        {
            uint type = facts.Type == Regular && (mode & TypeMask) is var noted and not (0 or FolderType) ? noted : facts.Type;
            facts.Mode = (ushort)(type | (mode & Permissions));
        }

        // As makedev(3) packs it.
        if (TryGet(file, s_device, value))
        {
            ulong device = BinaryPrimitives.ReadUInt64LittleEndian(value);
            facts.NodeMajor = (uint)(((device >> 8) & 0xFFF) | ((device >> 32) & 0xFFFF_F000));
            facts.NodeMinor = (uint)((device & 0xFF) | ((device >> 12) & 0xFFFF_FF00));
        }
    }

    /// <summary>Notes what a file is to the guest. Users and groups that are all ones, and what is null, stay as they are.</summary>
    /// <param name="mode">With the type.</param>
    public static Errno Set(SafeFileHandle file, uint user, uint group, uint? mode, (uint Major, uint Minor)? device)
    {
        Span<byte> value = stackalloc byte[sizeof(ulong)];
        Errno error = Errno.None;
        foreach ((byte[] name, uint? word) in ((byte[], uint?)[])[(s_user, Known(user)), (s_group, Known(group)), (s_mode, mode)])
        {
            if (error == Errno.None && word is { } known)
            {
                BinaryPrimitives.WriteUInt32LittleEndian(value, known);
                error = FolderCalls.SetXattr(file, name, value[..4], 0);
            }
        }

        if (error == Errno.None && device is var (major, minor))
        {
            BinaryPrimitives.WriteUInt64LittleEndian(
                value, (minor & 0xFF) | ((major & 0xFFFul) << 8) | ((minor & ~0xFFul) << 12) | ((major & ~0xFFFul) << 32));
            error = FolderCalls.SetXattr(file, s_device, value, 0);
        }

        return error;
    }

    /// <summary>Whether the guest may not know of an extended attribute.</summary>
    public static bool IsHidden(ReadOnlySpan<byte> name) => name.StartsWith(Prefix);

    /// <summary>The name on the host of an extended attribute of the guest's: an access control list there would be the host's.</summary>
    public static ReadOnlySpan<byte> OnHost(ReadOnlySpan<byte> name) => name.StartsWith(AccessList) ? (byte[])[.. Prefix, .. name] : name;

    /// <summary>Leaves of a list of names those that the guest may know.</summary>
    /// <returns>Bytes of the list.</returns>
    public static int Filter(Span<byte> names)
    {
        int kept = 0;
        for (int at = 0; at < names.Length;)
        {
            int length = names[at..].IndexOf((byte)0) + 1;
            Span<byte> name = names.Slice(at, length);
            at += length;
            Span<byte> told = name.StartsWith(Prefix) ? name[Prefix.Length..] : name;
            if (told.StartsWith(told.Length < length ? AccessList : "user."u8))
            {
                told.CopyTo(names[kept..]);
                kept += told.Length;
            }
        }

        return kept;
    }

    private static uint? Known(uint number) => number == uint.MaxValue ? null : number;

    private static bool TryGet(SafeFileHandle file, byte[] name, Span<byte> value) =>
        FolderCalls.GetXattr(file, name, value, out int length) == Errno.None && length == value.Length;
}
