using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Decoding;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.InstructionOracle;

/// <summary>What we leave UNDEFINED, QEMU leaves UNDEFINED too, but for extensions that only it has.</summary>
public sealed unsafe class UnallocatedWordsTests(ITestOutputHelper output)
{
    // Encodings of features that QEMU's max has and no model here promises.
    private static readonly (string Feature, string Pattern)[] OnlyInQemu =
    [
        ("FEAT_NMI: MSR (immediate)", "1101010100 0 00 xxx 0100 xxxx xxx 11111"),
        ("FEAT_LOR: STLLR, LDLAR", "xx 001000 1 x 0 xxxxx 0 xxxxx xxxxx xxxxx"),
        ("FEAT_XS: DSB nXS", "1101010100 0 00 011 0011 xx10 001 11111"),

        // Unallocated, and executed by QEMU 7.2 all the same.
        ("across-lanes FP16 with bit 22 set", "0x001110 x1 11000 0 11xx 10 xxxxx xxxxx"),
        ("scalar pairwise FP16 with bit 22 set", "01011110 x1 11000 0 11xx 10 xxxxx xxxxx"),
        ("FMOV (vector, immediate) H with op set", "0x1 0111100000 xxx 111111 xxxxx xxxxx"),
        ("FEAT_BTI and FEAT_HINT space", "1101010100 0 00 011 0010 xxxx xxx 11111"),
    ];

    /// <param name="vectorBytes">The length of the vectors of SVE, whose words are then tried; 0 for all other words.</param>
    [Theory]
    [InlineData(0)]
    [InlineData(32)]
    public void EncodingTable_words_without_row_are_undefined_in_qemu_as_well(int vectorBytes)
    {
        (string Feature, uint Mask, uint Value)[] known = Array.ConvertAll(
            OnlyInQemu, k => (k.Feature, EncodingRow.Parse(k.Pattern).Mask, EncodingRow.Parse(k.Pattern).Value));
        using var qemu = new QemuPeer(vectorBytes);
        var random = new Random(7);
        var generator = new CaseGenerator(8);
        var counts = new SortedDictionary<string, int>(StringComparer.Ordinal);
        var surprises = new SortedSet<string>(StringComparer.Ordinal);
        int compared = 0;
        for (int batch = 0; batch < 40; batch++)
        {
            var slots = new ulong[QemuPeer.MaximumSlots];
            var cases = new OracleRecord[slots.Length];
            byte[] vectors = new byte[slots.Length * ScalableRecord.Size(vectorBytes)];
            for (int slot = 0; slot < slots.Length; slot++)
            {
                uint word;
                do
                {
                    word = Mutated(random, vectorBytes != 0);
                }
                while (EncodingTable.Find(word) >= 0);

                slots[slot] = word | ((ulong)OracleRecord.Breakpoint << 32);
                generator.State(word, slot, memory: true, floatingPoint: false, out cases[slot]);
            }

            qemu.Run(slots, cases, vectors);
            for (int slot = 0; slot < slots.Length; slot++)
            {
                uint word = (uint)slots[slot];
                compared++;
                if (cases[slot].End == (ulong)OracleEnd.Undefined)
                {
                    continue;
                }

                string? feature = known.Where(k => (word & k.Mask) == k.Value).Select(k => k.Feature).FirstOrDefault();
                if (feature == null)
                {
                    surprises.Add($"{word:x8}");
                }
                else
                {
                    counts[feature] = counts.GetValueOrDefault(feature) + 1;
                }
            }
        }

        output.WriteLine($"{compared} unallocated words compared");
        foreach ((string feature, int count) in counts)
        {
            output.WriteLine($"  {count} of {feature}, which only QEMU has");
        }

        Assert.True(surprises.Count == 0,
            $"QEMU executes {surprises.Count} words that no row matches: {string.Join(' ', surprises.Take(60))}");
    }

    // A word of SVE, or outside it and exception generation, whose fixed bits are as often right as wrong: a row's value with a few bits
    // turned.
    private static uint Mutated(Random random, bool isScalable)
    {
        while (true)
        {
            EncodingRow row = EncodingTable.Rows[random.Next(EncodingTable.Rows.Length)];
            uint word = ((uint)random.NextInt64() & ~row.Mask) | row.Value;
            for (int flips = random.Next(4); flips > 0; flips--)
            {
                word ^= 1u << random.Next(32);
            }

            bool scalable = (word & 0x1E00_0000) == 0x0400_0000;
            bool exception = (word & 0xFF00_0000) == 0xD400_0000;

            // Advanced SIMD two-register miscellaneous (FP16): QEMU 7.2 aborts on some that are unallocated.
            bool abortsQemu = (word & 0x8F7E_0C00) == 0x0E78_0800;
            if (scalable == isScalable && !exception && !abortsQemu)
            {
                return word;
            }
        }
    }
}
