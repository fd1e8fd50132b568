using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Block;
using static Vmm.Emulation.Devices.Virtio.NineP.NinePSpec;

namespace Vmm.Emulation.Devices.Virtio.NineP;

/// <content>Names in folders, and what files are.</content>
internal sealed partial class NinePServer
{
    // tv_nsec of utimensat(2): now, and unchanged.
    private const long Now = (1 << 30) - 1;
    private const long Unchanged = (1 << 30) - 2;
    private const long NanosecondsOfSecond = 1_000_000_000;

    // Whether a request may make or take away a name in a folder.
    private Errno CheckNew(NinePFid? folder, ReadOnlySpan<byte> name, bool isBad) =>
        isBad ? Errno.EINVAL
        : folder == null ? BadFid
        : name.Length > LongestName ? NameTooLong
        : !FolderCalls.IsName(name) ? Errno.EINVAL
        : _folder.IsReadOnly ? Errno.EROFS
        : Errno.None;

    private Errno Tell(
        NinePFid folder, ReadOnlySpan<byte> name, uint? mode, uint group, ref NinePWriter output, (uint Major, uint Minor)? device = null)
    {
        Errno error = FolderCalls.OpenPath(folder.Node.Handle, name, out SafeFileHandle made);
        using (made)
        {
            FileFacts facts = default;
            error = error == Errno.None ? _view.GiveTo(made, mode, folder.User, group, device) : error;
            error = error == Errno.None ? _view.Facts(made, out facts) : error;
            output.Qid(facts);
            return error;
        }
    }

    private Errno MakeDirectory(ref NinePReader input, ref NinePWriter output)
    {
        using Using fids = Take(input.Dword());
        ReadOnlySpan<byte> name = input.Text();
        uint mode = input.Dword();
        uint group = input.Dword();
        Errno error = CheckNew(fids.First, name, input.IsBad);
        error = error == Errno.None ? FolderCalls.MakeFolder(fids.First!.Node.Handle, name, _folder.IsMapped ? _folder.FolderMode : mode)
            : error;
        return error == Errno.None ? Tell(fids.First!, name, FolderType | (mode & Permissions), group, ref output) : error;
    }

    private Errno MakeNode(ref NinePReader input, ref NinePWriter output)
    {
        using Using fids = Take(input.Dword());
        ReadOnlySpan<byte> name = input.Text();
        uint mode = input.Dword();
        (uint, uint) device = (input.Dword(), input.Dword());
        uint group = input.Dword();
        Errno error = CheckNew(fids.First, name, input.IsBad);
        if (error == Errno.None
            && (mode & TypeMask) is not (Regular or Fifo or Socket or 0) and var type
            && !(_folder.IsMapped && type is CharacterDevice or BlockDevice))
        {
            return NotPermitted;
        }

        mode = ((mode & TypeMask) == 0 ? Regular : mode & TypeMask) | (mode & Permissions);
        error = error == Errno.None
            ? FolderCalls.MakeNode(fids.First!.Node.Handle, name, _folder.IsMapped ? Regular | _folder.FileMode : mode) : error;
        return error == Errno.None ? Tell(fids.First!, name, mode, group, ref output, device) : error;
    }

    private Errno MakeSymbolicLink(ref NinePReader input, ref NinePWriter output)
    {
        using Using fids = Take(input.Dword());
        ReadOnlySpan<byte> name = input.Text();
        ReadOnlySpan<byte> target = input.Text();
        uint group = input.Dword();
        uint? mode = null;
        Errno error = CheckNew(fids.First, name, input.IsBad);
        if (error == Errno.None && (target.IsEmpty || target.Length > LongestPath || target.Contains((byte)0)))
        {
            return target.Length > LongestPath ? NameTooLong : Errno.EINVAL;
        }

        error = error == Errno.None ? _view.MakeSymbolicLink(target, fids.First!.Node.Handle, name, out mode) : error;
        return error == Errno.None ? Tell(fids.First!, name, mode, group, ref output) : error;
    }

    private Errno Link(ref NinePReader input)
    {
        uint folder = input.Dword();
        uint file = input.Dword();
        ReadOnlySpan<byte> name = input.Text();
        using Using fids = Take(folder, file);
        Errno error = fids.Second == null ? BadFid : CheckNew(fids.First, name, input.IsBad);
        return error == Errno.None ? FolderCalls.Link(fids.Second!.Node.Handle, fids.First!.Node.Handle, name) : error;
    }

    private Errno RenameAt(ref NinePReader input)
    {
        uint from = input.Dword();
        ReadOnlySpan<byte> oldName = input.Text();
        uint to = input.Dword();
        ReadOnlySpan<byte> newName = input.Text();
        using Using fids = Take(from, to);
        Errno error = CheckNew(fids.First, oldName, input.IsBad);
        error = error == Errno.None ? CheckNew(fids.Second, newName, input.IsBad) : error;
        return error == Errno.None
            ? FolderCalls.Rename(fids.First!.Node.Handle, oldName, fids.Second!.Node.Handle, newName) : error;
    }

    private Errno Rename(ref NinePReader input)
    {
        uint file = input.Dword();
        uint folder = input.Dword();
        ReadOnlySpan<byte> name = input.Text();
        using Using fids = Take(file, folder);
        Errno error = fids.First == null ? BadFid : CheckNew(fids.Second, name, input.IsBad);
        error = error == Errno.None ? FindNamed(fids.First!.Node) : error;
        if (error != Errno.None)
        {
            return error;
        }

        FolderNode node = fids.First!.Node;
        FolderNode target = fids.Second!.Node;
        error = FolderCalls.Rename(node.Above.Handle, node.Name, target.Handle, name);
        if (error == Errno.None && FolderCalls.OpenPath(target.Handle, name, out SafeFileHandle moved) == Errno.None)
        {
            fids.First.Move(new FolderNode(moved, target.Share(), name.ToArray()));
        }

        return error;
    }

    private Errno Remove(ref NinePReader input)
    {
        if (_fids.Remove(input.Dword()) is not { } fid)
        {
            return BadFid;
        }

        // The fid is given up whether the file goes or not (remove(5)).
        lock (fid)
        {
            Errno error = _folder.IsReadOnly ? Errno.EROFS : FindNamed(fid.Node);
            FileFacts facts = default;
            error = error == Errno.None ? FolderCalls.Facts(fid.Node.Handle, out facts) : error;
            error = error == Errno.None ? FolderCalls.Unlink(fid.Node.Above.Handle, fid.Node.Name, facts.Type == FolderType) : error;
            Close(fid);
            return error;
        }
    }

    // Whether the name that the client found a file by is still that file's.
    private static Errno FindNamed(FolderNode node)
    {
        if (node.IsRoot)
        {
            return Errno.EINVAL;
        }

        Errno error = FolderCalls.OpenPath(node.Above.Handle, node.Name, out SafeFileHandle found);
        using (found)
        {
            FileFacts here = default;
            error = error == Errno.None ? FolderCalls.Facts(found, out here) : error;
            FileFacts known = default;
            error = error == Errno.None ? FolderCalls.Facts(node.Handle, out known) : error;
            return error != Errno.None ? error : here.IsSame(known) ? Errno.None : Errno.ENOENT;
        }
    }

    private Errno UnlinkAt(ref NinePReader input)
    {
        using Using fids = Take(input.Dword());
        ReadOnlySpan<byte> name = input.Text();
        uint flags = input.Dword();
        Errno error = CheckNew(fids.First, name, input.IsBad);
        error = error == Errno.None && (flags & ~(uint)FolderCalls.RemoveFolder) != 0 ? Errno.EINVAL : error;
        return error == Errno.None ? FolderCalls.Unlink(fids.First!.Node.Handle, name, flags != 0) : error;
    }

    private Errno ReadLink(ref NinePReader input, ref NinePWriter output)
    {
        using Using fids = Take(input.Dword());
        if (fids.First is not { } fid)
        {
            return BadFid;
        }

        Span<byte> target = stackalloc byte[LongestPath + 1];
        Errno error = _view.ReadLink(fid.Node.Handle, target, out int length);
        output.Text(error == Errno.None ? target[..length] : []);
        return error;
    }

    private Errno StatFs(ref NinePReader input, ref NinePWriter output)
    {
        using Using fids = Take(input.Dword());
        if (fids.First is not { } fid)
        {
            return BadFid;
        }

        Errno error = FolderCalls.FileSystem(fid.Node.Handle, out FolderCalls.FileSystemFacts facts);
        output.Dword((uint)facts.Type);
        output.Dword((uint)facts.BlockSize);
        output.Qword(facts.Blocks);
        output.Qword(facts.FreeBlocks);
        output.Qword(facts.AvailableBlocks);
        output.Qword(facts.Files);
        output.Qword(facts.FreeFiles);
        output.Qword(facts.Id);
        output.Dword((uint)facts.LongestName);
        return error;
    }

    private Errno GetAttributes(ref NinePReader input, ref NinePWriter output)
    {
        using Using fids = Take(input.Dword());
        if (fids.First is not { } fid)
        {
            return BadFid;
        }

        Errno error = _view.Facts(fid.Node.Handle, out FileFacts facts);
        output.Qword(BasicAttributes);
        output.Qid(facts);
        output.Dword(facts.Mode);
        output.Dword(facts.User);
        output.Dword(facts.Group);
        output.Qword(facts.Links);
        output.Qword(facts.Node);
        output.Qword(facts.Size);
        output.Qword(facts.BlockSize);
        output.Qword(facts.Blocks);
        foreach (FileFacts.FileTime time in (ReadOnlySpan<FileFacts.FileTime>)[facts.Accessed, facts.Modified, facts.Changed])
        {
            output.Qword((ulong)time.Seconds);
            output.Qword(time.OnlyNanoseconds);
        }

        // Time of birth, generation and version of data are not told.
        output.Bytes(stackalloc byte[32]);
        return error;
    }

    private Errno SetAttributes(ref NinePReader input)
    {
        using Using fids = Take(input.Dword());
        uint valid = input.Dword();
        uint mode = input.Dword();
        uint user = input.Dword();
        uint group = input.Dword();
        ulong size = input.Qword();
        var accessed = new FileFacts.FileTime { Seconds = (long)input.Qword(), Nanoseconds = (long)input.Qword() };
        var modified = new FileFacts.FileTime { Seconds = (long)input.Qword(), Nanoseconds = (long)input.Qword() };
        if (input.IsBad || size > long.MaxValue)
        {
            return Errno.EINVAL;
        }

        if (fids.First is not { } fid || _folder.IsReadOnly)
        {
            return fids.First == null ? BadFid : Errno.EROFS;
        }

        // What changes other attributes by the way comes first: a size changes times, an owner the mode.
        SafeFileHandle file = fid.Node.Handle;
        Errno error = (valid & SetSize) != 0 ? ChangeSize(file, (long)size) : Errno.None;

        // A change of its time alone is what a change of owner to none is (QEMU).
        if (error == Errno.None && ((valid & (SetUser | SetGroup)) != 0 || valid == SetChangeTime))
        {
            error = _view.ChangeOwner(
                file, (valid & SetUser) != 0 ? user : FolderView.SamePerson, (valid & SetGroup) != 0 ? group : FolderView.SamePerson);
        }

        error = error == Errno.None && (valid & SetMode) != 0 ? _view.ChangeMode(file, mode) : error;
        if (error == Errno.None && (valid & (SetAccessTime | SetModificationTime)) != 0)
        {
            bool isRight = TryChoose(ref accessed, valid, SetAccessTime, AccessTimeGiven)
                & TryChoose(ref modified, valid, SetModificationTime, ModificationTimeGiven);
            error = isRight ? FolderCalls.ChangeTimes(file, accessed, modified) : Errno.EINVAL;
        }

        return error;
    }

    private Errno ChangeSize(SafeFileHandle file, long size)
    {
        Errno error = _view.Facts(file, out FileFacts facts);
        return error != Errno.None ? error : facts.Type == Regular ? FolderCalls.ChangeSize(file, size) : Errno.EINVAL;
    }

    // The time that is to be set: the given one, the host's, or none.
    private static bool TryChoose(ref FileFacts.FileTime time, uint valid, uint set, uint given)
    {
        if ((valid & set) != 0 && (valid & given) != 0)
        {
            return time.Nanoseconds is >= 0 and < NanosecondsOfSecond;
        }

        time.Nanoseconds = (valid & set) != 0 ? Now : Unchanged;
        return true;
    }
}
