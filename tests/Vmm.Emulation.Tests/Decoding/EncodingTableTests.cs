using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Tests.Decoding;

public sealed class EncodingTableTests
{
    [Fact]
    public void EncodingTable_rows_share_no_word()
    {
        EncodingRow[] rows = EncodingTable.Rows;
        var random = new Random(1);
        for (int i = 0; i < rows.Length; i++)
        {
            for (int j = i + 1; j < rows.Length; j++)
            {
                uint both = rows[i].Mask & rows[j].Mask;
                if (((rows[i].Value ^ rows[j].Value) & both) != 0)
                {
                    continue;
                }

                // Fixed bits agree: only the excepted values can keep the two apart.
                for (int n = 0; n < 20_000; n++)
                {
                    uint word = ((uint)random.NextInt64() & ~rows[i].Mask & ~rows[j].Mask) | rows[i].Value | rows[j].Value;
                    Assert.False(
                        rows[i].Matches(word) && rows[j].Matches(word),
                        $"{word:x8} is both {rows[i].Mnemonic} and {rows[j].Mnemonic}");
                }
            }
        }
    }

    [Fact]
    public void EncodingTable_finds_every_row_by_a_word_of_its_own()
    {
        EncodingRow[] rows = EncodingTable.Rows;
        var random = new Random(2);
        for (int i = 0; i < rows.Length; i++)
        {
            bool found = false;
            for (int n = 0; n < 1000 && !found; n++)
            {
                uint word = ((uint)random.NextInt64() & ~rows[i].Mask) | rows[i].Value;
                found = EncodingTable.Find(word) == i;
            }

            Assert.True(found, rows[i].Mnemonic);
        }
    }

    [Theory]
    [InlineData(0x00000000u)] // UDF
    [InlineData(0x1E000000u)] // SCVTF with a reserved scale
    [InlineData(0x927FFC00u)] // AND (immediate) with a mask of all ones
    [InlineData(0xD4400000u)] // HLT
    public void EncodingTable_unallocated_word_has_no_row(uint word) => Assert.Equal(-1, EncodingTable.Find(word));
}
