using System.Diagnostics;
using Vmm.Emulation.Block.Qcow2;

namespace Vmm.Emulation.Block;

/// <summary>What requests of a guest do to a disk, for figures (QEMU, qapi/block-core.json, BlockDeviceStats).</summary>
public enum BlockOperation
{
    Read,
    Write,
    Flush,
    Unmap,
}

/// <summary>
/// A disk of the machine: the uppermost node of its graph as a guest's device uses it (QEMU's word). The node is replaced only while no
/// request is under way, by the threads of the disk. It is opened when the disk is made, or later, in a machine that waits for a
/// migration: the sender still writes it until then.
/// </summary>
public sealed class BlockBackend : IDisposable
{
    // Held while the disk is opened, closed or replaced, and by whoever uses it and is none of its threads.
    private readonly Lock _use = new();

    private Func<BlockNode> _open;
    private BlockNode? _root;
    private volatile string _nodeName = "";
    private volatile bool _isEjected;
    private volatile ThrottleGroup? _limits;

    /// <param name="name">The name that monitors use: the <c>id=</c> of <c>-drive</c>, or the node's.</param>
    /// <param name="isReadOnly">The guest may not write it.</param>
    /// <param name="open">Opens the disk; throws <see cref="BlockException"/>.</param>
    public BlockBackend(string name, bool isReadOnly, Func<BlockNode> open)
    {
        Name = name;
        IsReadOnly = isReadOnly;
        _open = open;
    }

    public string Name { get; }

    public bool IsReadOnly { get; }

    /// <summary>
    /// Whether a write may end before it is on stable storage, as long as the guest says nothing else (<c>cache.writeback</c>).
    /// </summary>
    public bool WriteCache { get; init; } = true;

    /// <summary>The name of the uppermost node with a format.</summary>
    public string NodeName
    {
        get => _nodeName;
        init => _nodeName = value;
    }

    /// <summary>Its number among all images that were named, in their order.</summary>
    public int Order { get; init; }

    /// <summary><c>cache=</c>, for people: the nodes keep to it.</summary>
    public CacheMode Cache { get; init; } = CacheMode.Default;

    /// <summary><c>detect-zeroes=</c>, for people.</summary>
    public string DetectZeroes { get; init; } = "off";

    /// <summary>The groups of limits of the VM.</summary>
    public ThrottleGroups Groups { get; init; } = new();

    /// <summary>The group of limits that the disk is in; null for none.</summary>
    public ThrottleGroup? Limits
    {
        get => _limits;
        init => _limits = value;
    }

    /// <summary>
    /// Opens a qcow2 image with the options of this disk, by its path; null for a disk that can have no overlay (<c>snapshot=on</c>).
    /// </summary>
    public Func<string, BlockNode>? OpenOverlay { get; init; }

    /// <summary>Why the VM is stopped for this disk; none when it is not. Any thread.</summary>
    public Errno Error { get; set; }

    /// <summary>The figures of the disk.</summary>
    public BlockStatistics Statistics { get; } = new();

    /// <summary>The uppermost node; null while the disk is not open.</summary>
    public BlockNode? Root => Volatile.Read(ref _root);

    /// <summary>The uppermost node with a format; null while the disk is not open.</summary>
    public BlockNode? Image => Root is { } root ? Format(root) : null;

    /// <summary>Bytes; 0 while the disk is not open.</summary>
    public long Size => Root?.Size ?? 0;

    /// <summary>The medium was taken away for good (<c>drive_del</c>): each request fails.</summary>
    public bool IsEjected => _isEjected;

    /// <summary>
    /// Opens the disk, unless it is open or its medium was taken away. An open one is not waited for while another thread uses it.
    /// </summary>
    /// <exception cref="BlockException">Why not, as one line.</exception>
    public void Open()
    {
        if (Root == null)
        {
            Use(OpenRoot);
        }
    }

    /// <summary>Flushes and closes the disk, so that another process may open it. No request is under way.</summary>
    public void Close() => Use(() =>
    {
        BlockNode? root = _root;
        Volatile.Write(ref _root, null);
        root?.Dispose();
    });

    /// <summary>Does something while the disk is neither opened nor closed nor replaced by another thread.</summary>
    public void Use(Action act)
    {
        lock (_use)
        {
            act();
        }
    }

    /// <summary>Takes the medium away for good. No request is under way.</summary>
    public void Eject()
    {
        _isEjected = true;
        Close();
    }

    /// <summary>Makes another node the uppermost one, which may stand on the old one. No request is under way.</summary>
    public void Replace(BlockNode root) => Use(() => Volatile.Write(ref _root, root));

    /// <summary>Gives the disk another size. No request is under way.</summary>
    /// <returns>EIO where it is not open.</returns>
    public Errno Resize(long bytes)
    {
        Errno error = Errno.EIO;
        Use(() => error = _root?.Resize(bytes) ?? error);
        return error;
    }

    /// <summary>Puts the disk into a group of limits, or none. No request is under way.</summary>
    public void Limit(ThrottleGroup? group) => Use(() =>
    {
        _limits = group;
        BlockNode? root = _root is ThrottleNode throttle ? throttle.Child : _root;
        Volatile.Write(ref _root, root == null || group == null ? root : new ThrottleNode(root, group));
    });

    /// <summary>Lets requests pass that wait for the limits, and those that come, until the limits hold again. Any thread.</summary>
    public void LiftLimits(bool on) => (Root as ThrottleNode)?.Lift(on);

    /// <summary>
    /// Puts a qcow2 overlay over the disk, which takes what is written from now on; the image that was written until now is only read.
    /// No request is under way. The overlay is opened by the path that its header gives its backing file, as it will be the next time.
    /// </summary>
    /// <param name="path">Of the overlay.</param>
    /// <param name="nodeName">The name of its node; empty for any.</param>
    /// <param name="exists">It was made before; else it is made here.</param>
    /// <exception cref="BlockException">Why not, as one line. The disk is as it was; it is closed if it cannot be opened again.</exception>
    public void PutOverlay(string path, string nodeName, bool exists) => Use(() => Overlay(path, nodeName, exists));

    private void OpenRoot()
    {
        if (_root == null && !_isEjected)
        {
            BlockNode root = _open();
            if (_nodeName.Length > 0)
            {
                Format(root).NodeName = _nodeName;
            }

            Volatile.Write(ref _root, _limits == null ? root : new ThrottleNode(root, _limits));
        }
    }

    private void Overlay(string path, string nodeName, bool exists)
    {
        BlockNode disk = Format(_root ?? throw new BlockException($"'{Name}' has no medium"));
        Func<string, BlockNode> openOverlay = OpenOverlay
            ?? throw new BlockException($"'{Name}' has snapshot=on: what is written to it goes with the VM, and can have no overlay");
        Errno error = disk.Flush();
        if (error != Errno.None)
        {
            throw new BlockException($"'{disk.FileName}' cannot be written: {ErrnoText.Of(error)}");
        }

        if (!exists)
        {
            BlockImage.CreateQcow2(path, new Qcow2Options
            {
                Size = disk.Size, BackingFile = Path.GetFullPath(disk.FileName!), BackingFormat = disk.Driver,
            });
        }

        Close();
        (Func<BlockNode> open, string name) = (_open, _nodeName);
        (_open, _nodeName) = (() => openOverlay(path), nodeName.Length > 0 ? nodeName : BlockNode.NewName());
        try
        {
            Open();
        }
        catch (BlockException)
        {
            (_open, _nodeName) = (open, name);
            if (!exists)
            {
                File.Delete(path);
            }

            Open();
            throw;
        }
    }

    public void Dispose() => Close();

    // The uppermost node with a format.
    private static BlockNode Format(BlockNode node) => node is FilterNode filter ? Format(filter.Child) : node;
}

/// <summary>Counters of a disk, by operation. Any thread.</summary>
public sealed class BlockStatistics
{
    private const int Kinds = 4;

    private readonly long[] _bytes = new long[Kinds];
    private readonly long[] _done = new long[Kinds];
    private readonly long[] _failed = new long[Kinds];
    private readonly long[] _invalid = new long[Kinds];
    private readonly long[] _nanoseconds = new long[Kinds];

    // The time (Stopwatch) at which the last operation ended; 0 for none.
    private long _last;

    /// <summary>How long ago the last operation ended; null for none.</summary>
    public TimeSpan? Idle => Interlocked.Read(ref _last) is not 0 and var last ? Stopwatch.GetElapsedTime(last) : null;

    /// <summary>Counts an operation that has ended.</summary>
    public void Count(BlockOperation operation, bool failed, long bytes, TimeSpan took)
    {
        int kind = (int)operation;
        if (failed)
        {
            Interlocked.Increment(ref _failed[kind]);
        }
        else
        {
            Interlocked.Increment(ref _done[kind]);
            Interlocked.Add(ref _bytes[kind], bytes);
        }

        Interlocked.Add(ref _nanoseconds[kind], (long)took.TotalNanoseconds);
        Interlocked.Exchange(ref _last, Stopwatch.GetTimestamp());
    }

    /// <summary>Counts an operation that made no sense, and was not tried.</summary>
    public void CountInvalid(BlockOperation operation) => Interlocked.Increment(ref _invalid[(int)operation]);

    public long Bytes(BlockOperation operation) => Interlocked.Read(ref _bytes[(int)operation]);

    public long Done(BlockOperation operation) => Interlocked.Read(ref _done[(int)operation]);

    public long Failed(BlockOperation operation) => Interlocked.Read(ref _failed[(int)operation]);

    public long Invalid(BlockOperation operation) => Interlocked.Read(ref _invalid[(int)operation]);

    public long Nanoseconds(BlockOperation operation) => Interlocked.Read(ref _nanoseconds[(int)operation]);
}
