using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Mmu;

public sealed unsafe class SparseTableTests
{
    [Fact]
    public void A_table_reads_zero_until_it_is_written_and_after_it_is_cleared()
    {
        using var table = new SparseTable(8 * SparseTable.PartSize);
        var bytes = new Span<byte>(table.Start, 8 * SparseTable.PartSize);
        Assert.False(bytes.ContainsAnyExcept((byte)0));
        foreach (int offset in (int[])[0, SparseTable.PartSize - 1, 3 * SparseTable.PartSize, (8 * SparseTable.PartSize) - 1])
        {
            table.Touch(offset);
            bytes[offset] = 0xFF;
        }

        Assert.Equal([true, false, false, true, false, false, false, true], Enumerable.Range(0, table.Parts).Select(table.IsTouched));
        table.Clear();
        Assert.False(bytes.ContainsAnyExcept((byte)0));
        Assert.DoesNotContain(true, Enumerable.Range(0, table.Parts).Select(table.IsTouched));
    }

    [Fact]
    public void A_table_that_is_not_written_takes_no_memory()
    {
        long before = ResidentAnonymous();
        var tables = new List<SparseTable>();
        for (int i = 0; i < 1024; i++)
        {
            tables.Add(new SparseTable(1 << 20));
        }

        // A gibibyte of them; the rest is the test runner's own.
        Assert.True(ResidentAnonymous() - before < 256 << 20);
        tables.ForEach(t => t.Dispose());
    }

    private static long ResidentAnonymous()
    {
        string line = File.ReadLines("/proc/self/status").First(l => l.StartsWith("RssAnon:", StringComparison.Ordinal));
        return long.Parse(line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1],
            System.Globalization.CultureInfo.InvariantCulture) << 10;
    }
}
