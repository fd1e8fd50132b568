using System.Numerics;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.FloatingPoint;
using Vmm.Emulation.Cpu.Interpreter;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.InstructionOracle;

/// <summary>Every row of SVE against QEMU's user mode, at vector lengths from 128 to 2048 bits.</summary>
public sealed unsafe class ScalableOracleTests(ITestOutputHelper output)
{
    private const int WordsPerRow = 16;
    private const int StatesPerWord = 12;

    [Theory]
    [InlineData(128)]
    [InlineData(256)]
    [InlineData(384)]
    [InlineData(512)]
    [InlineData(1024)]
    [InlineData(1792)]
    [InlineData(2048)]
    public void ScalableOracle_every_row_agrees_with_qemu(int bits) => CompareAll(Accelerator.Interpreter, bits, row => row.IsScalable);

    [Theory]
    [InlineData(Accelerator.Jit, 128)]
    [InlineData(Accelerator.Jit, 256)]
    [InlineData(Accelerator.Jit, 384)]
    [InlineData(Accelerator.Jit, 512)]
    [InlineData(Accelerator.Jit, 1024)]
    [InlineData(Accelerator.Lockstep, 256)]
    [InlineData(Accelerator.Lockstep, 512)]
    public void ScalableOracle_every_row_agrees_with_qemu_when_it_is_translated(Accelerator accelerator, int bits) =>
        CompareAll(accelerator, bits, row => row.IsScalable);

    /// <summary>
    /// FP and SIMD: they make the rest of a Z register zero. QEMU 10.0 leaves it at SHLL and LD1 to LD4 of single structures, which write V
    /// registers, too (Arm ARM C1.2.5).
    /// </summary>
    [Theory]
    [InlineData(Accelerator.Interpreter)]
    [InlineData(Accelerator.Jit)]
    [InlineData(Accelerator.Lockstep)]
    public void ScalableOracle_writes_of_vector_registers_agree_with_qemu(Accelerator accelerator) => CompareAll(
        accelerator,
        256,
        row => !row.IsScalable && !row.IsSystem && (row.Effects & (Effects.WriteVd | Effects.WriteVa)) != 0
            && row.Operation is not (Operation.Shll or Operation.LdSingle) && !CaseGenerator.IsOnlyOurs(row));

    // Of an odd number of quadwords the last has no pair, and its place becomes zero. QEMU 10.0 permutes it, too, and keeps the addend.
    private static bool IsOdd(in EncodingRow row, int length) => length % 32 != 0
        && (row.Mnemonic == "FMMLA" || row.Mnemonic.EndsWith("(vectors, 128 bits)", StringComparison.Ordinal));

    // Of doublewords whose highest bit is set, QEMU 10.0 makes zero in vectors that it does not expand itself: it saturates them as signed.
    private static bool IsSaturatedAsSigned(in EncodingRow row, int length) => length > 128 && row.Mnemonic is ("UQXTNB" or "UQXTNT");

    // QEMU 10.0 puts the second half at a power of two, and not behind the first one.
    private static bool IsMisplaced(in EncodingRow row, int length) => length > 64 && !BitOperations.IsPow2(length)
        && row.Mnemonic is ("UZP1 (predicates)" or "UZP2 (predicates)");

    // With FPCR.AH QEMU 10.0 changes the sign of a NaN where FCMLA rotates (FPNeg), has a positive NaN for elements that are not active
    // (FPDefaultNaN), makes pairwise maxima and minima as without AH (FPMax), raises Input Denormal for halves (FPProcessDenorm), and not
    // for the operand of FLOGB (FPLogB).
    // Also of FABS and FNEG of vectors (InstructionOracleTests.CorrectQemu). With NEP its conversions to integers keep the rest of a Z
    // register. The bits of FPCR that are left out for a row.
    private static uint WrongControl(in EncodingRow row) =>
        row.Mnemonic is "FCMLA (indexed) H" or "FCMLA (indexed) S" or "FMAXNMV" or "FMINNMV" or "FMAXP" or "FMINP"
            or "FCVTLT H to S" or "FLOGB"
        || row.Operation is Operation.FabsVector or Operation.FnegVector or Operation.FabsVectorHalf or Operation.FnegVectorHalf
            ? Fpcr.Alternate
        : !row.IsScalable && row.Mnemonic.StartsWith("FCVT", StringComparison.Ordinal)
            && row.Mnemonic.Contains("(scalar", StringComparison.Ordinal) ? Fpcr.Merge
        : 0;

    // A load that takes faults of its first element alone may end before any other (Arm ARM B2.2.3). QEMU 10.0 ends a gather before an
    // element that lies in two pages.
    internal static bool IsFirstFaultGather(uint word) => (word >> 25 & 0x1F) == 0b0_0010 && (word >> 31) != 0 && (word >> 13 & 1) != 0;

    private void CompareAll(Accelerator accelerator, int bits, Predicate<EncodingRow> which)
    {
        int length = bits / 8;
        using var qemu = new QemuPeer(length);
        using var ours = new EngineUnderTest(ScalableModels.Longest(length), accelerator);
        var generator = new ScalableCaseGenerator(20261129, length);
        var failures = new List<string>();
        int rows = 0;
        for (int row = 0; row < EncodingTable.Rows.Length; row++)
        {
            ref EncodingRow encoding = ref EncodingTable.Rows[row];
            bool tooShort = length < 32 && encoding.Mnemonic.StartsWith("LD1RO", StringComparison.Ordinal);
            bool isWrongInQemu =
                IsOdd(encoding, length) || IsSaturatedAsSigned(encoding, length) || IsMisplaced(encoding, length);
            if (!which(encoding) || isWrongInQemu || tooShort)
            {
                continue;
            }

            rows++;
            if (CompareRow(row, generator, qemu, ours, length) is { } failure)
            {
                failures.Add($"{encoding.Mnemonic}: {failure}");
            }
        }

        output.WriteLine($"[figure] scalable oracle, {accelerator}, {bits} bits: {rows} rows, {failures.Count} differ");
        Assert.True(failures.Count == 0, string.Join('\n', failures));
    }

    private static string? CompareRow(int row, ScalableCaseGenerator generator, QemuPeer qemu, EngineUnderTest ours, int length)
    {
        ref EncodingRow encoding = ref EncodingTable.Rows[row];
        int words = encoding.IsScalable ? WordsPerRow : 4;
        int size = ScalableRecord.Size(length);
        var slots = new ulong[words];
        var before = new OracleRecord[words * StatesPerWord];
        byte[] scalableBefore = new byte[before.Length * size];
        for (int slot = 0; slot < words; slot++)
        {
            slots[slot] = generator.Slot(row, slot);
            if (slots[slot] == 0)
            {
                return "no word of it can be generated";
            }

            for (int n = 0; n < StatesPerWord; n++)
            {
                int index = (slot * StatesPerWord) + n;
                generator.State(
                    row, (uint)slots[slot], slot, out before[index],
                    new ScalableRecord(scalableBefore.AsSpan(index * size, size), length));
                before[index].Fpcr &= ~WrongControl(encoding);
            }
        }

        var theirs = (OracleRecord[])before.Clone();
        byte[] scalableTheirs = (byte[])scalableBefore.Clone();
        qemu.Run(slots, theirs, scalableTheirs);
        ours.Plant(slots);
        int done = 0;
        int different = 0;
        string? failure = null;
        byte[] scalableOur = new byte[size];
        for (int i = 0; i < before.Length; i++)
        {
            OracleRecord our = before[i];
            scalableBefore.AsSpan(i * size, size).CopyTo(scalableOur);
            ours.Run(ref our, new ScalableRecord(scalableOur, length));
            uint word = (uint)slots[i / StatesPerWord];
            InstructionOracleTests.CorrectQemu(encoding, word, before[i], ref theirs[i]);
            if (IsFirstFaultGather(word))
            {
                new ScalableRecord(scalableOur, length).EndWith(
                    new ScalableRecord(scalableTheirs.AsSpan(i * size, size), length), (int)word & 31);
            }

            done += theirs[i].End == (ulong)OracleEnd.Done ? 1 : 0;
            string difference = InstructionOracleTests.Difference(our, theirs[i]) ?? "";
            bool faulted = our.End is (ulong)OracleEnd.Fault or (ulong)OracleEnd.Bus;
            if (encoding.IsScalable || difference.Length == 0)
            {
                difference += faulted ? ""
                    : new ScalableRecord(scalableOur, length).Difference(new ScalableRecord(scalableTheirs.AsSpan(i * size, size), length));
            }

            if (difference.Length > 0)
            {
                different++;
                failure ??= $"{word:x8}{difference}\n    before: {InstructionOracleTests.Describe(before[i], word)}"
                    + Describe(new ScalableRecord(scalableBefore.AsSpan(i * size, size), length), word);
            }
        }

        return failure != null ? $"{different} of {before.Length} differ, first {failure}" : done == 0 ? "no case ran to its end" : null;
    }

    private static string Describe(ScalableRecord record, uint word) =>
        $"\n      zd {record.Describe((int)word & 31)}\n      zn {record.Describe((int)(word >> 5) & 31)}"
        + $"\n      zm {record.Describe((int)(word >> 16) & 31)}\n      pg {record.DescribePredicate((int)(word >> 10) & 7)}"
        + $"\n      pn {record.DescribePredicate((int)(word >> 5) & 15)}\n      pm {record.DescribePredicate((int)(word >> 16) & 15)}"
        + $"\n      pd {record.DescribePredicate((int)word & 15)}\n      ffr {record.DescribePredicate(16)}";
}
