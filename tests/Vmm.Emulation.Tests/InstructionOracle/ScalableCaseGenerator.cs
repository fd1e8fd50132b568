using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Tests.InstructionOracle;

/// <summary>Random words of SVE's encodings and states that suit them.</summary>
/// <param name="length">The vector length in bytes.</param>
internal sealed class ScalableCaseGenerator(int seed, int length)
{
    private readonly CaseGenerator _generator = new(seed);
    private readonly Random _random = new(seed + 1);

    /// <summary>The instruction of a slot, and BRK; 0 when no word of the row can be compared.</summary>
    public ulong Slot(int row, int slot) => _generator.Slot(row, slot);

    public void State(int row, uint word, int slot, out OracleRecord r, ScalableRecord scalable)
    {
        ref EncodingRow encoding = ref EncodingTable.Rows[row];
        _generator.State(word, slot, encoding.AccessesMemory && !encoding.IsScalable, floatingPoint: true, out r);
        Fill(scalable);
        if (encoding.IsScalable && encoding.AccessesMemory && _random.Next(32) != 0)
        {
            Aim(encoding, word, ref r, scalable);
        }

        if (encoding.Mnemonic is "LDFF1 (scalar plus scalar)" or "LDNF1")
        {
            // QEMU 10.0 looks at the wrong bits of the predicate when the first element is not active.
            scalable.Predicate((int)(word >> 10) & 7)[0] |= 1;
        }

        Share(ref r, scalable);
    }

    /// <summary>Random values of all registers of SVE, of which a record of the others has the low halves.</summary>
    public void Registers(ref OracleRecord r, ScalableRecord scalable)
    {
        Fill(scalable);
        Share(ref r, scalable);
    }

    private void Fill(ScalableRecord scalable)
    {
        for (int i = 0; i < 32; i++)
        {
            Span<byte> vector = scalable.Vector(i);
            for (int at = 0; at < length; at += 8)
            {
                BitConverter.TryWriteBytes(vector[at..], _generator.VectorHalf());
            }

            if (_random.Next(4) == 0)
            {
                // As an instruction of FP or SIMD leaves it.
                vector[ScalableRegisters.LowBytes..].Clear();
            }
        }

        for (int i = 0; i <= ScalableRegisters.Ffr; i++)
        {
            FillPredicate(scalable.Predicate(i));
        }
    }

    // The low halves of both records are the same registers.
    private static unsafe void Share(ref OracleRecord r, ScalableRecord scalable)
    {
        for (int i = 0; i < 64; i++)
        {
            r.V[i] = BitConverter.ToUInt64(scalable.Vector(i / 2)[(8 * (i & 1))..]);
        }
    }

    // Lets the accesses begin in the window: base registers, offsets in registers, and vectors of both. An immediate leads back by what a
    // scalar base is moved forward; vectors of addresses lie far enough behind the beginning.
    private unsafe void Aim(in EncodingRow encoding, uint word, ref OracleRecord r, ScalableRecord scalable)
    {
        uint rn = (word >> 5) & 31;
        uint rm = (word >> 16) & 31;
        bool addresses = (encoding.Effects & Effects.ReadRn) == 0;
        bool general = (encoding.Effects & Effects.ReadRm) != 0;
        bool immediate = encoding.Pattern.Contains('i', StringComparison.Ordinal);
        int memory = (int)(word >> 23) & 3;
        ulong target = OracleRecord.Window + (ulong)_random.Next(64);
        if (general)
        {
            ulong offset = rm == 31 ? 0 : (ulong)_random.Next(16);
            r.X[rm % 31] = rm == 31 ? r.X[0] : offset;
            target -= addresses ? offset : 0;
        }

        if (addresses || !(immediate || general))
        {
            // Words of addresses reach the window, too.
            int size = HasWords(encoding, word) ? 4 : 8;
            Span<byte> vector = scalable.Vector((int)(addresses ? rn : rm));
            for (int at = 0; at < length; at += size)
            {
                ulong value = (ulong)_random.Next(_random.Next(8) == 0 ? 512 : 24) + (addresses ? target : 0);
                BitConverter.GetBytes(value).AsSpan(0, size).CopyTo(vector[at..]);
            }

            if (addresses)
            {
                return;
            }
        }

        if (immediate)
        {
            // Immediates of registers, of LD1R, and of four bits.
            bool whole = encoding.Mnemonic.StartsWith("LDR", StringComparison.Ordinal)
                || encoding.Mnemonic.StartsWith("STR", StringComparison.Ordinal);
            bool replicated = encoding.Mnemonic == "LD1R";
            long count = whole ? ((int)(word << 10) >> 26 << 3) | (int)((word >> 10) & 7) : replicated ? (word >> 16) & 0x3F
                : (int)(word << 12) >> 28;
            target -= replicated ? (ulong)(count << memory) : 0;
            int bytes = encoding.Mnemonic.Contains("predicate", StringComparison.Ordinal) ? length / 8 : length;
            target -= whole ? (ulong)(count * bytes) : 0;
            target -= replicated || whole ? 0 : (ulong)(count * Unit(word));
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

    // What an immediate of four bits counts: bytes in memory of a vector's elements, of all registers of structures, or of LD1RQ and LD1RO.
    private int Unit(uint word)
    {
        int memory = (int)(word >> 23) & 3;
        int registers = (int)((word >> 21) & 3) + 1;
        switch ((word >> 30 & 1, (word >> 13) & 7))
        {
            case (0, 1):
                return 16 * registers;
            case (0, 5):
                int type = (int)(word >> 21) & 15;
                return length >> SizeOf("0123312332233213", type) << SizeOf("0000211111220003", type);
            case (1, 7) when ((word >> 20) & 1) == 0:
                return length >> (registers - 1) << memory;
            default:
                return length * registers;
        }
    }

    /// <summary>Whether the vector of addresses or offsets of a gather or scatter has words, not doublewords.</summary>
    public static bool HasWords(in EncodingRow encoding, uint word)
    {
        bool addressesAndImmediate = (encoding.Effects & (Effects.ReadRn | Effects.ReadRm)) == 0
            && encoding.Pattern.Contains('i', StringComparison.Ordinal);
        return (word >> 25) switch
        {
            0b100_0010 => true,
            0b110_0010 => false,
            _ => (word & (addressesAndImmediate ? 1u << 21 : 1u << 22)) != 0,
        };
    }

    private static int SizeOf(string sizes, int type) => sizes[type] - '0';

    // All, nothing, some, or the first ones.
    private void FillPredicate(Span<byte> predicate)
    {
        predicate.Clear();
        switch (_random.Next(6))
        {
            case 0:
                predicate.Fill(0xFF);
                break;
            case 1:
                break;
            case 2:
                int count = _random.Next((8 * predicate.Length) + 1);
                for (int i = 0; i < count; i++)
                {
                    predicate[i / 8] |= (byte)(1 << (i % 8));
                }

                break;
            case 3:
                // Few.
                for (int i = 0; i < 2; i++)
                {
                    predicate[_random.Next(predicate.Length)] |= (byte)(1 << _random.Next(8));
                }

                break;
            default:
                _random.NextBytes(predicate);
                break;
        }
    }
}
