using Microsoft.Win32.SafeHandles;

namespace Vmm.Emulation.Devices.Virtio.NineP;

/// <summary>
/// A file of the shared folder that fids name: a handle that means the same file for ever, and the way that the client has walked to it.
/// Fids and the files below share it; the last one closes it. Any thread that has a share.
/// </summary>
/// <param name="parent">The folder in which the client has found it, of which a share passes over; null for the root.</param>
internal sealed class FolderNode(SafeFileHandle handle, FolderNode? parent, byte[] name)
{
    private int _shares = 1;

    public SafeFileHandle Handle => handle;

    /// <summary>What <c>..</c> is for the client: the root is its own.</summary>
    public FolderNode Above => parent ?? this;

    public bool IsRoot => parent == null;

    /// <summary>The name that it was found by in <see cref="Above"/>.</summary>
    public byte[] Name => name;

    public FolderNode Share()
    {
        Interlocked.Increment(ref _shares);
        return this;
    }

    public void Release()
    {
        // A long way is not released by as many calls within each other.
        for (FolderNode? node = this; node != null && Interlocked.Decrement(ref node._shares) == 0; node = node.IsRoot ? null : node.Above)
        {
            node.Handle.Dispose();
        }
    }
}

/// <summary>What a fid is used for beside naming a file.</summary>
internal enum FidUse
{
    None,
    File,
    Folder,

    /// <summary>An extended attribute, or the list of their names, which is read.</summary>
    XattrRead,

    /// <summary>An extended attribute that is written, and set when the fid is given up.</summary>
    XattrWrite,
}

/// <summary>A fid: the client's name of a file. All of it belongs to the thread that has its monitor.</summary>
internal sealed class NinePFid(FolderNode node, uint user)
{
    public FolderNode Node { get; private set; } = node;

    /// <summary>The user of the client to whom new files are given; all ones for none.</summary>
    public uint User => user;

    public FidUse Use { get; set; }

    /// <summary>The open file or folder.</summary>
    public SafeFileHandle? Opened { get; private set; }

    public byte[] XattrName { get; set; } = [];

    public int XattrFlags { get; set; }

    public byte[] Xattr { get; set; } = [];

    /// <summary>Bytes of <see cref="Xattr"/> that were written.</summary>
    public int XattrWritten { get; set; }

    /// <summary>Whether the client has given it up, while a thread waited for it.</summary>
    public bool IsGone { get; private set; }

    /// <summary>It names another file.</summary>
    /// <param name="node">A share passes over.</param>
    public void Move(FolderNode node)
    {
        Node.Release();
        Node = node;
    }

    public void Open(SafeFileHandle opened, FidUse use) => (Opened, Use) = (opened, use);

    public void Close()
    {
        IsGone = true;
        Opened?.Dispose();
        Node.Release();
        Xattr = [];
    }
}

/// <summary>
/// The fids of a session. The table has a lock of its own, under which nothing waits; a fid is its monitor, which a thread has as long as a
/// request uses it. Of two fids the one with the lower number is taken first.
/// </summary>
internal sealed class NinePFids(int most)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<uint, NinePFid> _fids = [];

    /// <summary>Whether there is any: the folder is mounted.</summary>
    public bool Any
    {
        get
        {
            lock (_lock)
            {
                return _fids.Count > 0;
            }
        }
    }

    public bool IsFull
    {
        get
        {
            lock (_lock)
            {
                return _fids.Count >= most;
            }
        }
    }

    public NinePFid? Find(uint number)
    {
        lock (_lock)
        {
            return _fids.GetValueOrDefault(number);
        }
    }

    /// <summary>Adds a fid; false where the number is taken, or there are too many.</summary>
    public bool TryAdd(uint number, NinePFid fid)
    {
        lock (_lock)
        {
            return _fids.Count < most && _fids.TryAdd(number, fid);
        }
    }

    public NinePFid? Remove(uint number)
    {
        lock (_lock)
        {
            _fids.Remove(number, out NinePFid? fid);
            return fid;
        }
    }

    /// <summary>Gives all up, when the requests that use them have ended.</summary>
    public void Clear(Action<NinePFid> close)
    {
        NinePFid[] all;
        lock (_lock)
        {
            all = [.. _fids.Values];
            _fids.Clear();
        }

        foreach (NinePFid fid in all)
        {
            lock (fid)
            {
                close(fid);
            }
        }
    }
}
