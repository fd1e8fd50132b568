using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Engines;

/// <summary>A way to execute instructions. A vCPU has one for as long as it exists. Owner: the vCPU's thread.</summary>
internal unsafe interface IEngine : IDisposable
{
    /// <summary>Whether the owner's thread is in translated code, or about to look whether it may enter. Any thread.</summary>
    bool InTranslatedCode { get; }

    /// <summary>Executes from an op that <see cref="VcpuCore.EnterAt"/> gave; returns when the run loop is to be left.</summary>
    void Run(CpuState* s, Op* op);

    /// <summary>Before the vCPU executes: in lockstep one vCPU executes at a time.</summary>
    void TakeTurn();

    /// <summary>While the vCPU does not execute, or waits for others that do.</summary>
    void GiveTurn();

    /// <summary>When the run loop is left, also by an exception of ours.</summary>
    void Abandon();
}
