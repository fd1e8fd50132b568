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
                    word = Integer(random);
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

        Assert.True(surprises.Count == 0, $"QEMU executes {surprises.Count} words that no row matches: {string.Join(' ', surprises.Take(60))}");
    }

    // A word outside the FP and SIMD groups, whose fixed bits are as often right as wrong: a row's value with a few bits turned.
    private static uint Integer(Random random)
    {
        while (true)
        {
            EncodingRow row = EncodingTable.Rows[random.Next(EncodingTable.Rows.Length)];
            uint word = ((uint)random.NextInt64() & ~row.Mask) | row.Value;
            for (int flips = random.Next(4); flips > 0; flips--)
            {
                word ^= 1u << random.Next(32);
            }

            bool vector = (word & 0x0E00_0000) == 0x0E00_0000 || (word & 0x0E00_0000) == 0x0C00_0000 || (word & 0x0A00_0000) == 0x0800_0000 && (word & (1 << 26)) != 0;
            bool scalable = (word & 0x1E00_0000) == 0x0400_0000;
            bool exception = (word & 0xFF00_0000) == 0xD400_0000;
            if (!vector && !scalable && !exception)
            {
                return word;
            }
        }
    }
}
