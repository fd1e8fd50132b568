using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace Vmm.Emulation.Cpu.Lockstep;

/// <summary>
/// The fields of <see cref="CpuState"/> on which both engines must agree: all but an engine's own (lookups, budget, exits) and the two
/// words that other threads write.
/// </summary>
internal static unsafe class StateComparison
{
    private static readonly string[] s_ignored =
    [
        nameof(CpuState.Attention), nameof(CpuState.InterruptInputs), nameof(CpuState.Remaining),
        nameof(CpuState.RunStart), nameof(CpuState.CodePageVa), nameof(CpuState.Pc), nameof(CpuState.HostFlags), nameof(CpuState.Exit),
        nameof(CpuState.StoreLog), nameof(CpuState.CounterOrigin),
        nameof(CpuState.BaseReadTag), nameof(CpuState.BaseWriteTag), nameof(CpuState.BaseAddend),
        nameof(CpuState.CoverAddend),

        // ScalableComparison sees it with the registers.
        nameof(CpuState.ScalableLive),
    ];

    private readonly record struct Part(string Name, int Offset, int Size);

    // The compared fields of the state in the order of their offsets.
    private static readonly Part[] s_parts = [.. Parts().OrderBy(part => part.Offset)];

    // The same fields, with adjacent ones joined.
    private static readonly (int Offset, int Size)[] s_ranges = Join();

    private static readonly int s_wordsOfOthers = (int)Marshal.OffsetOf<CpuState>(nameof(CpuState.Attention));

    public static bool AreEqual(CpuState* left, CpuState* right)
    {
        foreach ((int offset, int size) in s_ranges)
        {
            if (!new ReadOnlySpan<byte>((byte*)left + offset, size).SequenceEqual(new ReadOnlySpan<byte>((byte*)right + offset, size)))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Copies all but the two words that other threads write.</summary>
    /// <param name="size">Bytes of the state: <see cref="ScalableRegisters.StateSizeOf"/>.</param>
    public static void Copy(CpuState* from, CpuState* to, int size)
    {
        const int words = 2 * sizeof(int);
        Unsafe.CopyBlockUnaligned(to, from, (uint)s_wordsOfOthers);
        Unsafe.CopyBlockUnaligned((byte*)to + s_wordsOfOthers + words, (byte*)from + s_wordsOfOthers + words,
            (uint)(size - s_wordsOfOthers - words));
    }

    /// <summary>Copies what translated code has looked up, and relies on where it goes on.</summary>
    public static void CopyLookups(CpuState* from, CpuState* to)
    {
        Unsafe.CopyBlockUnaligned(to->BaseReadTag, from->BaseReadTag, CpuState.Bases * sizeof(ulong));
        Unsafe.CopyBlockUnaligned(to->BaseWriteTag, from->BaseWriteTag, CpuState.Bases * sizeof(ulong));
        Unsafe.CopyBlockUnaligned(to->BaseAddend, from->BaseAddend, CpuState.Bases * sizeof(ulong));
        Unsafe.CopyBlockUnaligned(to->CoverAddend, from->CoverAddend, 2 * CpuState.Bases * sizeof(ulong));
    }

    /// <summary>A line for each field that differs: before, and as each engine left it.</summary>
    public static void Describe(StringBuilder text, CpuState* before, CpuState* translated, CpuState* interpreted)
    {
        foreach (Part part in s_parts)
        {
            ReadOnlySpan<byte> theirs = Bytes(translated, part);
            ReadOnlySpan<byte> ours = Bytes(interpreted, part);
            if (!theirs.SequenceEqual(ours))
            {
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"  {part.Name,-12} translated {Number(theirs)}, interpreted {Number(ours)}, before {Number(Bytes(before, part))}\n");
            }
        }
    }

    private static ReadOnlySpan<byte> Bytes(CpuState* state, Part part) => new((byte*)state + part.Offset, part.Size);

    private static string Number(ReadOnlySpan<byte> bytes)
    {
        Span<byte> reversed = stackalloc byte[bytes.Length];
        bytes.CopyTo(reversed);
        reversed.Reverse();
        return "0x" + Convert.ToHexStringLower(reversed);
    }

    private static IEnumerable<Part> Parts()
    {
        foreach (FieldInfo field in typeof(CpuState).GetFields(BindingFlags.Instance | BindingFlags.Public))
        {
            int offset = (int)Marshal.OffsetOf<CpuState>(field.Name);
            string name = field.Name;
            if (s_ignored.Contains(name))
            {
                continue;
            }

            if (name == nameof(CpuState.X))
            {
                for (int i = 0; i <= CpuState.Sp; i++)
                {
                    yield return new Part(i == CpuState.Sp ? "SP" : i == CpuState.Zr ? "XZR" : $"X{i}", offset + (i * 8), 8);
                }
            }
            else if (name == nameof(CpuState.V))
            {
                for (int i = 0; i < 32; i++)
                {
                    yield return new Part($"V{i}", offset + (i * 16), 16);
                }
            }
            else if (field.GetCustomAttribute<FixedBufferAttribute>() is { } buffer)
            {
                for (int i = 0; i < buffer.Length; i++)
                {
                    yield return new Part($"{name}[{i}]", offset + (i * 8), 8);
                }
            }
            else
            {
                yield return new Part(name, offset, field.FieldType == typeof(uint) || field.FieldType == typeof(int) ? 4 : 8);
            }
        }
    }

    private static (int Offset, int Size)[] Join()
    {
        var ranges = new List<(int Offset, int Size)>();
        foreach (Part part in s_parts)
        {
            if (ranges.Count > 0 && ranges[^1].Offset + ranges[^1].Size == part.Offset)
            {
                ranges[^1] = (ranges[^1].Offset, ranges[^1].Size + part.Size);
            }
            else
            {
                ranges.Add((part.Offset, part.Size));
            }
        }

        return [.. ranges];
    }
}
