using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Engines;

/// <summary>The interpreter: each op of a page names its handler, which returns the next.</summary>
internal sealed unsafe class InterpreterEngine(VcpuCore core) : IEngine
{
    public bool InTranslatedCode => false;

    public void Run(CpuState* s, Op* op)
    {
        while (op != null)
        {
            op = op->Handler(core, s, op);
        }
    }

    public void TakeTurn()
    {
    }

    public void GiveTurn()
    {
    }

    public void Abandon()
    {
    }

    public void Dispose()
    {
    }
}
