using System.Runtime.Intrinsics.X86;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Jit.Plan;

namespace Vmm.Emulation.Cpu.Jit.X64;

/// <summary>The back end for x86-64.</summary>
internal sealed unsafe class X64Backend : IHostBackend
{
    private const int MaxBytesOfInstruction = 2048;

    private readonly Thunks _thunks;
    private readonly BlockEmitter _emitter;

    /// <param name="start">Where the thunks go.</param>
    /// <param name="lockstep">What stores overwrite is logged.</param>
    /// <param name="model">The model of the CPUs.</param>
    public X64Backend(byte* start, bool lockstep, CpuModel model)
    {
        _thunks = new Thunks(start);
        _emitter = new BlockEmitter(_thunks, lockstep, model);
    }

    /// <summary>LZCNT, BMI1, BMI2, AVX2 and FMA3.</summary>
    public static bool IsSupported => Bmi1.X64.IsSupported && Bmi2.X64.IsSupported && Lzcnt.X64.IsSupported
        && Avx2.IsSupported && Fma.IsSupported;

    public byte* Enter => _thunks.Enter;

    public byte* ThunksEnd => _thunks.End;

    public IReadOnlyList<NamedCode> Thunks => _thunks.Names;

    public int MaxBytes => BlockPlan.MaxLength * MaxBytesOfInstruction;

    public int CallLength => X64.Thunks.CallLength;

    public bool CanEmit(int row) => EmitterTable.Has(row);

    public void Emit(BlockPlan plan, CodeSpace space) => _emitter.Emit(plan, space);

    public InstructionCode Describe(int index) => _emitter.Describe(index);

    public void CloseEntry(byte* entry) => BlockEmitter.CloseEntry(entry);

    // A jump is given by its displacement: four bytes, from their end.
    public byte* TargetOf(byte* jump) => jump + sizeof(int) + *(int*)jump;

    public int Link(byte* jump, byte* target)
    {
        int original = *(int*)jump;
        Volatile.Write(ref *(int*)jump, (int)(target - (jump + sizeof(int))));
        return original;
    }

    public void Unlink(byte* jump, int original) => Volatile.Write(ref *(int*)jump, original);

    public void Disassemble(byte* start, byte* end, nint executableOffset, CodeLine write) =>
        HostDisassembler.Disassemble(_thunks, start, end, executableOffset, write);
}
