namespace Vmm.Acpi.Tables;

/// <summary>
/// Processor Properties Topology Table (ACPI 6.5, 5.2.30): sockets hold clusters, clusters cores, cores threads. A level with one child
/// throughout is left out, except sockets and the leaves, which are the processors.
/// </summary>
public static class Pptt
{
    private const uint PhysicalPackage = 1;
    private const uint UidValid = 2;
    private const uint Thread = 4;
    private const uint Leaf = 8;
    private const int NodeSize = 20;

    public static AcpiTable Build(int sockets, int clusters, int cores, int threads)
    {
        var table = new TableWriter();
        uint next = AcpiTable.HeaderSize;
        uint uid = 0;
        uint Node(uint flags, uint parent, uint id)
        {
            uint at = next;
            table.U8(0).U8(NodeSize).U16(0).U32(flags).U32(parent).U32(id).U32(0);
            next += NodeSize;
            return at;
        }

        for (int socket = 0; socket < sockets; socket++)
        {
            uint package = Node(PhysicalPackage, 0, (uint)socket);
            for (int cluster = 0; cluster < clusters; cluster++)
            {
                uint group = clusters > 1 ? Node(0, package, (uint)cluster) : package;
                for (int core = 0; core < cores; core++)
                {
                    if (threads == 1)
                    {
                        Node(UidValid | Leaf, group, uid++);
                        continue;
                    }

                    uint shared = Node(0, group, (uint)core);
                    for (int thread = 0; thread < threads; thread++)
                    {
                        Node(UidValid | Thread | Leaf, shared, uid++);
                    }
                }
            }
        }

        return new AcpiTable("PPTT", 2, table.ToArray());
    }
}
