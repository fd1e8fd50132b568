using System.Text;
using Vmm.Emulation.Cpu;

namespace Vmm.Emulation.Tests.InstructionOracle;

/// <summary>
/// The registers of SVE before or after an instruction, as oracle.c passes them: Z0–Z31, P0–P15 and FFR, one behind the other.
/// </summary>
/// <param name="bytes">Room for all of it.</param>
/// <param name="length">The vector length in bytes.</param>
internal readonly unsafe ref struct ScalableRecord(Span<byte> bytes, int length)
{
    private readonly Span<byte> _bytes = bytes;

    /// <summary>Bytes of a record.</summary>
    public static int Size(int length) => (32 * length) + (17 * length / 8);

    /// <summary>A Z register.</summary>
    public Span<byte> Vector(int number) => _bytes.Slice(number * length, length);

    /// <summary>A P register, or FFR as 16.</summary>
    public Span<byte> Predicate(int number) => _bytes.Slice((32 * length) + (number * length / 8), length / 8);

    /// <summary>Writes all registers. One whose upper part is zero only says so, and has something else there.</summary>
    public void CopyTo(CpuState* s, ScalableRegisters registers)
    {
        byte* stale = stackalloc byte[ScalableRegisters.MaxBytes];
        for (int i = 0; i < 32; i++)
        {
            Span<byte> vector = Vector(i);
            vector.CopyTo(new Span<byte>(stale, length));
            bool isClear = vector[ScalableRegisters.LowBytes..].IndexOfAnyExcept((byte)0) < 0;
            if (isClear)
            {
                new Span<byte>(stale, length)[ScalableRegisters.LowBytes..].Fill(0xA5);
            }

            registers.Write(s, i, stale);
            ((byte*)s->ScalableLive)[i] = isClear ? (byte)0 : (byte)1;
        }

        for (int i = 0; i <= ScalableRegisters.Ffr; i++)
        {
            Predicate(i).CopyTo(new Span<byte>(registers.Predicate(i), length / 8));
        }
    }

    public void CopyFrom(CpuState* s, ScalableRegisters registers)
    {
        for (int i = 0; i < 32; i++)
        {
            new Span<byte>(registers.Read(s, i, 0), length).CopyTo(Vector(i));
        }

        for (int i = 0; i <= ScalableRegisters.Ffr; i++)
        {
            new Span<byte>(registers.Predicate(i), length / 8).CopyTo(Predicate(i));
        }
    }

    /// <summary>
    /// Where another record's load has ended at an earlier element, as its FFR says, this one is made to end there as well: that of FFR and
    /// of the vector which lies behind.
    /// </summary>
    public void EndWith(ScalableRecord other, int vector)
    {
        Span<byte> ffr = Predicate(ScalableRegisters.Ffr);
        Span<byte> others = other.Predicate(ScalableRegisters.Ffr);
        int end = length;
        while (end > 0 && !IsSet(others, end - 1))
        {
            end--;
        }

        bool isSameBefore = true;
        bool hasMore = false;
        for (int i = 0; i < length; i++)
        {
            isSameBefore &= i >= end || IsSet(ffr, i) == IsSet(others, i);
            hasMore |= i >= end && IsSet(ffr, i);
        }

        if (isSameBefore && hasMore)
        {
            others.CopyTo(ffr);

            // FFR may have been clear for elements before the one at which the other's load has ended: what they hold says where that was.
            end += Vector(vector)[end..].CommonPrefixLength(other.Vector(vector)[end..]);
            other.Vector(vector)[end..].CopyTo(Vector(vector)[end..]);
        }

        static bool IsSet(Span<byte> predicate, int i) => (predicate[i / 8] >> (i % 8) & 1) != 0;
    }

    /// <summary>What differs from another record, which is said last; empty for nothing.</summary>
    public string Difference(ScalableRecord other)
    {
        var text = new StringBuilder();
        for (int i = 0; i < 32 && text.Length < 1200; i++)
        {
            Compare(text, $"z{i}", Vector(i), other.Vector(i));
        }

        for (int i = 0; i <= ScalableRegisters.Ffr; i++)
        {
            Compare(text, i == ScalableRegisters.Ffr ? "ffr" : $"p{i}", Predicate(i), other.Predicate(i));
        }

        return text.ToString();
    }

    public string Describe(int vector) => Number(Vector(vector));

    public string DescribePredicate(int predicate) => Number(Predicate(predicate));

    private static void Compare(StringBuilder text, string name, ReadOnlySpan<byte> ours, ReadOnlySpan<byte> theirs)
    {
        if (!ours.SequenceEqual(theirs))
        {
            text.Append($"\n      {name} {Number(ours)}\n      not {Number(theirs)}");
        }
    }

    private static string Number(ReadOnlySpan<byte> bytes)
    {
        byte[] reversed = bytes[..Math.Min(bytes.Length, 48)].ToArray();
        Array.Reverse(reversed);
        return Convert.ToHexStringLower(reversed);
    }
}
