using Vmm.Emulation.Cpu.SystemRegisters;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Cpu.MemoryTagging;

/// <summary>The saved registers of memory tagging of one CPU. Machines without tags have no such unit.</summary>
internal sealed unsafe class TaggingUnit(VcpuCore core) : IStateUnit
{
    public string Id => $"memory-tagging-{core.Index}";

    public void Save(StateWriter writer)
    {
        CpuState* s = core.State;
        writer.Write("gcr_el1", s->GcrEl1);
        writer.Write("rgsr_el1", s->RgsrEl1);
        writer.Write("tfsr_el1", s->TfsrEl1);
        writer.Write("tfsre0_el1", s->Tfsre0El1);
    }

    public void Load(StateReader reader)
    {
        CpuState* s = core.State;
        s->GcrEl1 = reader.Read<ulong>("gcr_el1") & TaggingRegisters.GcrMask;
        s->RgsrEl1 = reader.Read<ulong>("rgsr_el1") & TaggingRegisters.RgsrMask;
        s->TfsrEl1 = reader.Read<ulong>("tfsr_el1") & TaggingRegisters.TfsrMask;
        s->Tfsre0El1 = reader.Read<ulong>("tfsre0_el1") & TaggingRegisters.TfsrMask;
    }
}
