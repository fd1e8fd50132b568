namespace Vmm.Emulation.Block;

/// <summary>How images are opened, with the names that QEMU's <c>-drive</c> and <c>-blockdev</c> have for it.</summary>
public sealed record ImageOptions
{
    public CacheMode Cache { get; init; } = CacheMode.Default;

    /// <summary><c>discard=unmap</c>: discards of the guest give room back to the host; else they do nothing.</summary>
    public bool Unmap { get; init; }

    /// <summary><c>locking=</c>: an image that another writes is not opened.</summary>
    public bool Locking { get; init; } = true;

    /// <summary><c>l2-cache-size=</c>: bytes; null for as many as the disk needs, up to 32 MiB.</summary>
    public long? L2CacheSize { get; init; }

    /// <summary><c>refcount-cache-size=</c>: bytes; null for four clusters.</summary>
    public long? RefcountCacheSize { get; init; }

    /// <summary>The internal snapshot of a qcow2 image to read, by its id or name; null for the disk as it is.</summary>
    public string? Snapshot { get; init; }
}
