namespace Vmm.Acpi.Tables;

/// <summary>Cache type of a PPTT cache structure (ACPI 6.5, table 5.141), as its attributes have it.</summary>
public enum PpttCacheType
{
    Data = 0,
    Instruction = 1,
    Unified = 2,
}

/// <summary>A cache that each core has, or each cluster.</summary>
/// <param name="Level">1 is nearest to the core.</param>
/// <param name="Shared">One for each cluster, or for each socket where clusters are left out; else one for each core.</param>
public sealed record PpttCache(int Level, PpttCacheType Type, int Sets, int Ways, int LineBytes, bool Shared);

/// <summary>
/// Processor Properties Topology Table (ACPI 6.5, 5.2.30): sockets hold clusters, clusters cores, cores threads. A level with one child
/// throughout is left out, except sockets and the leaves, which are the processors. Caches are private resources of a core's node or of the
/// node above.
/// </summary>
public sealed class Pptt
{
    private const uint PhysicalPackage = 1;
    private const uint UidValid = 2;
    private const uint Thread = 4;
    private const uint Leaf = 8;
    private const int NodeSize = 20;
    private const int CacheSize = 24;

    // Size, sets, ways, allocation, type, write policy and line size are valid.
    private const uint AllValid = 0x7F;
    private const int ReadAndWriteAllocate = 2;

    private readonly TableWriter _table = new();
    private uint _next = AcpiTable.HeaderSize;

    private Pptt()
    {
    }

    public static AcpiTable Build(int sockets, int clusters, int cores, int threads, IReadOnlyList<PpttCache> caches)
    {
        PpttCache[] shared = [.. caches.Where(c => c.Shared)];
        PpttCache[] ofCore = [.. caches.Where(c => !c.Shared)];
        var pptt = new Pptt();
        uint uid = 0;
        for (int socket = 0; socket < sockets; socket++)
        {
            uint package = pptt.Node(PhysicalPackage, 0, (uint)socket, clusters == 1 ? shared : []);
            for (int cluster = 0; cluster < clusters; cluster++)
            {
                uint group = clusters > 1 ? pptt.Node(0, package, (uint)cluster, shared) : package;
                for (int core = 0; core < cores; core++)
                {
                    if (threads == 1)
                    {
                        pptt.Node(UidValid | Leaf, group, uid++, ofCore);
                        continue;
                    }

                    uint parent = pptt.Node(0, group, (uint)core, ofCore);
                    for (int thread = 0; thread < threads; thread++)
                    {
                        pptt.Node(UidValid | Thread | Leaf, parent, uid++, []);
                    }
                }
            }
        }

        return new AcpiTable("PPTT", 2, pptt._table.ToArray());
    }

    // Writes a node and returns its offset in the table. Its caches stand before it, and so does every parent.
    private uint Node(uint flags, uint parent, uint id, PpttCache[] caches)
    {
        uint[] resources = Caches(caches);
        uint at = Place(NodeSize + (sizeof(uint) * resources.Length));
        _table.U8(0).U8((byte)(_next - at)).U16(0).U32(flags).U32(parent).U32(id).U32((uint)resources.Length);
        foreach (uint resource in resources)
        {
            _table.U32(resource);
        }

        return at;
    }

    // Writes the caches of a node and returns their offsets in the table. A cache refers to the next level of the same node only: Linux
    // would take another node's cache for this node's.
    private uint[] Caches(PpttCache[] caches)
    {
        var places = new List<uint>();
        uint nextLevel = 0;
        foreach (IGrouping<int, PpttCache> level in caches.GroupBy(c => c.Level).OrderByDescending(g => g.Key))
        {
            uint[] here = [.. level.Select(c => Cache(c, nextLevel))];
            places.AddRange(here);
            nextLevel = here[0];
        }

        return [.. places];
    }

    private uint Cache(PpttCache cache, uint nextLevel)
    {
        int allocation = cache.Type == PpttCacheType.Instruction ? 0 : ReadAndWriteAllocate;
        uint at = Place(CacheSize);
        _table.U8(1).U8(CacheSize).U16(0).U32(AllValid).U32(nextLevel).U32((uint)(cache.Sets * cache.Ways * cache.LineBytes))
            .U32((uint)cache.Sets).U8((byte)cache.Ways).U8((byte)(allocation | ((int)cache.Type << 2))).U16((ushort)cache.LineBytes);
        return at;
    }

    private uint Place(int size)
    {
        uint at = _next;
        _next += (uint)size;
        return at;
    }
}
