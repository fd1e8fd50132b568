using System.Runtime.InteropServices;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu;

/// <summary>
/// The engine of one possible vCPU: architectural state and the loop that executes instructions. It exists, passive, for a
/// disabled CPU too; translations and other execution state are made when it is enabled.
/// <para>Threads: <see cref="Run"/> and everything that reads or writes state belong to one thread at a time, the owner;
/// <see cref="RequestExit"/> and <see cref="Interrupts"/> are for all.</para>
/// </summary>
public sealed unsafe partial class VcpuCore : IDisposable
{
    private readonly CodeCache _code;
    private CpuState* _state;

    public VcpuCore(CpuIndex index, CpuModel model, PhysicalAddressSpace bus, CodeCache code)
    {
        Index = index;
        Mpidr = Mpidr.FromIndex(index);
        Model = model;
        Bus = bus;
        _code = code;
        _state = (CpuState*)NativeMemory.AlignedAlloc((nuint)sizeof(CpuState), 64);
        NativeMemory.Clear(_state, (nuint)sizeof(CpuState));
        Interrupts = new CpuInterruptWord(_state);
    }

    public CpuIndex Index { get; }

    public Mpidr Mpidr { get; }

    public CpuModel Model { get; }

    public PhysicalAddressSpace Bus { get; }

    public CpuInterruptWord Interrupts { get; }

    /// <summary>The architectural state. Owner only, except <see cref="CpuState.Attention"/>.</summary>
    public CpuState* State => _state;

    /// <summary>Why the last <see cref="Run"/> returned; a handler that returns null has set it.</summary>
    internal VcpuExit ExitReason { get; set; }

    /// <summary>Instructions executed since creation. Owner only.</summary>
    public long InstructionCount { get; private set; }

    /// <summary>Executes from <see cref="CpuState.Pc"/> until the budget, in instructions, is spent or something else needs the owner.</summary>
    public VcpuExit Run(long budget)
    {
        CpuState* s = _state;
        s->Remaining = budget;
        do
        {
            _leaving = true;
            Op* op = EnterAt(s->Pc);
            while (op != null)
            {
                op = op->Handler(this, s, op);
            }
        }
        while (!_leaving);
        InstructionCount += budget - s->Remaining;
        return ExitReason;
    }

    /// <summary>Makes <see cref="Run"/> return <see cref="VcpuExit.Requested"/> soon, or at once when it is next called. Any thread.</summary>
    public void RequestExit() => Interrupts.Raise(AttentionBits.Exit);

    public void Dispose()
    {
        NativeMemory.AlignedFree(_state);
        _state = null;
    }
}
