namespace Vmm.Emulation.Cpu.PointerAuthentication;

/// <summary>
/// QARMA-64 with three or five rounds on each side (R. Avanzi, "The QARMA Block Cipher Family", 2017; Arm ARM J1.3, ComputePAC). A block is
/// sixteen cells of four bits, cell 0 the lowest.
/// </summary>
internal static class Qarma
{
    private const ulong Alpha = 0xC0AC_29B7_C97C_50DD;

    /// <summary>A variant: rounds on each side less one, and the substitution of cells with its inverse.</summary>
    internal sealed record Variant(int Rounds, byte[] Substitution, byte[] Inverse);

    // The cell that each cell of a shuffled block comes from, and the cells of the tweak that also rotate.
    private static readonly byte[] s_shuffle = [13, 6, 11, 0, 7, 12, 1, 10, 8, 3, 14, 5, 2, 9, 4, 15];
    private static readonly byte[] s_tweakShuffle = [4, 5, 6, 7, 11, 2, 3, 8, 12, 13, 14, 15, 0, 1, 10, 9];
    private static readonly bool[] s_tweakRotates =
        [false, false, true, false, true, false, false, true, false, false, false, true, true, false, true, true];

    private static readonly ulong[] s_constants =
        [0, 0x1319_8A2E_0370_7344, 0xA409_3822_299F_31D0, 0x082E_FA98_EC4E_6C89, 0x4528_21E6_38D0_1377];

    // σ2 of the paper, and σ1, which is its own inverse.
    private static readonly byte[] s_second = [11, 6, 8, 15, 12, 0, 9, 14, 3, 7, 4, 5, 13, 2, 1, 10];
    private static readonly byte[] s_first = [10, 13, 14, 6, 15, 7, 3, 5, 9, 8, 0, 12, 11, 1, 2, 4];

    /// <summary>QARMA5, of FEAT_PACQARMA5.</summary>
    public static readonly Variant Five = new(4, s_second, Invert(s_second));

    /// <summary>QARMA3, of FEAT_PACQARMA3.</summary>
    public static readonly Variant Three = new(2, s_first, s_first);

    public static ulong Compute(ulong data, ulong modifier, ulong keyLow, ulong keyHigh, Variant variant)
    {
        ulong whitening = (keyHigh << 63) | ((keyHigh >> 1) ^ (keyHigh >> 63));
        ulong tweak = modifier;
        ulong block = data ^ keyHigh;
        for (int i = 0; i <= variant.Rounds; i++)
        {
            block ^= keyLow ^ tweak ^ s_constants[i];
            block = i > 0 ? Mix(Shuffle(block)) : block;
            block = Substitute(block, variant.Substitution);
            tweak = NextTweak(tweak);
        }

        block = Substitute(Mix(Shuffle(block ^ whitening ^ tweak)), variant.Substitution);
        block = Mix(Shuffle(block)) ^ keyLow;
        block = Mix(Substitute(Unshuffle(block), variant.Inverse));
        block = Unshuffle(block) ^ keyHigh ^ tweak;
        for (int i = variant.Rounds; i >= 0; i--)
        {
            block = Substitute(block, variant.Inverse);
            block = i > 0 ? Unshuffle(Mix(block)) : block;
            tweak = PreviousTweak(tweak);
            block ^= keyLow ^ tweak ^ s_constants[i] ^ Alpha;
        }

        return block ^ whitening;
    }

    private static ulong Cell(ulong block, int cell) => (block >> (4 * cell)) & 15;

    private static ulong Substitute(ulong block, byte[] table)
    {
        ulong result = 0;
        for (int i = 0; i < 16; i++)
        {
            result |= (ulong)table[Cell(block, i)] << (4 * i);
        }

        return result;
    }

    private static ulong Shuffle(ulong block)
    {
        ulong result = 0;
        for (int i = 0; i < 16; i++)
        {
            result |= Cell(block, s_shuffle[i]) << (4 * i);
        }

        return result;
    }

    private static ulong Unshuffle(ulong block)
    {
        ulong result = 0;
        for (int i = 0; i < 16; i++)
        {
            result |= Cell(block, i) << (4 * s_shuffle[i]);
        }

        return result;
    }

    // Each cell becomes the sum of the three others of its column: those at distances of one and three rotated by one, at two by two.
    private static ulong Mix(ulong block)
    {
        ulong once = Rotate(block, 1);
        ulong twice = Rotate(block, 2);
        return ulong.RotateLeft(once, 16) ^ ulong.RotateLeft(twice, 32) ^ ulong.RotateLeft(once, 48);
    }

    // Each cell rotated left.
    private static ulong Rotate(ulong block, int count)
    {
        ulong low = 0x1111_1111_1111_1111ul * ((1ul << count) - 1);
        return ((block << count) & ~low) | ((block >> (4 - count)) & low);
    }

    private static ulong NextTweak(ulong tweak)
    {
        ulong result = 0;
        for (int i = 0; i < 16; i++)
        {
            ulong cell = Cell(tweak, s_tweakShuffle[i]);
            cell = s_tweakRotates[i] ? (cell >> 1) | (((cell ^ (cell >> 1)) & 1) << 3) : cell;
            result |= cell << (4 * i);
        }

        return result;
    }

    private static ulong PreviousTweak(ulong tweak)
    {
        ulong result = 0;
        for (int i = 0; i < 16; i++)
        {
            ulong cell = Cell(tweak, i);
            cell = s_tweakRotates[i] ? ((cell << 1) & 15) | ((cell & 1) ^ (cell >> 3)) : cell;
            result |= cell << (4 * s_tweakShuffle[i]);
        }

        return result;
    }

    private static byte[] Invert(byte[] table)
    {
        var inverse = new byte[16];
        for (int i = 0; i < 16; i++)
        {
            inverse[table[i]] = (byte)i;
        }

        return inverse;
    }
}
