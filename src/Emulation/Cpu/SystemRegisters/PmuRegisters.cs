using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.PerformanceMonitors;

namespace Vmm.Emulation.Cpu.SystemRegisters;

/// <summary>The performance monitors (Arm ARM D24.5); EL0 access by PMUSERENR_EL0.</summary>
internal static unsafe class PmuRegisters
{
    private delegate ulong ReadPmu(Pmu pmu);

    private delegate void WritePmu(Pmu pmu, ulong value);

    public static void Add(AddRow row)
    {
        row(3, 3, 9, 12, 0, User("PMCR_EL0", p => p.Control, (p, v) => p.Control = v));
        row(3, 3, 9, 12, 1, User("PMCNTENSET_EL0", p => p.Enabled, (p, v) => p.Enabled |= (uint)v));
        row(3, 3, 9, 12, 2, User("PMCNTENCLR_EL0", p => p.Enabled, (p, v) => p.Enabled &= ~(uint)v));
        row(3, 3, 9, 12, 3, User("PMOVSCLR_EL0", p => p.Overflows, (p, v) => p.Overflows &= ~(uint)v));
        row(3, 3, 9, 12, 4, User("PMSWINC_EL0", null, (p, v) => p.Increment((uint)v), toWrite: PmuSpec.UserIncrement));
        row(3, 3, 9, 12, 5, User("PMSELR_EL0", p => (ulong)p.Selected, (p, v) => p.Selected = (int)v, PmuSpec.UserEvents,
            PmuSpec.UserEvents));
        row(3, 3, 9, 12, 6, Events("PMCEID0_EL0", 0));
        row(3, 3, 9, 12, 7, Events("PMCEID1_EL0", 1));
        row(3, 3, 9, 13, 0, Counter("PMCCNTR_EL0", _ => PmuSpec.CycleCounter, PmuSpec.UserCycles));
        row(3, 3, 9, 13, 1, Type("PMXEVTYPER_EL0", p => p.Selected));
        row(3, 3, 9, 13, 2, Counter("PMXEVCNTR_EL0", p => p.Selected == PmuSpec.CycleCounter ? -1 : p.Selected, PmuSpec.UserEvents));
        row(3, 3, 9, 14, 0,
            Register("PMUSERENR_EL0", p => p.UserEnable, (p, v) => p.UserEnable = v & 0xF) with { El0Read = true, El0Write = false });
        row(3, 3, 9, 14, 3, User("PMOVSSET_EL0", p => p.Overflows, (p, v) => p.Overflows |= (uint)v));
        row(3, 0, 9, 14, 1, Register("PMINTENSET_EL1", p => p.InterruptEnables, (p, v) => p.InterruptEnables |= (uint)v));
        row(3, 0, 9, 14, 2, Register("PMINTENCLR_EL1", p => p.InterruptEnables, (p, v) => p.InterruptEnables &= ~(uint)v));
        row(3, 0, 9, 14, 6, Register("PMMIR_EL1", _ => 0, null) with { Feature = Feature.Pmuv3p5 });
        for (int i = 0; i < PmuSpec.EventCounters; i++)
        {
            int number = i;
            row(3, 3, 14, 8, i, Counter($"PMEVCNTR{i}_EL0", _ => number, PmuSpec.UserEvents));
            row(3, 3, 14, 12, i, Type($"PMEVTYPER{i}_EL0", _ => number));
        }

        row(3, 3, 14, 15, 7, Type("PMCCFILTR_EL0", _ => PmuSpec.CycleCounter));
    }

    private static SystemRegister Counter(string name, Func<Pmu, int> number, ulong toRead) =>
        User(name, p => p.ReadCounter(number(p)), (p, v) => p.WriteCounter(number(p), v), toRead);

    private static SystemRegister Type(string name, Func<Pmu, int> number) =>
        User(name, p => p.ReadType(number(p)), (p, v) => p.WriteType(number(p), v));

    private static SystemRegister Events(string name, int register) =>
        User(name, null, null) with { Read = (core, _) => PmuSpec.EventsOf(core.Model, register), El0Read = true };

    // A register that EL0 has where PMUSERENR_EL0 gives it all of them, or has one of the bits toRead or toWrite.
    private static SystemRegister User(string name, ReadPmu? read, WritePmu? write, ulong toRead = 0, ulong toWrite = 0) =>
        Register(name, read, write) with
        {
            El0Read = read != null,
            El0Write = write != null,
            TrapEl0 = (core, _, writes) => (core.Pmu!.UserEnable & (PmuSpec.UserAll | (writes ? toWrite : toRead))) == 0,
        };

    private static SystemRegister Register(string name, ReadPmu? read, WritePmu? write) => new(
        name,
        read == null ? null : (core, _) => read(core.Pmu!),
        write == null ? null : (core, _, v) => write(core.Pmu!, v))
    {
        Part = core => core.Pmu,
        CountsInstructions = true,
    };
}
