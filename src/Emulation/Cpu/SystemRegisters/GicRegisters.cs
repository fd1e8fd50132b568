using Vmm.Emulation.Interrupts.GicV3;
using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Cpu.SystemRegisters;

/// <summary>The GIC CPU interface (IHI 0069, chapter 12.2).</summary>
internal static unsafe class GicRegisters
{
    private delegate ulong ReadGic(CpuInterface gic);

    private delegate void WriteGic(CpuInterface gic, ulong value);

    public static void Add(AddRow row)
    {
        row(3, 0, 4, 6, 0, Register("ICC_PMR_EL1", g => g.PriorityMaskRegister, (g, v) => g.PriorityMaskRegister = v));
        row(3, 0, 12, 8, 0, Register("ICC_IAR0_EL1", g => g.Acknowledge(false), null, "acknowledges"));
        row(3, 0, 12, 8, 1, Register("ICC_EOIR0_EL1", null, (g, v) => g.EndOfInterrupt(v, false), "ends"));
        row(3, 0, 12, 8, 2, Register("ICC_HPPIR0_EL1", g => g.HighestPending(false), null));
        row(3, 0, 12, 8, 3, Register("ICC_BPR0_EL1", g => g.BinaryPoint0, (g, v) => g.BinaryPoint0 = v));
        row(3, 0, 12, 8, 4, Register("ICC_AP0R0_EL1", g => g.ActivePriorities0, (g, v) => g.ActivePriorities0 = v));
        row(3, 0, 12, 9, 0, Register("ICC_AP1R0_EL1", g => g.ActivePriorities1, (g, v) => g.ActivePriorities1 = v));
        row(3, 0, 12, 11, 1, Register("ICC_DIR_EL1", null, (g, v) => g.Deactivate(v), "deactivates"));
        row(3, 0, 12, 11, 3, Register("ICC_RPR_EL1", g => g.RunningPriorityRegister, null));
        row(3, 0, 12, 11, 5, Register("ICC_SGI1R_EL1", null, (g, v) => g.SendSgi(v, true), "sends SGIs"));
        row(3, 0, 12, 11, 6, Register("ICC_ASGI1R_EL1", null, (g, v) => g.SendSgi(v, false), "sends SGIs"));
        row(3, 0, 12, 11, 7, Register("ICC_SGI0R_EL1", null, (g, v) => g.SendSgi(v, false), "sends SGIs"));
        row(3, 0, 12, 12, 0, Register("ICC_IAR1_EL1", g => g.Acknowledge(true), null, "acknowledges"));
        row(3, 0, 12, 12, 1, Register("ICC_EOIR1_EL1", null, (g, v) => g.EndOfInterrupt(v, true), "ends"));
        row(3, 0, 12, 12, 2, Register("ICC_HPPIR1_EL1", g => g.HighestPending(true), null));
        row(3, 0, 12, 12, 3, Register("ICC_BPR1_EL1", g => g.BinaryPoint1, (g, v) => g.BinaryPoint1 = v));
        row(3, 0, 12, 12, 4, Register("ICC_CTLR_EL1", g => g.Control, (g, v) => g.Control = v));
        row(3, 0, 12, 12, 5, Register("ICC_SRE_EL1", _ => 7, (_, _) => { }));
        row(3, 0, 12, 12, 6, Register("ICC_IGRPEN0_EL1", g => g.Group0Enable, (g, v) => g.Group0Enable = v));
        row(3, 0, 12, 12, 7, Register("ICC_IGRPEN1_EL1", g => g.Group1Enable, (g, v) => g.Group1Enable = v));
    }

    // traced: what an access means for an interrupt, where it is one that the trace shows.
    private static SystemRegister Register(string name, ReadGic? read, WriteGic? write, string? traced = null) => new(
        name,
        read == null ? null : (core, _) =>
        {
            ulong value = read(core.Gic!);
            Trace(core, name, traced, value);
            return value;
        },
        write == null ? null : (core, _, v) =>
        {
            // Before it happens: the interrupt that it lets through stands below.
            Trace(core, name, traced, v);
            write(core.Gic!, v);
        })
    {
        Part = core => core.Gic,
    };

    private static void Trace(VcpuCore core, string name, string? traced, ulong value)
    {
        if (traced != null && core.TraceOf(TraceCategories.Irq) is { } trace)
        {
            trace.Write(TraceCategories.Irq, $"cpu{core.Index.Value} {traced} {(value < 1024 ? $"{value}" : $"0x{value:x}")} ({name})");
        }
    }
}
