using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Cpu.Psci;

/// <summary>Calls through <see cref="PsciController"/> with a trace line each.</summary>
internal static unsafe class PsciTrace
{
    public static Op* Call(TraceLog trace, PsciController psci, VcpuCore core, Op* op)
    {
        CpuState* s = core.State;
        string call = $"cpu{core.Index.Value} {NameOf((uint)s->X[0])}(0x{s->X[1]:x}, 0x{s->X[2]:x}, 0x{s->X[3]:x})";
        Op* next = psci.Call(core, op);

        // A call that leaves the run loop does not return, or not before the CPU has waited.
        trace.Write(TraceCategories.Psci, next == null ? call : $"{call} = {(long)s->X[0]}");
        return next;
    }

    // PSCI 1.1, section 5.1, and SMCCC 1.1, section 7.
    private static string NameOf(uint function) => (function & ~(1u << 30)) switch
    {
        0x8400_0000 => "PSCI_VERSION",
        0x8400_0001 => "CPU_SUSPEND",
        0x8400_0002 => "CPU_OFF",
        0x8400_0003 => "CPU_ON",
        0x8400_0004 => "AFFINITY_INFO",
        0x8400_0005 => "MIGRATE",
        0x8400_0006 => "MIGRATE_INFO_TYPE",
        0x8400_0007 => "MIGRATE_INFO_UP_CPU",
        0x8400_0008 => "SYSTEM_OFF",
        0x8400_0009 => "SYSTEM_RESET",
        0x8400_000A => "PSCI_FEATURES",
        0x8400_0012 => "SYSTEM_RESET2",
        0x8000_0000 => "SMCCC_VERSION",
        0x8000_0001 => "SMCCC_ARCH_FEATURES",
        _ => $"function 0x{function:x8}",
    };
}
