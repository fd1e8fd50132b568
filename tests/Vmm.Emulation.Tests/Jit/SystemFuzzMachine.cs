using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Tests.InstructionOracle;

namespace Vmm.Emulation.Tests.Jit;

/// <summary>
/// One vCPU with the MMU on, for the system fuzzer. 2 MiB of its memory are mapped at their physical address for EL1: vectors
/// (<c>fuzz-vectors.S</c>), their log and the tables; behind them 16 pages of data, each mapped in its own way, two pages of code, and
/// these once more, writable.
/// </summary>
internal sealed unsafe class SystemFuzzMachine : IDisposable
{
    public const ulong Data = 0x4020_0000;
    public const int DataPages = 16;
    public const int DataSize = DataPages * GuestMemory.PageSize;
    public const ulong Code = 0x4040_0000;
    public const int CodePages = 2;
    public const ulong DataTable = Tables + 0x2000;

    // The longest vectors of SVE.
    private const int VectorBytes = 32;

    private const ulong Ram = 0x4000_0000;
    private const ulong RamSize = 2 << 20;
    private const ulong Alias = 0x4060_0000;
    private const ulong Log = Ram + 0x2000;
    private const ulong Tables = Ram + 0x1_0000;
    private const ulong DataFrames = Ram + 0x10_0000;
    private const ulong CodeFrames = Ram + 0x18_0000;

    // Descriptor bits (Arm ARM D8.3): a page; AF and inner shareable; AP[1], for EL0; AP[2], read-only; memory of MAIR attribute 1; PXN;
    // UXN.
    private const ulong Page = 3;
    private const ulong Normal = (1 << 10) | (3 << 8);
    private const ulong El0 = 1 << 6;
    private const ulong ReadOnly = 1 << 7;
    private const ulong Device = 1 << 2;
    private const ulong Tagged = 2 << 2;
    private const ulong Pxn = 1ul << 53;
    private const ulong Uxn = 1ul << 54;

    private readonly GuestMemory _memory = new(new GuestPhysicalAddress(Ram), RamSize);
    private readonly TagMemory _tags;
    private readonly CodeCache _code;
    private readonly TranslationCache? _translations;
    private readonly VcpuCore _core;

    public SystemFuzzMachine(Accelerator accelerator, ReadOnlySpan<byte> vectors)
    {
        CpuModel model = ScalableModels.Longest(VectorBytes).WithMemoryTags();
        _tags = _memory.Tags = new TagMemory(_memory);
        var bus = new PhysicalAddressSpace();
        bus.AddMemory(_memory);
        _code = new CodeCache(model);
        _translations = accelerator == Accelerator.Interpreter
            ? null
            : TranslationCache.TryCreate(_code, 4 << 20, lockstep: accelerator == Accelerator.Lockstep, cold: 0);
        _core = new VcpuCore(new CpuIndex(0), model, bus, _code, _translations);
        _core.Enable();
        vectors.CopyTo(Bytes(Ram, vectors.Length));
    }

    public CpuState* State => _core.State;

    /// <summary>
    /// A descriptor of a page of data, mostly as the program wants it. Else the page is not mapped, read-only, another exception level's,
    /// device memory, memory with tags, or without the access flag.
    /// </summary>
    public static ulong RandomDescriptor(CaseGenerator random, int page, bool el1)
    {
        ulong frame = DataFrames + ((ulong)page * GuestMemory.PageSize);
        ulong full = frame | FullAccess(el1);
        return random.Next(12) switch
        {
            0 => 0,
            1 => full | ReadOnly,
            2 => full ^ El0,
            3 => full | Device,
            4 => full & ~(1ul << 10),
            5 => full | (1ul << 11),
            6 or 7 => full | Tagged,
            _ => full,
        };
    }

    private static ulong FullAccess(bool el1) => Page | Normal | Pxn | Uxn | (el1 ? 0 : El0);

    private static ulong Executable(bool el1) => Page | Normal | (el1 ? Uxn : Pxn | El0);

    /// <summary>Memory and state before a program; all from the generator.</summary>
    public void Prepare(CaseGenerator random, bool el1, ReadOnlySpan<uint> program)
    {
        Bytes(Log, GuestMemory.PageSize).Clear();
        Word(Log + 8) = FullAccess(el1);
        Word(Log + 48) = Executable(el1);
        Bytes(Tables, 5 * GuestMemory.PageSize).Clear();
        Word(Tables + 8) = (Tables + 0x1000) | 3;
        Word(Tables + 0x1000) = Ram | Normal | Uxn | 1;
        for (ulong i = 1; i < 4; i++)
        {
            Word(Tables + 0x1000 + (i * 8)) = (Tables + 0x1000 + (i * 0x1000)) | 3;
        }

        var contents = new Random(random.Next(int.MaxValue));
        contents.NextBytes(Bytes(DataFrames, DataSize));
        for (int i = 0; i < DataPages; i++)
        {
            Word(DataTable + ((ulong)i * 8)) = RandomDescriptor(random, i, el1);
        }

        ulong start = Code
            + (ulong)(((random.Next(4) == 0 ? GuestMemory.PageSize / 4 : GuestMemory.PageSize / 4 - random.Next(program.Length)) - 1) * 4);
        Span<uint> code = MemoryMarshal.Cast<byte, uint>(Bytes(CodeFrames, CodePages * GuestMemory.PageSize));
        code.Fill(0xD503_207F);
        program.CopyTo(code[(int)((start - Code) / 4)..]);
        for (int i = 0; i < CodePages; i++)
        {
            ulong frame = CodeFrames + ((ulong)i * GuestMemory.PageSize);
            Word(Tables + 0x3000 + ((ulong)i * 8)) = random.Next(4) == 0 ? frame | FullAccess(el1) : frame | Executable(el1);
            Word(Tables + 0x4000 + ((ulong)i * 8)) = random.Next(8) == 0 ? 0 : frame | FullAccess(el1);
        }

        // All tags are that of the base register, but for one in sixteen.
        int tag = random.Next(3) == 0 ? random.Next(16) : 0;
        _tags.Clear();
        for (int at = 0; at < DataSize; at += TagMemory.Granule)
        {
            SetTag(at, contents.Next(16) == 0 ? contents.Next(16) : tag);
        }

        _code.Clear();

        random.State(0, 0, memory: false, floatingPoint: true, out OracleRecord record);
        _core.Reset(start, 0);
        CpuState* s = _core.State;
        s->VbarEl1 = Ram;
        s->MairEl1 = 0xF0_04FF;
        s->TcrEl1 = 25 | (1ul << 23) | (tag != 0 || random.Next(2) == 0 ? 1ul << 37 : 0);
        s->Ttbr0El1 = Tables;
        s->SctlrEl1 = Sctlr.Reset | Sctlr.M | Sctlr.Uci | Sctlr.Uct | Sctlr.Dze | Sctlr.NTwe | Sctlr.NTwi | Sctlr.Span
            | (random.Next(6) == 0 ? Sctlr.A : 0) | (random.Next(3) == 0 ? Sctlr.Sa | Sctlr.Sa0 : 0);
        s->SctlrEl1 |= ((ulong)random.Next(4) << 38) | ((ulong)random.Next(4) << 40) | (random.Next(4) != 0 ? Sctlr.Ata | Sctlr.Ata0 : 0);
        s->RgsrEl1 = (ulong)random.Next(1 << 16) << 8;
        s->GcrEl1 = (ulong)random.Next(1 << 16);
        s->CpacrEl1 = (random.Next(8) == 0 ? 1ul << 20 : 3ul << 20) | (random.Next(8) == 0 ? 1ul << 16 : 3ul << 16);
        byte[] vectors = new byte[ScalableRecord.Size(VectorBytes)];
        var scalable = new ScalableRecord(vectors, VectorBytes);
        new ScalableCaseGenerator(random.Next(int.MaxValue), VectorBytes).Registers(ref record, scalable);
        _core.Scalable!.SetZcr(1);
        scalable.CopyTo(s, _core.Scalable);
        _core.Scalable.SetZcr((ulong)random.Next(2));
        _core.Mmu.SwitchContext();
        _core.Mmu.Flush();
        _core.SetPstate(Pstate.DaifMask | (el1 ? Pstate.ModeEl1h : Pstate.ModeEl0t));
        new Span<ulong>(record.X, 31).CopyTo(new Span<ulong>(s->X, 31));
        s->X[ProgramGenerator.Base] = Data | ((ulong)tag << 56);
        s->X[ProgramGenerator.Counter] = 4;
        s->X[CpuState.Sp] = Data + (ulong)random.Next(DataSize);
        s->Nzcv = (uint)record.Pstate;
        s->Fpcr = random.Next(2) == 0 ? 0 : record.Fpcr;
        s->Fpsr = random.Next(2) == 0 ? record.Fpsr | 0x10 : record.Fpsr;
    }

    public VcpuExit Run(long budget) => _core.Run(budget);

    /// <summary>Exceptions that the vectors have logged.</summary>
    public int Exceptions => (int)Word(Log);

    /// <summary>What this machine and another differ in, this one first; empty when nothing.</summary>
    public string Difference(SystemFuzzMachine other)
    {
        var text = new StringBuilder();
        CpuState* a = State;
        CpuState* b = other.State;
        for (int i = 0; i < 31; i++)
        {
            Differ(text, $"X{i}", a->X[i], b->X[i]);
        }

        for (int i = 0; i < 64; i++)
        {
            Differ(text, $"V{i / 2}.D[{i & 1}]", a->V[i], b->V[i]);
        }

        text.Append(DescribeScalable(other));
        Differ(text, "SP", a->X[CpuState.Sp], b->X[CpuState.Sp]);
        Differ(text, "PC", a->Pc, b->Pc);
        Differ(text, "PSTATE", _core.SavedPstate, other._core.SavedPstate);
        Differ(text, "FPSR", a->Fpsr, b->Fpsr);
        Differ(text, "FPCR", a->Fpcr, b->Fpcr);
        Differ(text, "ESR_EL1", a->EsrEl1, b->EsrEl1);
        Differ(text, "FAR_EL1", a->FarEl1, b->FarEl1);
        Differ(text, "ELR_EL1", a->ElrEl1, b->ElrEl1);
        Differ(text, "PAR_EL1", a->ParEl1, b->ParEl1);
        Differ(text, "RGSR_EL1", a->RgsrEl1, b->RgsrEl1);
        Differ(text, "TFSR_EL1", a->TfsrEl1, b->TfsrEl1);
        Differ(text, "TFSRE0_EL1", a->Tfsre0El1, b->Tfsre0El1);
        for (int at = 0; at < DataSize; at += TagMemory.Granule)
        {
            Differ(text, $"tag of data+{at:x}", (ulong)TagAt(at), (ulong)other.TagAt(at));
        }


        // NZCV that nobody reads is not kept.
        Differ(text, "SPSR_EL1", a->SpsrEl1 & 0x0FFF_FFFF, b->SpsrEl1 & 0x0FFF_FFFF);
        ReadOnlySpan<byte> ours = Bytes(Ram, (int)RamSize);
        ReadOnlySpan<byte> theirs = other.Bytes(Ram, (int)RamSize);
        for (int at = ours.CommonPrefixLength(theirs), lines = 0; at < ours.Length && lines < 40; lines++)
        {
            Differ(text, $"[{Ram + (ulong)at:x}]", ours[at], theirs[at]);
            at += 1 + ours[(at + 1)..].CommonPrefixLength(theirs[(at + 1)..]);
        }

        return text.ToString();
    }

    private string DescribeScalable(SystemFuzzMachine other)
    {
        int length = _core.Scalable!.Length;
        var ours = new ScalableRecord(new byte[ScalableRecord.Size(length)], length);
        var theirs = new ScalableRecord(new byte[ScalableRecord.Size(length)], length);
        ours.CopyFrom(State, _core.Scalable);
        theirs.CopyFrom(other.State, other._core.Scalable!);
        return ours.Difference(theirs);
    }

    /// <summary>The instructions in both pages of code that are not filling.</summary>
    public string List(ulong start, int count) =>
        FuzzRun.List(MemoryMarshal.Cast<byte, uint>(Bytes(CodeFrames, CodePages * GuestMemory.PageSize))
            .Slice((int)((start - Code) / 4), count), start);

    private int TagAt(int data) => _tags[_memory.Host + (DataFrames - Ram) + data];

    private void SetTag(int data, int tag) => _tags[_memory.Host + (DataFrames - Ram) + data] = tag;

    private Span<byte> Bytes(ulong physical, int length) => _memory.Span(new GuestPhysicalAddress(physical), length);

    private ref ulong Word(ulong physical) => ref MemoryMarshal.AsRef<ulong>(Bytes(physical, 8));

    private static void Differ(StringBuilder text, string name, ulong ours, ulong theirs)
    {
        if (ours != theirs)
        {
            text.Append(CultureInfo.InvariantCulture, $"  {name}: JIT {ours:x}, interpreter {theirs:x}\n");
        }
    }

    public void Dispose()
    {
        _core.Dispose();
        _translations?.Dispose();
        _memory.Dispose();
    }
}
