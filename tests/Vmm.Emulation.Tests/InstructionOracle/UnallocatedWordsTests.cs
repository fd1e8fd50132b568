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
        ("FEAT_FlagM: CFINV, AXFLAG, XAFLAG", "1101010100 0 00 000 0100 xxxx 0xx 11111"),
        ("FEAT_FlagM: RMIF", "10111010000 xxxxxx 00001 xxxxx 0xxxx"),
        ("FEAT_FlagM: SETF8, SETF16", "00111010000 00000 0x0010 xxxxx 01101"),
        ("FEAT_SB and other barriers", "1101010100 0 00 011 0011 xxxx xxx 11111"),
        ("FEAT_DIT, FEAT_MTE: MSR (immediate)", "1101010100 0 00 xxx 0100 xxxx xxx 11111"),
        ("FEAT_LRCPC2: LDAPUR, STLUR", "xx 011001 xx 0 xxxxxxxxx 00 xxxxx xxxxx"),
        ("FEAT_LOR: STLLR, LDLAR", "xx 001000 1 x 0 xxxxx 0 xxxxx xxxxx xxxxx"),
        ("FEAT_MTE: STG, LDG and kin", "11 011001 xx 1 xxxxxxxxx xx xxxxx xxxxx"),
        ("FEAT_MTE: STGP", "01 101 0 0xx 0 xxxxxxx xxxxx xxxxx xxxxx"),
        ("FEAT_MTE: ADDG", "1 0 0 100011 0 xxxxxxxxxxxxxxxxxxxxxx"),
        ("FEAT_MTE: SUBG", "1 1 0 100011 0 xxxxxxxxxxxxxxxxxxxxxx"),
        ("FEAT_MTE: SUBP, IRG, GMI", "1 0 x 11010110 xxxxx 000x0x xxxxx xxxxx"),
        ("FEAT_FHM: FMLAL, FMLSL", "0x001110 x01 xxxxx 111011 xxxxx xxxxx"),
        ("FEAT_FHM: FMLAL2, FMLSL2", "0x101110 x01 xxxxx 110011 xxxxx xxxxx"),
        ("FEAT_FHM: FMLAL, FMLSL (by element)", "0x001111 10 xxxxxx 0x00 x0 xxxxx xxxxx"),
        ("FEAT_FHM: FMLAL2, FMLSL2 (by element)", "0x101111 10 xxxxxx 1x00 x0 xxxxx xxxxx"),
        ("FEAT_FCMA: FCMLA", "0x101110 xx0 xxxxx 110xx1 xxxxx xxxxx"),
        ("FEAT_FCMA: FCADD", "0x101110 xx0 xxxxx 111x01 xxxxx xxxxx"),
        ("FEAT_FCMA: FCMLA (by element)", "0x101111 xx xxxxxx 0xx1 x0 xxxxx xxxxx"),
        ("FEAT_FRINTTS: FRINT32X and kin (vector)", "0xx01110 0x 10000 1111x 10 xxxxx xxxxx"),
        ("FEAT_FRINTTS: FRINT32X and kin (scalar)", "00011110 0x1 0100xx 10000 xxxxx xxxxx"),
        ("FEAT_JSCVT: FJCVTZS", "00011110 011 11110 000000 xxxxx xxxxx"),
        ("FEAT_BF16: BFCVT", "00011110 011 000110 10000 xxxxx xxxxx"),
        ("FEAT_BF16: BFCVTN", "0x001110 10 10000 10110 10 xxxxx xxxxx"),
        ("FEAT_BF16: BFDOT", "0x101110 010 xxxxx 111111 xxxxx xxxxx"),
        ("FEAT_BF16: BFMLAL", "0x101110 110 xxxxx 111111 xxxxx xxxxx"),
        ("FEAT_BF16: BFMMLA", "01101110 010 xxxxx 111011 xxxxx xxxxx"),
        ("FEAT_BF16, FEAT_I8MM: BFDOT, BFMLAL, SUDOT, USDOT (by element)", "0x001111 xx xxxxxx 1111 x0 xxxxx xxxxx"),
        ("FEAT_I8MM: USDOT", "0x001110 100 xxxxx 100111 xxxxx xxxxx"),
        ("FEAT_I8MM: SMMLA, UMMLA", "01x01110 100 xxxxx 101001 xxxxx xxxxx"),
        ("FEAT_I8MM: USMMLA", "01001110 100 xxxxx 101011 xxxxx xxxxx"),
        ("FEAT_SHA3, FEAT_SHA512, FEAT_SM3, FEAT_SM4", "11001110 xxx xxxxx xxxxxx xxxxx xxxxx"),

        // Unallocated, and executed by QEMU 7.2 all the same.
        ("across-lanes FP16 with bit 22 set", "0x001110 x1 11000 0 11xx 10 xxxxx xxxxx"),
        ("scalar pairwise FP16 with bit 22 set", "01011110 x1 11000 0 11xx 10 xxxxx xxxxx"),
        ("FMOV (vector, immediate) H with op set", "0x1 0111100000 xxx 111111 xxxxx xxxxx"),
        ("FEAT_BTI and FEAT_HINT space", "1101010100 0 00 011 0010 xxxx xxx 11111"),
    ];

    [Fact]
    public void EncodingTable_words_without_row_are_undefined_in_qemu_as_well()
    {
        (string Feature, uint Mask, uint Value)[] known = Array.ConvertAll(
            OnlyInQemu, k => (k.Feature, EncodingRow.Parse(k.Pattern).Mask, EncodingRow.Parse(k.Pattern).Value));
        using var qemu = new QemuPeer();
        var random = new Random(7);
        var generator = new CaseGenerator(8);
        var counts = new SortedDictionary<string, int>(StringComparer.Ordinal);
        var surprises = new SortedSet<string>(StringComparer.Ordinal);
        int compared = 0;
        for (int batch = 0; batch < 40; batch++)
        {
            var slots = new ulong[QemuPeer.MaximumSlots];
            var cases = new OracleRecord[slots.Length];
            for (int slot = 0; slot < slots.Length; slot++)
            {
                uint word;
                do
                {
                    word = Mutated(random);
                }
                while (EncodingTable.Find(word) >= 0);

                slots[slot] = word | ((ulong)OracleRecord.Breakpoint << 32);
                generator.State(word, slot, memory: true, floatingPoint: false, out cases[slot]);
            }

            qemu.Run(slots, cases);
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

    // A word outside SVE and exception generation, whose fixed bits are as often right as wrong: a row's value with a few bits turned.
    private static uint Mutated(Random random)
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
            if (!scalable && !exception && !abortsQemu)
            {
                return word;
            }
        }
    }
}
