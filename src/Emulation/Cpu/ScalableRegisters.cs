using System.Runtime.InteropServices;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Cpu;

/// <summary>
/// What FEAT_SVE adds to the state of a vCPU (Arm ARM B1.2.2): Z0–Z31, P0–P15, FFR and ZCR_EL1. The low 128 bits of Z0–Z31 are
/// V0–V31, in <see cref="CpuState"/>. A vCPU without SVE has no such object.
/// <para>A write of a V register by an FP or SIMD instruction makes the rest of its Z register zero. Such a write only sets a byte of
/// <see cref="CpuState.ScalableLive"/> to zero, which says so. Bytes beyond the vector length are zero in all registers.</para>
/// <para>The registers lie directly behind <see cref="CpuState"/>, where translated code addresses them as it does the fields of that, and
/// lockstep copies them with it.</para>
/// <para>Owner: the thread that runs the vCPU.</para>
/// </summary>
public sealed unsafe class ScalableRegisters : IDisposable
{
    /// <summary>The longest vector, in bytes.</summary>
    public const int MaxBytes = 256;

    /// <summary>Bytes of a V register, the part of a Z register that is in <see cref="CpuState.V"/>.</summary>
    public const int LowBytes = 16;

    /// <summary>FFR, by number among the predicate registers.</summary>
    public const int Ffr = 16;

    /// <summary>Z registers.</summary>
    public const int Vectors = 32;

    /// <summary>P registers, and FFR.</summary>
    public const int Predicates = Ffr + 1;

    /// <summary>Bytes of a Z register above its V register.</summary>
    public const int HighBytes = MaxBytes - LowBytes;

    /// <summary>Bytes of a predicate.</summary>
    public const int PredicateBytes = MaxBytes / 8;

    /// <summary>The longest vector that translated code can be for, in bytes.</summary>
    public const int MostTranslated = 64;

    private const int Scratch = 10;
    private const int HighSize = Vectors * HighBytes;
    private const int PredicatesSize = Predicates * PredicateBytes;

    // The lengths that the CPU has: bit n for (n + 1) × 16 bytes.
    private readonly uint _lengths;

    // The upper parts of Z0–Z31, then P0–P15 and FFR, then what is translated code's own.
    private readonly byte* _memory;

    // Room for operands.
    private byte* _rooms;

    /// <param name="lengths">The vector lengths that the CPU has, bit n for (n + 1) × 128 bits. Bit 0 is set.</param>
    /// <param name="s">The state, with <see cref="StateSizeOf"/> bytes of memory.</param>
    public ScalableRegisters(uint lengths, CpuState* s)
    {
        _lengths = lengths;
        _memory = (byte*)s + Offset;
        _rooms = (byte*)NativeMemory.AlignedAlloc(Scratch * MaxBytes, 64);
        TranslatedLength = LengthFor((MostTranslated / LowBytes) - 1);
        ScalableConstants.Fill(_memory + HighSize + PredicatesSize + MostTranslated, TranslatedLength);
        Reset();
    }

    /// <summary>Bytes of <see cref="CpuState"/>, with these registers behind it where a model has them.</summary>
    public static int StateSizeOf(CpuModel model) => model.Has(Feature.Sve)
        ? OffsetOfConstants + ScalableConstants.Size
        : sizeof(CpuState);

    /// <summary>
    /// The vector length in bytes that code is translated for: the longest up to <see cref="MostTranslated"/>, which Linux gives programs.
    /// At other lengths SVE is interpreted.
    /// </summary>
    public int TranslatedLength { get; }

    // From the start of CpuState, in bytes.
    private static int Offset => (sizeof(CpuState) + 63) & -64;

    /// <summary>The current vector length, in bytes: a multiple of 16.</summary>
    public int Length { get; private set; }

    /// <summary>ZCR_EL1: LEN in bits 3:0, the length that is asked for, in units of 128 bits less one.</summary>
    public ulong Zcr { get; private set; }

    /// <summary>A cold reset. The part of the state that is in <see cref="CpuState"/> is reset with it.</summary>
    public void Reset()
    {
        NativeMemory.Clear(_memory, HighSize + PredicatesSize);
        Zcr = 0;
        Length = LengthFor(0);
    }

    /// <summary>Writes ZCR_EL1. What is beyond a shorter length is lost.</summary>
    public void SetZcr(ulong value)
    {
        Zcr = value & 0xF;
        int length = LengthFor((int)Zcr);
        if (length < Length)
        {
            for (int z = 0; z < Vectors; z++)
            {
                new Span<byte>(High(z), HighBytes)[(length - LowBytes)..].Clear();
            }

            for (int p = 0; p < Predicates; p++)
            {
                new Span<byte>(Predicate(p), PredicateBytes)[(length / 8)..].Clear();
            }
        }

        Length = length;
    }

    // The longest length that the CPU has and that is not above the one that is asked for; else its shortest.
    private int LengthFor(int asked)
    {
        uint allowed = _lengths & ((2u << asked) - 1);
        return (allowed == 0 ? 1 : 32 - (int)uint.LeadingZeroCount(allowed)) * LowBytes;
    }

    /// <summary>P0–P15 or <see cref="Ffr"/>: a bit for each byte of a vector.</summary>
    public byte* Predicate(int number) => _memory + HighSize + (number * PredicateBytes);

    /// <summary>Room for a vector.</summary>
    /// <param name="slot">0 to 9.</param>
    public byte* Room(int slot) => _rooms + (slot * MaxBytes);

    /// <summary>Where the bytes of a Z register from the 16th on are, from the start of <see cref="CpuState"/>.</summary>
    public static int OffsetOfHigh(int number) => Offset + (number * HighBytes);

    /// <summary>Where a predicate is, from the start of <see cref="CpuState"/>.</summary>
    public static int OffsetOfPredicate(int number) => Offset + HighSize + (number * PredicateBytes);

    /// <summary>
    /// Where room of <see cref="MostTranslated"/> bytes is that translated code uses within one instruction, from the start of
    /// <see cref="CpuState"/>.
    /// </summary>
    public static int OffsetOfRoom => Offset + HighSize + PredicatesSize;

    /// <summary>Where the <see cref="ScalableConstants"/> are, from the start of <see cref="CpuState"/>.</summary>
    public static int OffsetOfConstants => OffsetOfRoom + MostTranslated;

    /// <summary>The bytes of a Z register: to be read only, and no longer than until the register is written.</summary>
    /// <param name="slot">The <see cref="Room"/> where they may be put together.</param>
    public byte* Read(CpuState* s, int number, int slot)
    {
        byte* low = (byte*)&s->V[2 * number];
        if (Length == LowBytes)
        {
            return low;
        }

        byte* room = Room(slot);
        new ReadOnlySpan<byte>(low, LowBytes).CopyTo(new Span<byte>(room, LowBytes));
        var rest = new Span<byte>(room + LowBytes, Length - LowBytes);
        if (IsLive(s, number))
        {
            new ReadOnlySpan<byte>(High(number), Length - LowBytes).CopyTo(rest);
        }
        else
        {
            rest.Clear();
        }

        return room;
    }

    /// <summary>Writes a Z register.</summary>
    public void Write(CpuState* s, int number, byte* value)
    {
        new ReadOnlySpan<byte>(value, LowBytes).CopyTo(new Span<byte>(&s->V[2 * number], LowBytes));
        if (Length > LowBytes)
        {
            new ReadOnlySpan<byte>(value + LowBytes, Length - LowBytes).CopyTo(new Span<byte>(High(number), Length - LowBytes));
            ((byte*)s->ScalableLive)[number] = 1;
        }
    }

    /// <summary>Writes the low bits of a V register, and makes the rest of the Z register zero.</summary>
    public static void WriteLow(CpuState* s, int number, ulong value)
    {
        s->V[2 * number] = value;
        s->V[(2 * number) + 1] = 0;
        ((byte*)s->ScalableLive)[number] = 0;
    }

    /// <summary>Whether the upper part of a Z register is what stands behind <see cref="CpuState"/>; else it is zero.</summary>
    public static bool IsLive(CpuState* s, int number) => ((byte*)s->ScalableLive)[number] != 0;

    private byte* High(int number) => _memory + (number * HighBytes);

    /// <summary>Saves what is not in <see cref="CpuState"/>.</summary>
    public void Save(StateWriter writer, CpuState* s)
    {
        writer.Write("zcr_el1", Zcr);
        writer.Write("z-live", new ReadOnlySpan<ulong>(s->ScalableLive, CpuState.ScalableLiveWords));
        writer.Write("z-high", new ReadOnlySpan<ulong>(_memory, HighSize / sizeof(ulong)));
        writer.Write("p", new ReadOnlySpan<ulong>(Predicate(0), PredicatesSize / sizeof(ulong)));
    }

    public void Load(StateReader reader, CpuState* s)
    {
        SetZcr(reader.Read<ulong>("zcr_el1"));
        reader.Read("z-live", new Span<ulong>(s->ScalableLive, CpuState.ScalableLiveWords));
        reader.Read("z-high", new Span<ulong>(_memory, HighSize / sizeof(ulong)));
        reader.Read("p", new Span<ulong>(Predicate(0), PredicatesSize / sizeof(ulong)));
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_rooms);
        _rooms = null;
    }
}
