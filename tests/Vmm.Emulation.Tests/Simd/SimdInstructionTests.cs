using System.Text;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Decoding.Tables;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Simd;

/// <summary>Every SIMD integer row against QEMU's user mode: random fields, random and extreme lanes, all state compared.</summary>
public sealed unsafe class SimdInstructionTests : IDisposable
{
    private const int CasesPerRow = 100;
    private const int MaximumReports = 40;

    private readonly GuestMemory _memory = new(new GuestPhysicalAddress(InstructionRecord.MemoryAddress), 64 * 1024);
    private readonly VcpuCore _core;
    private readonly TlbEntry[] _tlb = GC.AllocateArray<TlbEntry>(TlbEntry.Count, pinned: true);

    public SimdInstructionTests()
    {
        var bus = new PhysicalAddressSpace();
        bus.AddMemory(_memory);
        CpuModel model = CpuModel.Find("max")!;
        _core = new VcpuCore(new CpuIndex(0), model, bus, new CodeCache(model));
        for (int i = 0; i < _tlb.Length; i++)
        {
            _tlb[i].ReadTag = TlbEntry.Invalid;
            _tlb[i].WriteTag = TlbEntry.Invalid;
        }

        for (ulong page = 0; page < 16; page++)
        {
            ulong va = InstructionRecord.MemoryAddress + (page * GuestMemory.PageSize);
            ref TlbEntry entry = ref _tlb[(va >> GuestMemory.PageShift) & (TlbEntry.Count - 1)];
            entry.ReadTag = va;
            entry.WriteTag = va;
            entry.Addend = (nint)_memory.Host - (nint)InstructionRecord.MemoryAddress;
        }
    }

    public void Dispose()
    {
        _core.Dispose();
        _memory.Dispose();
    }

    [Theory]
    [InlineData(nameof(SimdInteger))]
    [InlineData(nameof(SimdShift))]
    [InlineData(nameof(SimdMove))]
    [InlineData(nameof(SimdCryptography))]
    [InlineData(nameof(SimdLoadsAndStores))]
    [InlineData(nameof(SimdStructureLoadsAndStores))]
    public void Simd_rows_execute_as_in_qemu(string table)
    {
        EncodingRow[] rows = Rows(table);
        var random = new Random(table.Length);
        var cases = new List<InstructionRecord>();
        foreach (EncodingRow row in rows.Where(r => !r.Mnemonic.Contains("literal", StringComparison.Ordinal)))
        {
            for (int n = 0; n < CasesPerRow;)
            {
                uint word = RestrictRegisters(row, ((uint)random.NextInt64() & ~row.Mask) | row.Value);
                if (row.Matches(word))
                {
                    cases.Add(RandomRecord(random, word, row.AccessesMemory));
                    n++;
                }
            }
        }

        InstructionRecord[] before = [.. cases];
        InstructionRecord[] expected = QemuRunner.Run(before);
        var report = new StringBuilder();
        var failedRows = new HashSet<string>();
        for (int i = 0; i < before.Length; i++)
        {
            EncodingRow row = EncodingTable.Rows[EncodingTable.Find(before[i].Word)];
            InstructionRecord actual = Execute(row, before[i]);
            string difference = Difference(before[i], expected[i], actual);
            if (difference.Length != 0 && failedRows.Add(row.Mnemonic) && failedRows.Count <= MaximumReports)
            {
                report.AppendLine($"{before[i].Word:x8} {row.Mnemonic}: {difference}");
            }
        }

        Assert.True(failedRows.Count == 0, $"{failedRows.Count} of {rows.Length} rows differ:\n{report}");
    }

    [Theory]
    [InlineData(nameof(SimdInteger))]
    [InlineData(nameof(SimdShift))]
    [InlineData(nameof(SimdMove))]
    [InlineData(nameof(SimdStructureLoadsAndStores))]
    public void Simd_reserved_field_values_are_undefined_in_qemu_too(string table)
    {
        var random = new Random(table.Length);
        var cases = new List<InstructionRecord>();
        foreach (EncodingRow row in Rows(table))
        {
            foreach ((uint mask, uint value) in row.Except)
            {
                for (int n = 0; n < 20; n++)
                {
                    uint word = RestrictRegisters(row, ((uint)random.NextInt64() & ~mask) | value);
                    if (EncodingTable.Find(word) < 0)
                    {
                        cases.Add(RandomRecord(random, word, memory: false));
                    }
                }
            }
        }

        InstructionRecord[] before = [.. cases];
        InstructionRecord[] after = QemuRunner.Run(before);
        string[] defined = [.. before.Where((_, i) => after[i].Undefined == 0).Select(r => r.Word.ToString("x8")).Distinct().Take(20)];
        Assert.True(defined.Length == 0, string.Join(' ', defined));
    }

    private static EncodingRow[] Rows(string table) => table switch
    {
        nameof(SimdInteger) => SimdInteger.Rows,
        nameof(SimdShift) => SimdShift.Rows,
        nameof(SimdMove) => SimdMove.Rows,
        nameof(SimdCryptography) => SimdCryptography.Rows,
        nameof(SimdLoadsAndStores) => SimdLoadsAndStores.Rows,
        _ => SimdStructureLoadsAndStores.Rows,
    };

    // The runner keeps X16 and up for itself: general registers are X0–X15 or 31.
    private static uint RestrictRegisters(EncodingRow row, uint word)
    {
        if (row.AccessesMemory)
        {
            bool hasIndex = row.Mnemonic.Contains("structure", StringComparison.Ordinal)
                || row.Mnemonic.Contains("R post", StringComparison.Ordinal)
                || row.Mnemonic.Contains("register offset", StringComparison.Ordinal);
            word = Restrict(word, 5);
            return hasIndex && (row.Mask & (31u << 16)) == 0 ? Restrict(word, 16) : word;
        }

        return row.Mnemonic switch
        {
            "DUP (general)" or "INS (general)" => Restrict(word, 5),
            "SMOV 32" or "SMOV 64" or "UMOV 32" or "UMOV 64" => Restrict(word, 0),
            _ => word,
        };
    }

    private static uint Restrict(uint word, int shift)
    {
        uint register = (word >> shift) & 31;
        return register == 31 ? word : word & ~(16u << shift);
    }

    private static InstructionRecord RandomRecord(Random random, uint word, bool memory)
    {
        InstructionRecord record = default;
        record.Word = word;
        record.Sp = InstructionRecord.MemoryAddress + 32 * 1024;
        for (int i = 0; i < 16; i++)
        {
            record.X[i] = (ulong)random.NextInt64(long.MinValue, long.MaxValue);
        }

        for (int i = 0; i < 64; i++)
        {
            record.V[i] = RandomLanes(random);
        }

        if (memory)
        {
            PlaceAddress(random, ref record);
        }

        for (int i = 0; i < InstructionRecord.MemorySize; i++)
        {
            record.Memory[i] = (byte)random.Next();
        }

        return record;
    }

    // A base such that the access lies in the record's memory; offsets are undone in the base, index registers kept small.
    private static void PlaceAddress(Random random, ref InstructionRecord record)
    {
        uint word = record.Word;
        ulong middle = InstructionRecord.MemoryAddress + 448 + (ulong)(random.Next(0, 8) * 16);
        int baseRegister = (int)(word >> 5) & 31;
        EncodingRow row = EncodingTable.Rows[EncodingTable.Find(word)];
        Op op = default;
        op.Word = word;
        row.Form(&op);
        if (row.Mnemonic.Contains("register offset", StringComparison.Ordinal))
        {
            int index = (int)(word >> 16) & 31;
            ulong offset = (ulong)random.Next(0, 8);
            if (index < 16)
            {
                record.X[index] = offset;
            }

            if (index == baseRegister && index < 16)
            {
                // Base and index in one: only an unsigned byte index keeps the sum where the memory is.
                record.Word = Restrict((word & ~(31u << 16)) | (31u << 16), 16);
            }
        }
        else if (row.Mnemonic.Contains("unsigned offset", StringComparison.Ordinal)
            || row.Mnemonic.Contains("signed offset", StringComparison.Ordinal)
            || row.Mnemonic.Contains("pre-index", StringComparison.Ordinal)
            || row.Mnemonic.Contains("UR", StringComparison.Ordinal)
            || row.Mnemonic.Contains("NP", StringComparison.Ordinal))
        {
            middle -= op.Imm;
        }

        if (baseRegister == 31)
        {
            record.Sp = middle & ~15ul;
        }
        else
        {
            record.X[baseRegister] = middle + (ulong)random.Next(0, 2);
        }
    }

    // Lanes of mixed sizes with many extremes, so that saturation, equality and shifts by all amounts happen.
    private static ulong RandomLanes(Random random)
    {
        int size = 1 << random.Next(0, 4);
        ulong value = 0;
        for (int i = 0; i < 8; i += size)
        {
            ulong sign = 1ul << ((8 * size) - 1);
            ulong lane = random.Next(0, 8) switch
            {
                0 => 0,
                1 => sign,
                2 => sign - 1,
                3 => ulong.MaxValue,
                4 => (ulong)random.Next(-70, 70),
                _ => (ulong)random.NextInt64(long.MinValue, long.MaxValue),
            };
            value |= (size == 8 ? lane : lane & ((1ul << (8 * size)) - 1)) << (8 * i);
        }

        return value;
    }

    private InstructionRecord Execute(EncodingRow row, InstructionRecord record)
    {
        CpuState* s = _core.State;
        for (int i = 0; i < 16; i++)
        {
            s->X[i] = record.X[i];
        }

        s->X[CpuState.Sp] = record.Sp;
        for (int i = 0; i < 64; i++)
        {
            s->V[i] = record.V[i];
        }

        s->Fpsr = (uint)record.Fpsr;
        new ReadOnlySpan<byte>(record.Memory, InstructionRecord.MemorySize)
            .CopyTo(new Span<byte>(_memory.Host, InstructionRecord.MemorySize));
        fixed (TlbEntry* tlb = _tlb)
        {
            s->Tlb = tlb;
            Op op = default;
            op.Word = record.Word;
            row.Form(&op);
            Op* next = row.Handler(_core, s, &op);
            record.Undefined = next == &op + 1 ? 0u : 2u;
            s->Tlb = null;
        }

        for (int i = 0; i < 16; i++)
        {
            record.X[i] = s->X[i];
        }

        record.Sp = s->X[CpuState.Sp];
        for (int i = 0; i < 64; i++)
        {
            record.V[i] = s->V[i];
        }

        record.Fpsr = s->Fpsr;
        new ReadOnlySpan<byte>(_memory.Host, InstructionRecord.MemorySize)
            .CopyTo(new Span<byte>(record.Memory, InstructionRecord.MemorySize));
        return record;
    }

    private static string Difference(InstructionRecord before, InstructionRecord expected, InstructionRecord actual)
    {
        if (expected.Undefined != actual.Undefined)
        {
            return expected.Undefined != 0 ? "undefined in QEMU" : "left the instruction stream";
        }

        if (expected.Fpsr != actual.Fpsr)
        {
            return $"FPSR {expected.Fpsr:x}, not {actual.Fpsr:x}";
        }

        if (expected.Sp != actual.Sp)
        {
            return $"SP {expected.Sp:x}, not {actual.Sp:x}";
        }

        for (int i = 0; i < 16; i++)
        {
            if (expected.X[i] != actual.X[i])
            {
                return $"X{i} {expected.X[i]:x}, not {actual.X[i]:x}";
            }
        }

        for (int i = 0; i < 64; i += 2)
        {
            if (expected.V[i] != actual.V[i] || expected.V[i + 1] != actual.V[i + 1])
            {
                int n = (int)(before.Word >> 5) & 31;
                int m = (int)(before.Word >> 16) & 31;
                return $"V{i / 2} {expected.V[i + 1]:x16}_{expected.V[i]:x16}, not {actual.V[i + 1]:x16}_{actual.V[i]:x16}; was "
                    + $"{before.V[i + 1]:x16}_{before.V[i]:x16}, n {before.V[(2 * n) + 1]:x16}_{before.V[2 * n]:x16}, "
                    + $"m {before.V[(2 * m) + 1]:x16}_{before.V[2 * m]:x16}";
            }
        }

        return new ReadOnlySpan<byte>(expected.Memory, InstructionRecord.MemorySize)
            .SequenceEqual(new ReadOnlySpan<byte>(actual.Memory, InstructionRecord.MemorySize)) ? "" : "memory";
    }
}
