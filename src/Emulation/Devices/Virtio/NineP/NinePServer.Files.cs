using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Block;
using static Vmm.Emulation.Devices.Virtio.NineP.NinePSpec;

namespace Vmm.Emulation.Devices.Virtio.NineP;

/// <content>What a fid that is open does: reading, writing, entries of folders, extended attributes.</content>
internal sealed partial class NinePServer
{
    // count[4] of an answer to a read.
    private const int CountSize = 4;

    // struct linux_dirent64: inode, place of the next one, size, type, name.
    private const int EntryPlace = 8;
    private const int EntryLength = 16;
    private const int EntryType = 18;
    private const int EntryName = 19;
    private const byte FolderEntry = 4;
    private const byte RegularEntry = 8;
    private const byte LinkEntry = 10;

    private static bool IsLegible(NinePFid fid) => fid.Use is FidUse.File or FidUse.XattrRead;

    private static Errno Read(Span<byte> room, NinePFid fid, ulong offset, out int read)
    {
        if (fid.Use == FidUse.XattrRead)
        {
            ReadOnlySpan<byte> rest = offset < (ulong)fid.Xattr.Length ? fid.Xattr.AsSpan((int)offset) : [];
            read = Math.Min(rest.Length, room.Length);
            rest[..read].CopyTo(room);
            return Errno.None;
        }

        read = 0;
        return offset > long.MaxValue - MostMessage ? Errno.EINVAL : FolderCalls.Read(fid.Opened!, (long)offset, room, out read);
    }

    // An answer that begins with the number of its bytes: the room for these, at most so many as were asked for.
    private static Span<byte> RoomFor(uint count, ref NinePWriter output)
    {
        Span<byte> rest = output.Rest;
        return rest.Length < CountSize ? [] : rest.Slice(CountSize, (int)Math.Min(count, (uint)(rest.Length - CountSize)));
    }

    private Errno Read(ref NinePReader input, ref NinePWriter output)
    {
        using Using fids = Take(input.Dword());
        ulong offset = input.Qword();
        uint count = input.Dword();
        if (fids.First is not { } fid || !IsLegible(fid))
        {
            return BadFid;
        }

        Errno error = Read(RoomFor(count, ref output), fid, offset, out int read);
        output.Dword((uint)read);
        output.Skip(error == Errno.None ? read : 0);
        return error;
    }

    private Errno Write(ref NinePReader input, ref NinePWriter output)
    {
        using Using fids = Take(input.Dword());
        ulong offset = input.Qword();
        ReadOnlySpan<byte> bytes = input.Bytes(input.Dword());
        if (input.IsBad || offset > long.MaxValue - MostMessage)
        {
            return Errno.EINVAL;
        }

        if (fids.First is not { Use: FidUse.File or FidUse.XattrWrite } fid)
        {
            return BadFid;
        }

        output.Dword((uint)bytes.Length);
        if (fid.Use == FidUse.File)
        {
            return FolderCalls.Write(fid.Opened!, (long)offset, bytes);
        }

        if (offset != (ulong)fid.XattrWritten || bytes.Length > fid.Xattr.Length - fid.XattrWritten)
        {
            return Errno.ENOSPC;
        }

        bytes.CopyTo(fid.Xattr.AsSpan(fid.XattrWritten));
        fid.XattrWritten += bytes.Length;
        return Errno.None;
    }

    private Errno ReadDirectory(ref NinePReader input, ref NinePWriter output)
    {
        using Using fids = Take(input.Dword());
        ulong offset = input.Qword();
        uint count = input.Dword();
        if (fids.First is not { Use: FidUse.Folder } fid)
        {
            return BadFid;
        }

        // An entry of the host's is no longer than one of the answer, but for the bytes that align it.
        Span<byte> room = RoomFor(count, ref output);
        byte[] entries = new byte[room.Length];
        Errno error = FolderCalls.Facts(fid.Node.Handle, out FileFacts facts);
        int length = 0;
        error = error == Errno.None ? FolderCalls.ReadFolder(fid.Opened!, (long)offset, entries, out length) : error;
        int written = 0;
        for (int at = 0; error == Errno.None && at + EntryName < length;)
        {
            ReadOnlySpan<byte> entry = entries.AsSpan(at, BinaryPrimitives.ReadUInt16LittleEndian(entries.AsSpan(at + EntryLength)));
            ReadOnlySpan<byte> name = entry[EntryName..];
            name = name[..name.IndexOf((byte)0)];
            int needed = QidSize + 8 + 1 + 2 + name.Length;
            if (needed > room.Length - written)
            {
                break;
            }

            Span<byte> to = room.Slice(written, needed);
            byte type = entry[EntryType];

            // What is above the root is the root.
            ulong inode = fid.Node.IsRoot && name.SequenceEqual(".."u8) ? facts.Inode : BinaryPrimitives.ReadUInt64LittleEndian(entry);
            type = _folder.IsMapped && type == RegularEntry ? (byte)0 : type;
            to[0] = type == FolderEntry ? QidDirectory : type == LinkEntry ? QidSymbolicLink : (byte)0;
            BinaryPrimitives.WriteUInt32LittleEndian(to[1..], 0);
            BinaryPrimitives.WriteUInt64LittleEndian(to[5..], facts.PathOf(inode));
            entry.Slice(EntryPlace, 8).CopyTo(to[QidSize..]);
            to[QidSize + 8] = type;
            BinaryPrimitives.WriteUInt16LittleEndian(to[(QidSize + 9)..], (ushort)name.Length);
            name.CopyTo(to[(QidSize + 11)..]);
            written += needed;
            at += entry.Length;
        }

        if (error == Errno.None && written == 0 && length > 0)
        {
            return Errno.EINVAL;
        }

        output.Dword((uint)written);
        output.Skip(error == Errno.None ? written : 0);
        return error;
    }

    private Errno Open(ref NinePReader input, ref NinePWriter output)
    {
        using Using fids = Take(input.Dword());
        uint flags = input.Dword();
        if (input.IsBad)
        {
            return Errno.EINVAL;
        }

        if (fids.First is not { } fid)
        {
            return BadFid;
        }

        if (fid.Use != FidUse.None)
        {
            return Errno.EINVAL;
        }

        Errno error = _view.Facts(fid.Node.Handle, out FileFacts facts);
        return error != Errno.None ? error : Open(fid, fid.Node.Handle, facts, flags, ref output);
    }

    // The kind of a file that a handle names does not change.
    private Errno Open(NinePFid fid, SafeFileHandle file, in FileFacts facts, uint flags, ref NinePWriter output)
    {
        if (facts.Type is not (Regular or FolderType))
        {
            return NoDeviceOrAddress;
        }

        if (_folder.IsReadOnly && (flags & (AccessMode | Truncate)) != 0)
        {
            return Errno.EROFS;
        }

        bool isFolder = facts.Type == FolderType;
        Errno error = FolderCalls.Reopen(
            file, (int)(flags & (AccessMode | Truncate | Append)), isFolder, out SafeFileHandle opened);
        if (error == Errno.None)
        {
            fid.Open(opened, isFolder ? FidUse.Folder : FidUse.File);
            output.Qid(facts);
            output.Dword(0);
        }

        return error;
    }

    private Errno Create(ref NinePReader input, ref NinePWriter output)
    {
        using Using fids = Take(input.Dword());
        ReadOnlySpan<byte> name = input.Text();
        uint flags = input.Dword();
        uint mode = input.Dword();
        uint group = input.Dword();
        if (CheckNew(fids.First, name, input.IsBad) is var refusal && refusal != Errno.None)
        {
            return refusal;
        }

        NinePFid fid = fids.First!;
        if (fid.Use != FidUse.None)
        {
            return Errno.EINVAL;
        }

        // The fid names the new file from now on. A file that was there is opened as one that the client has walked to.
        SafeFileHandle folder = fid.Node.Handle;
        Errno error = FolderCalls.Create(
            folder, name, (int)(flags & (AccessMode | Append)), _folder.IsMapped ? _folder.FileMode : mode, out SafeFileHandle opened);
        if (error == Exists && (flags & Exclusive) == 0)
        {
            return OpenInstead(fid, name, flags, ref output);
        }

        error = error == Errno.None ? _view.GiveTo(opened, Regular | (mode & Permissions), fid.User, group) : error;
        FileFacts facts = default;
        error = error == Errno.None ? _view.Facts(opened, out facts) : error;
        if (error == Errno.None)
        {
            error = FolderCalls.OpenPath(folder, name, out SafeFileHandle path);
            error = error == Errno.None ? FolderCalls.Facts(path, out FileFacts found) is var e && e != Errno.None ? e
                : found.IsSame(facts) ? Errno.None : Errno.ENOENT : error;
            if (error == Errno.None)
            {
                fid.Move(new FolderNode(path, fid.Node.Share(), name.ToArray()));
                fid.Open(opened, FidUse.File);
                output.Qid(facts);
                output.Dword(0);
                return Errno.None;
            }

            path.Dispose();
        }

        opened.Dispose();
        return error;
    }

    private Errno OpenInstead(NinePFid fid, ReadOnlySpan<byte> name, uint flags, ref NinePWriter output)
    {
        Errno error = FolderCalls.OpenPath(fid.Node.Handle, name, out SafeFileHandle path);
        FileFacts facts = default;
        error = error == Errno.None ? _view.Facts(path, out facts) : error;
        error = error == Errno.None ? Open(fid, path, facts, flags, ref output) : error;
        if (error == Errno.None)
        {
            fid.Move(new FolderNode(path, fid.Node.Share(), name.ToArray()));
        }
        else
        {
            path.Dispose();
        }

        return error;
    }

    private Errno Sync(ref NinePReader input)
    {
        using Using fids = Take(input.Dword());
        bool dataOnly = input.Dword() != 0;
        return fids.First?.Opened is { } opened ? FolderCalls.Sync(opened, dataOnly) : BadFid;
    }

    private Errno XattrWalk(ref NinePReader input, ref NinePWriter output)
    {
        using Using fids = Take(input.Dword());
        uint target = input.Dword();
        ReadOnlySpan<byte> name = input.Text();
        if (fids.First is not { } fid)
        {
            return BadFid;
        }

        if (input.IsBad || name.Contains((byte)0))
        {
            return Errno.EINVAL;
        }

        byte[] value = new byte[LargestXattr];
        Errno error = _folder.IsMapped && MappedFacts.IsHidden(name) ? Miss(NoData, out int length)
            : IsXattr(name) ? FolderCalls.GetXattr(fid.Node.Handle, OnHost(name), value, out length) : Miss(Errno.EOPNOTSUPP, out length);
        if (error != Errno.None)
        {
            return error;
        }

        length = name.IsEmpty && _folder.IsMapped ? MappedFacts.Filter(value.AsSpan(0, length)) : length;
        if (!Reserve(length))
        {
            return Errno.ENOSPC;
        }

        output.Qword((ulong)length);
        return Add(
            target, new NinePFid(fid.Node.Share(), fid.User) { Use = FidUse.XattrRead, Xattr = value[..length] }, Errno.None);
    }

    private static Errno Miss(Errno error, out int length)
    {
        length = 0;
        return error;
    }

    private ReadOnlySpan<byte> OnHost(ReadOnlySpan<byte> xattr) => _folder.IsMapped ? MappedFacts.OnHost(xattr) : xattr;

    private Errno XattrCreate(ref NinePReader input)
    {
        using Using fids = Take(input.Dword());
        ReadOnlySpan<byte> name = input.Text();
        ulong size = input.Qword();
        uint flags = input.Dword();
        if (fids.First is not { } fid)
        {
            return BadFid;
        }

        if (input.IsBad || name.IsEmpty || name.Contains((byte)0) || flags > 2 || fid.Use != FidUse.None)
        {
            return Errno.EINVAL;
        }

        if (_folder.IsReadOnly || !IsXattr(name))
        {
            return _folder.IsReadOnly ? Errno.EROFS : Errno.EOPNOTSUPP;
        }

        if (_folder.IsMapped && MappedFacts.IsHidden(name))
        {
            return Errno.EACCES;
        }

        if (size > LargestXattr || !Reserve((int)size))
        {
            return Errno.ENOSPC;
        }

        (fid.Use, fid.XattrName, fid.XattrFlags, fid.Xattr) = (FidUse.XattrWrite, name.ToArray(), (int)flags, new byte[size]);
        return Errno.None;
    }

    // What was written as a whole is set, or removed where there is nothing to write.
    private Errno SetXattr(NinePFid fid) => fid.XattrWritten != fid.Xattr.Length ? Errno.EINVAL
        : FolderCalls.SetXattr(fid.Node.Handle, OnHost(fid.XattrName), fid.Xattr, fid.XattrFlags);

    // Those that a privileged process alone may set mean something to the host's kernel.
    private bool IsXattr(ReadOnlySpan<byte> name) =>
        _folder.Security == FolderSecurity.Passthrough || name.IsEmpty || name.StartsWith("user."u8)
        || name.StartsWith("system.posix_acl_"u8);

    private bool Reserve(int bytes)
    {
        if (Interlocked.Add(ref _xattrBytes, bytes) <= MostXattrBytes)
        {
            return true;
        }

        Interlocked.Add(ref _xattrBytes, -bytes);
        return false;
    }
}
