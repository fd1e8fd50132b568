using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Decoding;

/// <summary>A structured sweep of the 32-bit words: each decodes to at most one row, and its operand form takes it.</summary>
public sealed unsafe class DecodeSweepTests(ITestOutputHelper output)
{
    private readonly EncodingRow[] _rows = EncodingTable.Rows;
    private readonly (uint Mask, uint Value)[] _fixed = Array.ConvertAll(EncodingTable.Rows, r => (r.Mask, r.Value));

    [Fact]
    public void EncodingTable_swept_words_decode_to_at_most_one_row()
    {
        var random = new Random(3);
        long words = 0;
        long allocated = 0;

        // Around every row: its fixed bits with none, one or two of all 32 bits turned, the fields zero, ones and random.
        foreach (EncodingRow row in _rows)
        {
            foreach (uint fields in new[] { 0u, uint.MaxValue, (uint)random.NextInt64() })
            {
                uint word = (fields & ~row.Mask) | row.Value;
                for (int first = 0; first < 32; first++)
                {
                    for (int second = first; second < 32; second++)
                    {
                        // The two the same: one bit.
                        Check(word ^ (1u << first) ^ (first == second ? 0 : 1u << second), ref words, ref allocated);
                    }
                }

                Check(word, ref words, ref allocated);
            }
        }

        // Everywhere: all values of bits 31:21, with the rest random.
        for (uint top = 0; top < 1 << 11; top++)
        {
            for (int n = 0; n < 256; n++)
            {
                Check((top << 21) | ((uint)random.NextInt64() & 0x1F_FFFF), ref words, ref allocated);
            }
        }

        output.WriteLine($"{words} words swept, {allocated} of them allocated");
    }

    private void Check(uint word, ref long words, ref long allocated)
    {
        words++;
        int found = EncodingTable.Find(word);
        if (found >= 0)
        {
            allocated++;
            Op op = default;
            op.Word = word;
            _rows[found].Form(&op);
            AssertOperands(word, op);
        }

        int matching = 0;
        for (int row = 0; row < _fixed.Length; row++)
        {
            matching += (word & _fixed[row].Mask) == _fixed[row].Value && _rows[row].Matches(word) ? 1 : 0;
        }

        Assert.True(matching == (found >= 0 ? 1 : 0), $"{word:x8}: {matching} rows match, the index finds {found}");
    }

    // A slot outside the register file would let a handler write over the rest of the state.
    private static void AssertOperands(uint word, in Op op)
    {
        bool inside = op.Rd < 34 && op.Rn < 34 && op.Rm < 34 && op.Ra < 34;
        Assert.True(inside, $"{word:x8}: operand slots {op.Rd} {op.Rn} {op.Rm} {op.Ra}");
    }
}
