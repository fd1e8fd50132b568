using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.FloatingPoint;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Tests.InstructionOracle;

/// <summary>Random words of an encoding and states that suit them.</summary>
internal sealed unsafe class CaseGenerator(int seed)
{
    private static readonly ulong[] Integers =
    [
        0, 1, 2, 3, 7, 8, 31, 32, 33, 63, 64, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xFFFF_FFFF,
        0x1_0000_0000, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000, 0xFFFF_FFFF_0000_0000, ulong.MaxValue - 1, ulong.MaxValue,
    ];

    // Zero, smallest and largest denormals, smallest normal, one and its neighbours, largest, infinity, signalling and quiet NaNs,
    // 2^15/31/63.
    private static readonly ulong[] Halves =
        [0, 1, 0x3FF, 0x400, 0x3BFF, 0x3C00, 0x3C01, 0x3800, 0x7BFF, 0x7C00, 0x7C01, 0x7DFF, 0x7E00, 0x7FFF, 0x7800, 0x4000];

    private static readonly ulong[] Singles =
    [
        0, 1, 0x7F_FFFF, 0x80_0000, 0x3F7F_FFFF, 0x3F80_0000, 0x3F80_0001, 0x3F00_0000, 0x7F7F_FFFF, 0x7F80_0000, 0x7F80_0001, 0x7FBF_FFFF,
        0x7FC0_0000, 0x7FFF_FFFF, 0x4700_0000, 0x4F00_0000, 0x4EFF_FFFF, 0x5F00_0000, 0x5F80_0000, 0x3880_0000, 0x3300_0000, 0x477F_F000,
    ];

    private static readonly ulong[] Doubles =
    [
        0, 1, 0xF_FFFF_FFFF_FFFF, 0x10_0000_0000_0000, 0x3FEF_FFFF_FFFF_FFFF, 0x3FF0_0000_0000_0000, 0x3FF0_0000_0000_0001,
        0x3FE0_0000_0000_0000, 0x7FEF_FFFF_FFFF_FFFF, 0x7FF0_0000_0000_0000, 0x7FF0_0000_0000_0001, 0x7FF7_FFFF_FFFF_FFFF,
        0x7FF8_0000_0000_0000, 0x7FFF_FFFF_FFFF_FFFF, 0x41DF_FFFF_FFC0_0000, 0x41E0_0000_0000_0000, 0x43E0_0000_0000_0000,
        0x43F0_0000_0000_0000, 0x3690_0000_0000_0000, 0x3810_0000_0000_0000, 0x47EF_FFFF_E000_0000,
    ];

    private readonly Random _random = new(seed);

    /// <summary>Whether QEMU 10.0 lacks an encoding: see <see cref="LongerWayTests"/>.</summary>
    public static bool IsOnlyOurs(EncodingRow row) => row.Feature is Feature.Cssc or Feature.Lrcpc3;

    /// <summary>The one or two instructions of a slot (low half first), or 0 when no word of the row can be compared.</summary>
    public ulong Slot(int row, int slot)
    {
        EncodingRow encoding = EncodingTable.Rows[row];
        for (int attempt = 0; attempt < 2000; attempt++)
        {
            uint word = (Bits() & ~encoding.Mask) | encoding.Value;
            if (EncodingTable.Find(word) != row || IsUnpredictable(word) || BranchesIntoSlot(encoding, word, slot))
            {
                continue;
            }

            return IsStoreExclusive(word) && _random.Next(4) != 0
                ? LoadFor(word) | ((ulong)word << 32)
                : word | ((ulong)OracleRecord.Breakpoint << 32);
        }

        return 0;
    }

    /// <summary>A random word of a row that is not CONSTRAINED UNPREDICTABLE; 0 when none is found.</summary>
    public uint Word(int row)
    {
        EncodingRow encoding = EncodingTable.Rows[row];
        for (int attempt = 0; attempt < 100; attempt++)
        {
            uint word = (Bits() & ~encoding.Mask) | encoding.Value;
            if (EncodingTable.Find(word) == row && !IsUnpredictable(word))
            {
                return word;
            }
        }

        return 0;
    }

    public int Next(int bound) => _random.Next(bound);

    /// <summary>A state in which memory accesses of the word reach the window, most of the time.</summary>
    public void State(uint word, int slot, bool memory, bool floatingPoint, out OracleRecord r)
    {
        r = default;
        for (int i = 0; i < 31; i++)
        {
            r.X[i] = Integer();
        }

        for (int i = 0; i < 64; i++)
        {
            r.V[i] = VectorHalf();
        }

        for (int i = 0; i < OracleRecord.WindowSize; i++)
        {
            r.Memory[i] = (byte)_random.Next();
        }

        r.Sp = Integer();
        r.Pc = OracleRecord.Code + (ulong)(slot * OracleRecord.SlotSize);
        r.Pstate = (uint)_random.Next(16) << 28;
        if (floatingPoint)
        {
            // Now and then cumulative flags that must stay.
            r.Fpcr = Control(_random);
            r.Fpsr = _random.Next(2) == 0 ? 0 : (uint)_random.Next() & 0x0800_009F;
        }

        if (memory)
        {
            Aim(word, ref r);
        }
    }

    /// <summary>Of FPCR: AHP, DN, FZ, RMode and FZ16.</summary>
    public const uint CommonControl = 0x07C8_0000;

    /// <summary>FPCR: 0, or any of <see cref="CommonControl"/>, every other time with any of AH, FIZ, NEP and EBF.</summary>
    public static uint Control(Random random) => random.Next(4) switch
    {
        0 or 1 => 0,
        2 => (uint)random.Next() & CommonControl,
        _ => (uint)random.Next() & (CommonControl | Fpcr.Alternate | Fpcr.FlushInputs | Fpcr.Merge | Fpcr.ExtendedBrain),
    };

    // Bits of a word: even, or mostly zeros, or mostly ones, so that extreme fields and register 31 come often.
    private uint Bits()
    {
        uint bits = (uint)_random.NextInt64();
        return _random.Next(6) switch
        {
            0 => bits & (uint)_random.NextInt64() & (uint)_random.NextInt64(),
            1 => bits | (uint)_random.NextInt64() | (uint)_random.NextInt64(),
            2 => bits | (0x1Fu << (5 * _random.Next(5))),
            _ => bits,
        };
    }

    private ulong Integer() => _random.Next(3) switch
    {
        0 => Pick(Integers),
        1 => (ulong)_random.NextInt64(long.MinValue, long.MaxValue) >> _random.Next(64),
        _ => (ulong)_random.NextInt64(long.MinValue, long.MaxValue),
    };

    /// <summary>A doubleword of a vector: elements of some size, mostly special values.</summary>
    public ulong VectorHalf()
    {
        (ulong[] values, int width) = _random.Next(7) switch
        {
            0 => (Integers, 8),
            1 => (Integers, 16),
            2 => (Halves, 16),
            3 => (Singles, 32),
            4 => (Doubles, 64),
            5 => (Integers, 32),
            _ => ([], 64),
        };
        if (values.Length == 0)
        {
            return (ulong)_random.NextInt64(long.MinValue, long.MaxValue);
        }

        ulong half = 0;
        for (int shift = 0; shift < 64; shift += width)
        {
            ulong mask = ulong.MaxValue >> (64 - width);
            ulong lane = _random.Next(4) == 0 ? (ulong)_random.NextInt64() : Pick(values);
            half |= ((lane ^ ((ulong)_random.Next(2) << (width - 1))) & mask) << shift;
        }

        return half;
    }

    private ulong Pick(ulong[] values) => values[_random.Next(values.Length)];

    private static bool BranchesIntoSlot(EncodingRow encoding, uint word, int slot)
    {
        if (!encoding.May(Effects.Jump) || !encoding.Pattern.Contains('i', StringComparison.Ordinal))
        {
            return false;
        }

        Op op = default;
        op.Word = word;
        encoding.Form(&op);
        ulong target = (ulong)(slot * OracleRecord.SlotSize) + op.Imm;
        return target < OracleRecord.CodeSize && target % OracleRecord.SlotSize < 8;
    }

    private static uint Field(uint word, int low, int width = 5) => (word >> low) & ((1u << width) - 1);

    private static bool IsPair(uint word) => Field(word, 27, 3) == 0b101 && Field(word, 25, 1) == 0;

    private static bool IsSingle(uint word) => Field(word, 27, 3) == 0b111 && Field(word, 25, 1) == 0;

    private static bool IsExclusiveGroup(uint word) => Field(word, 24, 6) == 0b001000;

    // LDAPUR, STLUR.
    private static bool IsOrderedGroup(uint word) => Field(word, 24, 6) == 0b011001 && Field(word, 10, 2) == 0;

    // CPYFP, CPYP, SETP and their kin.
    private static bool IsMemoryOperation(uint word) =>
        Field(word, 27, 5) == 0b00011 && Field(word, 24, 2) == 1 && Field(word, 21, 1) == 0 && Field(word, 10, 2) == 1;

    private static bool IsStoreExclusive(uint word) =>
        IsExclusiveGroup(word) && Field(word, 22, 2) == 0 && (Field(word, 21, 1) == 0 || Field(word, 31, 1) == 1);

    // What the Arm ARM makes CONSTRAINED UNPREDICTABLE, section K1.1: implementations may differ.
    private static bool IsUnpredictable(uint word)
    {
        uint rt = Field(word, 0);
        uint rn = Field(word, 5);
        uint rt2 = Field(word, 10);
        uint rs = Field(word, 16);
        bool vector = Field(word, 26, 1) != 0;
        bool load = Field(word, 22, 1) != 0;
        if ((word & 0xFF60_8000) == 0x9B40_0000)
        {
            // SMULH, UMULH: bits that should be ones.
            return rt2 != 31;
        }

        if (IsExclusiveGroup(word) && Field(word, 23, 1) == 1 && Field(word, 21, 1) == 0)
        {
            // STLR, LDAR and their kin, the same.
            return rs != 31 || rt2 != 31;
        }

        if (IsPair(word))
        {
            bool writeBack = Field(word, 23, 1) != 0;
            return (load && rt == rt2) || (writeBack && !vector && rn != 31 && (rn == rt || rn == rt2));
        }

        if (IsSingle(word))
        {
            bool writeBack = Field(word, 24, 1) == 0 && Field(word, 21, 1) == 0 && Field(word, 10, 1) != 0;
            return writeBack && !vector && rn != 31 && rn == rt;
        }

        if (IsStoreExclusive(word))
        {
            bool pair = Field(word, 21, 1) != 0;
            return rs == rt || (pair && rs == rt2) || (rs == rn && rn != 31);
        }

        return IsExclusiveGroup(word) && Field(word, 21, 3) == 0b011 && Field(word, 31, 1) == 1 && rt == rt2;
    }

    // The load-exclusive that opens the monitor for a store-exclusive, into registers that neither uses.
    private static uint LoadFor(uint store)
    {
        uint spare = 0;
        while (spare == Field(store, 5) || spare == Field(store, 0) || spare == Field(store, 10))
        {
            spare++;
        }

        bool pair = Field(store, 21, 1) != 0;
        return (store & 0xFFE0_83E0) | (1u << 22) | (31u << 16) | (pair ? spare << 10 : 31u << 10) | 31;
    }

    private void Aim(uint word, ref OracleRecord r)
    {
        if (_random.Next(64) == 0)
        {
            // Wherever the registers happen to point: mostly a fault, which is compared too.
            return;
        }

        ulong target = OracleRecord.Window + 96 + (ulong)_random.Next(64);
        uint rn = Field(word, 5);
        bool vector = Field(word, 26, 1) != 0;
        uint size = Field(word, 30, 2);
        if (IsMemoryOperation(word))
        {
            AimOperation(word, ref r);
            return;
        }

        if (IsExclusiveGroup(word))
        {
            target &= ~15ul;
        }
        else if (IsOrderedGroup(word))
        {
            // QEMU has FEAT_LSE2, and executes these also where they are misaligned.
            target = (target & ~15ul) - (ulong)((long)(int)(word << 11) >> 23);
        }
        else if (IsPair(word))
        {
            int scale = vector ? 2 + (int)size : size == 2 ? 3 : 2;
            if (Field(word, 23, 2) != 1)
            {
                target -= (ulong)(((long)(int)(word << 10) >> 25) << scale);
            }
        }
        else if (IsSingle(word))
        {
            int scale = vector && Field(word, 23, 1) != 0 ? 4 : (int)size;
            if (Field(word, 24, 1) != 0)
            {
                target -= (ulong)Field(word, 10, 12) << scale;
            }
            else if (Field(word, 21, 1) == 0)
            {
                bool postIndex = Field(word, 10, 2) == 1;
                target -= postIndex ? 0 : (ulong)((long)(int)(word << 11) >> 23);
            }
            else if (Field(word, 10, 2) == 0)
            {
                target &= ~15ul;
            }
            else
            {
                target -= Index(word, Field(word, 12, 1) != 0 ? scale : 0, ref r);
            }
        }

        if (rn == 31)
        {
            r.Sp = target;
        }
        else
        {
            r.X[rn] = target;
        }
    }

    // Copies and sets within the window; what the main parts do begins at the page of the window, and reads a page that nothing writes.
    private void AimOperation(uint word, ref OracleRecord r)
    {
        uint kind = Field(word, 22, 2);
        bool set = kind == 3;
        uint stage = set ? Field(word, 14, 2) : kind;
        ulong size = (ulong)_random.Next(stage == 1 ? 64 : 48);
        ulong to = OracleRecord.Window + (stage == 1 ? size & 15 : 64 + (ulong)_random.Next(64));
        ulong from = stage == 1 ? OracleRecord.Window + 0x10_0000 : OracleRecord.Window + 40 + (ulong)_random.Next(112);
        size += stage == 1 ? 4096ul : 0;
        bool forward = stage != 0 && (set || Field(word, 26, 1) == 0 || _random.Next(2) == 0);
        r.X[Field(word, 0) % 31] = forward ? to + size : to;
        if (!set)
        {
            r.X[Field(word, 16) % 31] = forward ? from + size : from;
        }

        r.X[Field(word, 5) % 31] = forward ? 0 - size : size;

        // C is the option, which is seldom the wrong one.
        r.Pstate &= _random.Next(8) == 0 ? ulong.MaxValue : ~(1ul << 29);
    }

    // Gives the offset register a small value; returns its contribution.
    private ulong Index(uint word, int shift, ref OracleRecord r)
    {
        uint rm = Field(word, 16);
        if (rm == 31)
        {
            return 0;
        }

        uint option = Field(word, 13, 3);
        long offset = option == 0b010 ? _random.Next(16) : _random.Next(-8, 8);
        r.X[rm] = (option & 1) != 0 ? (ulong)offset : (uint)offset | ((ulong)_random.NextInt64() << 32);
        return (ulong)(offset << shift);
    }
}
