using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Block;
using static Vmm.Emulation.Devices.Virtio.NineP.NinePSpec;

namespace Vmm.Emulation.Devices.Virtio.NineP;

/// <summary>
/// The server of a shared folder: 9P2000.L as Linux's client uses it (Linux, Documentation/filesystems/9p.rst; diod, protocol.md). Any
/// number of threads, one request each.
/// <para>
/// No path of the client's is ever looked up: a walk goes from handle to handle by single names, <c>..</c> goes back on the way that the
/// client came, and no symbolic link is followed. Only regular files and folders are opened, so neither a device node nor a FIFO of the
/// host's is reached, and no device node is made on the host.
/// </para>
/// </summary>
internal sealed partial class NinePServer
{
    // Of the files that this process may have open, the part that fids may take; each may have two.
    private const int PartOfOpenFiles = 8;
    private const int FewestFids = 64;
    private const int MostFids = 1 << 16;

    // Memory of all extended attributes that fids hold.
    private const long MostXattrBytes = 4 << 20;

    private readonly SharedFolder _folder;
    private readonly FolderView _view;
    private readonly NinePFids _fids = new((int)Math.Clamp(FolderCalls.MostOpenFiles / PartOfOpenFiles, FewestFids, MostFids));

    // Written by the thread of a Tversion; a request that crosses it may have either.
    private volatile uint _messageSize = MostMessage;
    private long _xattrBytes;

    public NinePServer(SharedFolder folder) => (_folder, _view) = (folder, new FolderView(folder));

    /// <summary>Whether a client has the folder mounted. Any thread.</summary>
    public bool IsMounted => _fids.Any;

    /// <summary>Gives up all fids.</summary>
    public void Clear() => _fids.Clear(Close);

    /// <summary>Does a request, and writes its answer.</summary>
    /// <param name="body">The request behind its header.</param>
    /// <param name="output">Room for the answer.</param>
    /// <returns>Bytes of the answer.</returns>
    public int Serve(NinePType type, ushort tag, ReadOnlySpan<byte> body, Span<byte> output)
    {
        var input = new NinePReader(body);
        var writer = new NinePWriter(output[..(int)Math.Min((uint)output.Length, _messageSize)]);
        Errno error = Do(type, ref input, ref writer);
        error = error != Errno.None ? error : input.IsBad ? Errno.EINVAL : writer.IsFull ? MessageTooLong : Errno.None;
        if (error != Errno.None)
        {
            writer.Clear();
            writer.Dword((uint)error);
            type = NinePType.Error - 1;
        }

        writer.Header(error == Errno.None ? type : NinePType.Error - 1, tag);
        return writer.Length;
    }

    private Errno Do(NinePType type, ref NinePReader input, ref NinePWriter output) => type switch
    {
        NinePType.Version => Version(ref input, ref output),
        NinePType.Attach => Attach(ref input, ref output),
        NinePType.Walk => Walk(ref input, ref output),
        NinePType.Clunk => Clunk(input.Dword()),
        NinePType.Read => Read(ref input, ref output),
        NinePType.Write => Write(ref input, ref output),
        NinePType.Open => Open(ref input, ref output),
        NinePType.Create => Create(ref input, ref output),
        NinePType.ReadDirectory => ReadDirectory(ref input, ref output),
        NinePType.GetAttributes => GetAttributes(ref input, ref output),
        NinePType.SetAttributes => SetAttributes(ref input),
        NinePType.StatFs => StatFs(ref input, ref output),
        NinePType.ReadLink => ReadLink(ref input, ref output),
        NinePType.SymbolicLink => MakeSymbolicLink(ref input, ref output),
        NinePType.MakeNode => MakeNode(ref input, ref output),
        NinePType.MakeDirectory => MakeDirectory(ref input, ref output),
        NinePType.Link => Link(ref input),
        NinePType.RenameAt => RenameAt(ref input),
        NinePType.Rename => Rename(ref input),
        NinePType.UnlinkAt => UnlinkAt(ref input),
        NinePType.Remove => Remove(ref input),
        NinePType.Sync => Sync(ref input),
        NinePType.XattrWalk => XattrWalk(ref input, ref output),
        NinePType.XattrCreate => XattrCreate(ref input),
        NinePType.Lock => Lock(ref input, ref output),
        NinePType.GetLock => GetLock(ref input, ref output),
        _ => Errno.EOPNOTSUPP,
    };

    private static NinePFid? Enter(NinePFid? fid)
    {
        if (fid == null)
        {
            return null;
        }

        Monitor.Enter(fid);
        if (!fid.IsGone)
        {
            return fid;
        }

        Monitor.Exit(fid);
        return null;
    }

    private Using Take(uint number) => new(Enter(_fids.Find(number)), null);

    // Two fids, which may be one.
    private Using Take(uint first, uint second)
    {
        NinePFid? low = Enter(_fids.Find(Math.Min(first, second)));
        NinePFid? high = Enter(_fids.Find(Math.Max(first, second)));
        return first <= second ? new(low, high) : new(high, low);
    }

    /// <summary>Fids that a request uses, until it is disposed.</summary>
    private readonly ref struct Using(NinePFid? first, NinePFid? second)
    {
        public NinePFid? First => first;

        public NinePFid? Second => second;

        public void Dispose()
        {
            if (second != null)
            {
                Monitor.Exit(second);
            }

            if (first != null)
            {
                Monitor.Exit(first);
            }
        }
    }

    private Errno Version(ref NinePReader input, ref NinePWriter output)
    {
        uint size = input.Dword();
        bool known = input.Text().SequenceEqual("9P2000.L"u8);
        if (size < LeastMessage)
        {
            return MessageTooLong;
        }

        // It begins a new session.
        Clear();
        _messageSize = Math.Min(size, MostMessage);
        output.Dword(_messageSize);
        output.Text(known ? "9P2000.L"u8 : "unknown"u8);
        return Errno.None;
    }

    private Errno Attach(ref NinePReader input, ref NinePWriter output)
    {
        uint number = input.Dword();
        _ = input.Dword();
        _ = input.Text();
        _ = input.Text();
        uint user = input.Dword();
        if (input.IsBad || !_folder.MayMount)
        {
            return input.IsBad ? Errno.EINVAL : Errno.EACCES;
        }

        // A handle of its own, so that the folder's does not depend on fids.
        Errno error = FolderCalls.Reopen(_folder.Root, FolderCalls.ReadOnly, isFolder: true, out SafeFileHandle root);
        if (error == Errno.None)
        {
            error = _view.Facts(root, out FileFacts facts);
            output.Qid(facts);
        }

        return Add(number, new NinePFid(new FolderNode(root, null, []), user), error);
    }

    private Errno Add(uint number, NinePFid fid, Errno error)
    {
        if (error == Errno.None && !_fids.TryAdd(number, fid))
        {
            error = _fids.IsFull ? TooManyFids : Errno.EINVAL;
        }

        if (error != Errno.None)
        {
            Close(fid);
        }

        return error;
    }

    private Errno Walk(ref NinePReader input, ref NinePWriter output)
    {
        uint number = input.Dword();
        uint target = input.Dword();
        int count = input.Word();
        using Using fids = Take(number);
        if (fids.First is not { } fid || fid.Use is FidUse.XattrRead or FidUse.XattrWrite)
        {
            return fids.First == null ? BadFid : Errno.EINVAL;
        }

        if (count > MostNames || input.IsBad || (count > 0 && number == target && fid.Use != FidUse.None))
        {
            return Errno.EINVAL;
        }

        FolderNode node = fid.Node.Share();
        var found = new FileFacts[count];
        Errno error = Errno.None;
        int steps = 0;
        while (steps < count)
        {
            ReadOnlySpan<byte> name = input.Text();
            error = input.IsBad ? Errno.EINVAL : Step(ref node, name);
            error = error == Errno.None ? _view.Facts(node.Handle, out found[steps]) : error;
            if (error != Errno.None)
            {
                break;
            }

            steps++;
        }

        // A walk that ends early tells how far it came, and makes no fid (walk(5)).
        output.Word((ushort)steps);
        for (int i = 0; i < steps; i++)
        {
            output.Qid(found[i]);
        }

        if (steps < count)
        {
            node.Release();
            return steps == 0 ? error : Errno.None;
        }

        if (number == target)
        {
            fid.Move(node);
            return Errno.None;
        }

        return Add(target, new NinePFid(node, fid.User), Errno.None);
    }

    // One step: the share of the node goes over to the one that it leads to.
    private static Errno Step(ref FolderNode node, ReadOnlySpan<byte> name)
    {
        if (name.SequenceEqual(".."u8))
        {
            FolderNode above = node.Above.Share();
            node.Release();
            node = above;
            return Errno.None;
        }

        if (!FolderCalls.IsName(name))
        {
            return name.Length > LongestName ? NameTooLong : Errno.ENOENT;
        }

        Errno error = FolderCalls.OpenPath(node.Handle, name, out SafeFileHandle file);
        if (error == Errno.None)
        {
            node = new FolderNode(file, node, name.ToArray());
        }

        return error;
    }

    private Errno Clunk(uint number)
    {
        if (_fids.Remove(number) is not { } fid)
        {
            return BadFid;
        }

        lock (fid)
        {
            Errno error = fid.Use == FidUse.XattrWrite ? SetXattr(fid) : Errno.None;
            Close(fid);
            return error;
        }
    }

    private void Close(NinePFid fid)
    {
        Interlocked.Add(ref _xattrBytes, -fid.Xattr.Length);
        fid.Close();
    }

    // Locks of files are the client's own affair, as in QEMU: no other client has this folder by this server.
    private Errno Lock(ref NinePReader input, ref NinePWriter output)
    {
        using Using fids = Take(input.Dword());
        output.Byte(0);
        return fids.First == null ? BadFid : Errno.None;
    }

    private Errno GetLock(ref NinePReader input, ref NinePWriter output)
    {
        using Using fids = Take(input.Dword());
        _ = input.Byte();
        output.Byte(Unlocked);
        output.Qword(input.Qword());
        output.Qword(input.Qword());
        output.Dword(input.Dword());
        output.Text(input.Text());
        return fids.First == null ? BadFid : Errno.None;
    }
}
