using Vmm.Emulation.State;

namespace Vmm.Emulation.Cpu.PerformanceMonitors;

/// <content>Saved state. The vCPU is loaded before; its figures go on from there.</content>
public sealed partial class Pmu
{
    /// <summary>The unit of the performance monitors of one CPU.</summary>
    internal IStateUnit StateUnitOf(CpuIndex cpu) => new Unit(this, $"pmu-{cpu}");

    // Between runs the counters are as the end of the last run has left them.
    private sealed class Unit(Pmu pmu, string id) : IStateUnit
    {
        public string Id => id;

        public void Save(StateWriter writer)
        {
            writer.Write("pmcr_el0", pmu._control);
            writer.Write("pmcnten", pmu._enabled);
            writer.Write("pminten", pmu._interrupts);
            writer.Write("pmovs", pmu._overflows);
            writer.Write("pmselr_el0", pmu._selected);
            writer.Write("pmuserenr_el0", pmu.UserEnable);
            writer.Write<uint>("types", [.. pmu._counters.Select(c => c.Type)]);
            writer.Write<ulong>("counters", [.. pmu._counters.Select(c => c.Value)]);
        }

        public void Load(StateReader reader)
        {
            ulong control = reader.Read<ulong>("pmcr_el0");
            uint enabled = reader.Read<uint>("pmcnten");
            uint interrupts = reader.Read<uint>("pminten");
            uint overflows = reader.Read<uint>("pmovs");
            int selected = reader.Read<int>("pmselr_el0");
            ulong user = reader.Read<ulong>("pmuserenr_el0");
            uint[] types = new uint[pmu._counters.Length];
            ulong[] values = new ulong[types.Length];
            reader.Read<uint>("types", types);
            reader.Read<ulong>("counters", values);

            // By the registers, which take no more than they hold.
            pmu.Reset();
            foreach ((Counter counter, int i) in pmu._counters.Select((c, i) => (c, i)))
            {
                pmu.WriteType(counter.Bit, types[i]);
                pmu.WriteCounter(counter.Bit, values[i]);
            }

            pmu.Selected = selected;
            pmu.UserEnable = user & (PmuSpec.UserAll | PmuSpec.UserIncrement | PmuSpec.UserCycles | PmuSpec.UserEvents);
            pmu.Enabled = enabled;
            pmu.InterruptEnables = interrupts;
            pmu.Overflows = overflows;
            pmu.Control = control & ~(PmuSpec.ResetCycles | PmuSpec.ResetEvents);
        }
    }
}
