using System.Diagnostics;
using System.Globalization;
using System.Text;
using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Tests.Jit;

/// <summary>
/// How long a fuzzer runs, and from which seed. A short run of a fixed seed by default; with <c>VMM_FUZZ_SECONDS=300</c> each fuzzer runs
/// as many seconds, from a random seed or from <c>VMM_FUZZ_SEED</c>; <c>VMM_FUZZ_FIRST</c> is the number of the first program. A program
/// depends on the seed and its number alone, and both stand in the report of a difference: <c>VMM_FUZZ_SECONDS=1 VMM_FUZZ_SEED=…
/// VMM_FUZZ_FIRST=… ./test --filter Fuzz</c> has it again.
/// </summary>
internal sealed class FuzzRun
{
    private const int DefaultSeed = 20261126;

    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly double? _seconds;
    private readonly int _first;
    private readonly int _programs;

    /// <param name="programs">Programs of a short run.</param>
    public FuzzRun(int programs)
    {
        _programs = programs;
        _seconds = Number("VMM_FUZZ_SECONDS");
        _first = (int)(Number("VMM_FUZZ_FIRST") ?? 0);
        Seed = (int)(Number("VMM_FUZZ_SEED") ?? (_seconds == null ? DefaultSeed : Random.Shared.Next(100_000_000)));
        Next = _first;
    }

    public int Seed { get; }

    /// <summary>The number of the next program; after the run, what <see cref="Figure"/> counts to.</summary>
    public int Next { get; private set; }

    /// <summary>The programs of the run, by number.</summary>
    public IEnumerable<int> Programs()
    {
        while (_seconds == null ? Next - _first < _programs : Stopwatch.GetElapsedTime(_start).TotalSeconds < _seconds)
        {
            yield return Next++;
        }
    }

    /// <summary>The same, so many at a time.</summary>
    public IEnumerable<int[]> Batches(int size) => Programs().Chunk(size);

    /// <summary>The seed of a program's own generator.</summary>
    public int SeedOf(int program) => unchecked((Seed * 1_000_003) + program);

    /// <summary>What a run was.</summary>
    public string Figure(string fuzzer, string what) => string.Create(
        CultureInfo.InvariantCulture,
        $"[figure] fuzz {fuzzer}: seed {Seed}, programs {_first} to {Next - 1}, {what}, "
        + $"{Stopwatch.GetElapsedTime(_start).TotalSeconds:F1} s");

    /// <summary>Where to find a program again.</summary>
    public string Name(int program) => $"seed {Seed}, program {program}";

    /// <summary>A program as text.</summary>
    public static string List(ReadOnlySpan<uint> words, ulong address)
    {
        var text = new StringBuilder();
        for (int i = 0; i < words.Length; i++)
        {
            int row = EncodingTable.Find(words[i]);
            text.Append(CultureInfo.InvariantCulture,
                $"  {address + ((ulong)i * 4):x}  {words[i]:x8}  {(row < 0 ? "UNDEFINED" : EncodingTable.Rows[row].Mnemonic)}\n");
        }

        return text.ToString();
    }

    private static double? Number(string variable) =>
        double.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
            ? value
            : null;
}
