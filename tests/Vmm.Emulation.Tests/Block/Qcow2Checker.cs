using System.Buffers.Binary;
using Vmm.Emulation.Block.Qcow2;

namespace Vmm.Emulation.Tests.Block;

/// <summary>
/// Looks through an image as <c>qemu-img check</c> does, without a process for each: whether all that is referred to is counted. Images of
/// 16-bit refcounts.
/// </summary>
internal sealed class Qcow2Checker
{
    private readonly byte[] _image;
    private readonly int _clusterBits;
    private readonly Dictionary<long, int> _references = [];

    private Qcow2Checker(byte[] image)
    {
        _image = image;
        _clusterBits = (int)U32(Qcow2Spec.ClusterBits);
    }

    /// <summary>What is wrong, but for clusters that are counted and not used.</summary>
    /// <param name="leaks">The number of these.</param>
    public static IReadOnlyList<string> Check(byte[] image, out int leaks) => new Qcow2Checker(image).Run(out leaks);

    private List<string> Run(out int leaks)
    {
        var errors = new List<string>();
        long l1 = (long)U64(Qcow2Spec.L1TableOffset);
        int l1Size = (int)U32(Qcow2Spec.L1Size);
        long table = (long)U64(Qcow2Spec.RefcountTableOffset);
        int tableClusters = (int)U32(Qcow2Spec.RefcountTableClusters);
        Refer(0, 1);
        Refer(table >> _clusterBits, tableClusters);
        for (int i = 0; i < tableClusters << (_clusterBits - 3); i++)
        {
            Refer((long)U64(table + (i * 8)) >> _clusterBits, U64(table + (i * 8)) == 0 ? 0 : 1);
        }

        var active = new List<(string What, ulong Entry)>();
        AddL1(l1, l1Size, active);
        long at = (long)U64(Qcow2Spec.SnapshotsOffset);
        long start = at;
        for (uint i = 0; i < U32(Qcow2Spec.SnapshotCount); i++)
        {
            AddL1((long)U64(at), (int)U32(at + 8), []);
            at += (40 + (U32(at + 12) >> 16) + (U32(at + 12) & 0xFFFF) + U32(at + 36) + 7) & ~7u;
        }

        Refer(start >> _clusterBits, (int)((at - start + (1 << _clusterBits) - 1) >> _clusterBits));
        foreach ((long cluster, int references) in _references)
        {
            int count = Count(table, tableClusters, cluster);
            if (count < references || cluster << _clusterBits >= _image.Length)
            {
                errors.Add($"cluster {cluster}: {references} references, count {count}");
            }
        }

        foreach ((string what, ulong entry) in active)
        {
            bool copied = (entry & Qcow2Spec.Copied) != 0;
            if (copied != (Count(table, tableClusters, (long)(entry & Qcow2Spec.OffsetMask) >> _clusterBits) == 1))
            {
                errors.Add($"{what} has copied={copied}, and its count says otherwise");
            }
        }

        leaks = 0;
        for (long cluster = 0; cluster < _image.Length >> _clusterBits; cluster++)
        {
            leaks += Count(table, tableClusters, cluster) > _references.GetValueOrDefault(cluster) ? 1 : 0;
        }

        return errors;
    }

    private void AddL1(long l1, int size, List<(string, ulong)> entries)
    {
        Refer(l1 >> _clusterBits, (int)((((long)size * 8) + (1 << _clusterBits) - 1) >> _clusterBits));
        for (int i = 0; i < size; i++)
        {
            ulong l1Entry = U64(l1 + (i * 8));
            long l2 = (long)(l1Entry & Qcow2Spec.OffsetMask);
            if (l2 == 0)
            {
                continue;
            }

            entries.Add(($"L1 entry {i}", l1Entry));
            Refer(l2 >> _clusterBits, 1);
            for (int j = 0; j < 1 << (_clusterBits - 3); j++)
            {
                ulong entry = U64(l2 + (j * 8));
                if ((entry & Qcow2Spec.OffsetMask) != 0)
                {
                    entries.Add(($"L2 entry {i}.{j}", entry));
                    Refer((long)(entry & Qcow2Spec.OffsetMask) >> _clusterBits, 1);
                }
            }
        }
    }

    private void Refer(long first, int count)
    {
        for (int i = 0; i < count; i++)
        {
            _references[first + i] = _references.GetValueOrDefault(first + i) + 1;
        }
    }

    private int Count(long table, int tableClusters, long cluster)
    {
        int blockBits = _clusterBits - 1;
        long index = cluster >> blockBits;
        ulong block = index < tableClusters << (_clusterBits - 3) ? U64(table + (index * 8)) : 0;
        return block == 0 ? 0 : (int)(U32((long)block + ((cluster & ((1 << blockBits) - 1)) * 2)) >> 16);
    }

    private uint U32(long at) => (uint)(Padded(at) >> 32);

    private ulong U64(long at) => Padded(at);

    // The file reads zero behind its end.
    private ulong Padded(long at)
    {
        Span<byte> bytes = stackalloc byte[8];
        bytes.Clear();
        int there = (int)Math.Clamp(_image.Length - at, 0, 8);
        _image.AsSpan((int)Math.Min(at, _image.Length), there).CopyTo(bytes);
        return BinaryPrimitives.ReadUInt64BigEndian(bytes);
    }
}
