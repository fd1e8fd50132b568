namespace Vmm.Emulation.Block.Qcow2;

/// <summary>What of an image does not change while it is open.</summary>
/// <param name="File">The image's file.</param>
/// <param name="Version">2 or 3.</param>
/// <param name="ClusterBits">Clusters have two to the power of so many bytes.</param>
/// <param name="RefcountOrder">Refcounts have two to the power of so many bits.</param>
internal sealed record Qcow2Layout(BlockNode File, int Version, int ClusterBits, int RefcountOrder)
{
    // QEMU's size of an entry of its caches, for tables of large clusters.
    private const int MostSliceSize = 64 << 10;

    public int ClusterSize => 1 << ClusterBits;

    /// <summary>Bytes of a table that are read and written together.</summary>
    public int SliceSize => Math.Min(ClusterSize, MostSliceSize);

    /// <summary>An L2 table has two to the power of so many entries.</summary>
    public int L2Bits => ClusterBits - 3;

    /// <summary>A refcount block has two to the power of so many entries.</summary>
    public int RefcountBlockBits => ClusterBits + 3 - RefcountOrder;

    public ulong MostReferences => RefcountOrder == 6 ? ulong.MaxValue : (1ul << (1 << RefcountOrder)) - 1;

    public string Name => File.FileName ?? "image";

    public long Clusters(long bytes) => Qcow2Header.Divide(bytes, ClusterSize);

    /// <summary>Where the bytes of a compressed cluster are; see "Compressed Clusters Descriptor".</summary>
    public (long Offset, int Length) Compressed(ulong entry)
    {
        int shift = 62 - (ClusterBits - 8);
        long offset = (long)(entry & ((1ul << shift) - 1));
        int sectors = (int)((entry & (Qcow2Spec.Compressed - 1)) >> shift) + 1;
        return (offset, (sectors * Qcow2Spec.SectorSize) - (int)(offset % Qcow2Spec.SectorSize));
    }

    /// <summary>The clusters of the file that an entry of an L2 table refers to; none for 0.</summary>
    public (long First, int Count) Clusters(ulong entry)
    {
        if ((entry & Qcow2Spec.Compressed) != 0)
        {
            (long offset, int length) = Compressed(entry);
            long first = offset >> ClusterBits;
            return (first, (int)(((offset + length - 1) >> ClusterBits) - first) + 1);
        }

        ulong at = entry & Qcow2Spec.OffsetMask;
        return at == 0 ? (0, 0) : ((long)(at >> ClusterBits), 1);
    }
}
