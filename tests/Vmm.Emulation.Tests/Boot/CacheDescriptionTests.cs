using System.Buffers.Binary;
using Vmm.Acpi;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Tests.Exceptions;

namespace Vmm.Emulation.Tests.Boot;

/// <summary>
/// The caches of the PPTT, read as Linux reads them (drivers/acpi/pptt.c), and of the registers of the CPU: both tell the same.
/// </summary>
public sealed unsafe class CacheDescriptionTests
{
    // Owner: the place of the processor node that has it as a private resource, by which Linux tells who shares it.
    private sealed record Cache(int Level, int Type, uint Bytes, uint Sets, byte Ways, ushort Line, uint Owner);

    private static readonly CpuTopology[] s_topologies =
        [new(1, 1, 6, 1), new(2, 1, 2, 1), new(2, 2, 2, 2), new(1, 2, 1, 2), new(1, 1, 1, 1), new(1, 1, 300, 1)];

    public static TheoryData<string> Models { get; } = [.. CpuModel.All.Select(m => m.Name)];

    [Theory]
    [MemberData(nameof(Models))]
    public void Caches_belong_to_cores_and_to_clusters_or_sockets(string model)
    {
        foreach (CpuTopology shape in s_topologies)
        {
            CheckOwners(model, shape);
        }
    }

    private static void CheckOwners(string model, CpuTopology shape)
    {
        var config = new MachineConfig(CpuModel.Find(model)!, 1, shape, 512 << 20, new BootConfig(default, null, ""));
        byte[] table = AcpiTables.Build(new VirtBoard(config), 0).Tables.First(t => t.Signature == "PPTT").Bytes.ToArray();
        Cache[][] ofCpus = [.. Enumerable.Range(0, shape.Count).Select(cpu => CachesOf(table, cpu))];
        IReadOnlyList<CpuCache> promised = config.Cpu.Caches;
        for (int cpu = 0; cpu < shape.Count; cpu++)
        {
            Assert.Equal(
                promised.Select(c => (c.Level, c.Kind switch { CacheKind.Data => 0, CacheKind.Instruction => 1, _ => 2 },
                    (uint)c.Bytes, (uint)c.Sets, (byte)c.Ways, (ushort)64)).Order(),
                ofCpus[cpu].Select(c => (c.Level, c.Type, c.Bytes, c.Sets, c.Ways, c.Line)).Order());
            CpuLocation at = shape.Locate(new CpuIndex(cpu));
            foreach (Cache cache in ofCpus[cpu])
            {
                bool shared = promised.First(c => c.Level == cache.Level).Shared;
                IEnumerable<int> expected = Enumerable.Range(0, shape.Count).Where(other =>
                {
                    CpuLocation place = shape.Locate(new CpuIndex(other));
                    return (place.Socket, place.Cluster) == (at.Socket, at.Cluster) && (shared || place.Core == at.Core);
                });
                IEnumerable<int> sharing = Enumerable.Range(0, shape.Count)
                    .Where(other => ofCpus[other].Any(c => (c.Level, c.Type, c.Owner) == (cache.Level, cache.Type, cache.Owner)));
                Assert.Equal(expected, sharing);
            }
        }
    }

    [Theory]
    [InlineData("cortex-a57", 0x0A20_0023ul, 0x701F_E00Aul, 0x201F_E012ul, 0x70FF_E07Aul, 0ul)]
    [InlineData("cortex-a72", 0x0A20_0023ul, 0x701F_E00Aul, 0x201F_E012ul, 0x707F_E07Aul, 0ul)]
    [InlineData("neoverse-n1", 0xC300_0123ul, 0x701F_E01Aul, 0x201F_E01Aul, 0x70FF_E03Aul, 0x71FF_E07Aul)]
    [InlineData("max", 0xC300_0123ul, 0x701F_E01Aul, 0x201F_E01Aul, 0x70FF_E03Aul, 0x71FF_E07Aul)]
    public void Registers_say_what_the_manual_of_the_model_says(
        string model, ulong clidr, ulong data, ulong instructions, ulong second, ulong third)
    {
        using var bare = new BareCore(model);
        Assert.Equal(clidr, Read(bare, 0xD539_0020, 0));
        Assert.Equal((data, instructions, second, third),
            (Read(bare, 0xD539_0000, 0), Read(bare, 0xD539_0000, 1), Read(bare, 0xD539_0000, 2), Read(bare, 0xD539_0000, 4)));
        Assert.Equal((0ul, 0ul), (Read(bare, 0xD539_0000, 3), Read(bare, 0xD539_0000, 14)));
        int levels = CpuModel.Find(model)!.Caches.Max(c => c.Level);
        Assert.Equal((ulong)levels, (clidr >> 24) & 7);
    }

    // MRS X0 of a register, with a cache selected.
    private static ulong Read(BareCore bare, uint word, ulong selector)
    {
        bare.Core.Reset(BareCore.Code, 0);
        bare.State->CsselrEl1 = selector;
        bare.Write(BareCore.Code, word);
        bare.Core.Code.InvalidateAll();
        bare.Core.Run(1);
        return bare.State->X[0];
    }

    // From the CPU's node up: the levels of a node's caches go on where those of the nodes below have ended.
    private static Cache[] CachesOf(byte[] table, int cpu)
    {
        uint node = Leaf(table, (uint)cpu);
        var caches = new Dictionary<uint, Cache>();
        for (int below = 0; node != 0; node = U32(table, node + 8))
        {
            int deepest = below;
            uint resources = U32(table, node + 16);
            Assert.Equal(20 + (4 * resources), table[node + 1]);
            for (uint i = 0; i < resources; i++)
            {
                int level = below;
                for (uint at = U32(table, node + 20 + (4 * i)); at != 0; at = U32(table, at + 8))
                {
                    Assert.Equal((1, 24, 0x7Fu), (table[at], table[at + 1], U32(table, at + 4)));
                    level++;
                    var cache = new Cache(
                        level, (table[at + 21] >> 2) & 3, U32(table, at + 12), U32(table, at + 16), table[at + 20],
                        BinaryPrimitives.ReadUInt16LittleEndian(table.AsSpan((int)at + 22)), node);

                    // One that another leads to is a resource too, and not nearer for that.
                    if (!caches.TryGetValue(at, out Cache? known) || known.Level < level)
                    {
                        caches[at] = cache;
                    }
                }

                deepest = Math.Max(deepest, level);
            }

            below = deepest;
        }

        return [.. caches.Values];
    }

    private static uint Leaf(byte[] table, uint uid)
    {
        for (uint at = 36; at < table.Length; at += table[at + 1])
        {
            // A processor, valid UID, leaf.
            if (table[at] == 0 && (U32(table, at + 4) & 0xA) == 0xA && U32(table, at + 12) == uid)
            {
                return at;
            }
        }

        throw new InvalidOperationException($"no CPU {uid}");
    }

    private static uint U32(byte[] table, uint at) => BinaryPrimitives.ReadUInt32LittleEndian(table.AsSpan((int)at));
}
