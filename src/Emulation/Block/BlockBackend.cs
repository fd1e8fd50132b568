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
/// request is under way. It is opened when the disk is made, or later, in a machine that waits for a migration: the sender still writes it
/// until then.
/// </summary>
public sealed class BlockBackend : IDisposable
{
    private readonly Func<BlockNode> _open;
    private BlockNode? _root;

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

    /// <summary>The name of the uppermost node.</summary>
    public string NodeName { get; init; } = "";

    /// <summary>Its number on the command line.</summary>
    public int Order { get; init; }

    /// <summary><c>cache=</c>, for people: the nodes keep to it.</summary>
    public CacheMode Cache { get; init; } = CacheMode.Default;

    /// <summary><c>detect-zeroes=</c>, for people.</summary>
    public string DetectZeroes { get; init; } = "off";

    /// <summary>Why the VM is stopped for this disk; none when it is not. Any thread.</summary>
    public Errno Error { get; set; }

    /// <summary>The figures of the disk.</summary>
    public BlockStatistics Statistics { get; } = new();

    /// <summary>The uppermost node; null while the disk is not open.</summary>
    public BlockNode? Root => Volatile.Read(ref _root);

    /// <summary>Bytes; 0 while the disk is not open.</summary>
    public long Size => Root?.Size ?? 0;

    /// <summary>Opens the disk, unless it is open.</summary>
    /// <exception cref="BlockException">Why not, as one line.</exception>
    public void Open()
    {
        if (_root == null)
        {
            Volatile.Write(ref _root, _open());
        }
    }

    /// <summary>Flushes and closes the disk, so that another process may open it. No request is under way.</summary>
    public void Close()
    {
        BlockNode? root = _root;
        Volatile.Write(ref _root, null);
        root?.Dispose();
    }

    /// <summary>Makes another node the uppermost one, which may stand on the old one. No request is under way.</summary>
    public void Replace(BlockNode root) => Volatile.Write(ref _root, root);

    public void Dispose() => Close();
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
    }

    /// <summary>Counts an operation that made no sense, and was not tried.</summary>
    public void CountInvalid(BlockOperation operation) => Interlocked.Increment(ref _invalid[(int)operation]);

    public long Bytes(BlockOperation operation) => Interlocked.Read(ref _bytes[(int)operation]);

    public long Done(BlockOperation operation) => Interlocked.Read(ref _done[(int)operation]);

    public long Failed(BlockOperation operation) => Interlocked.Read(ref _failed[(int)operation]);

    public long Invalid(BlockOperation operation) => Interlocked.Read(ref _invalid[(int)operation]);

    public long Nanoseconds(BlockOperation operation) => Interlocked.Read(ref _nanoseconds[(int)operation]);
}
