namespace Vmm.Emulation.Tracing;

/// <summary>The categories of events that can be traced.</summary>
[Flags]
public enum TraceCategories
{
    None = 0,

    /// <summary>Every instruction, one line each; vCPUs then execute one instruction at a time.</summary>
    Insn = 1,

    /// <summary>Accesses to device registers.</summary>
    Mmio = 2,

    /// <summary>Changes of interrupt lines, and the interrupts that CPUs acknowledge, end, deactivate and send.</summary>
    Irq = 4,

    /// <summary>PSCI and SMCCC calls.</summary>
    Psci = 8,

    /// <summary>Accesses to the registers that AML uses, by name, and GED events.</summary>
    Acpi = 16,

    /// <summary>Steps of CPU plug and unplug.</summary>
    Hotplug = 32,

    /// <summary>The instructions of each block when it is translated.</summary>
    InAsm = 64,

    /// <summary>The translation of each instruction of a block: emitted or interpreted, its flags, its TLB probes.</summary>
    Op = 128,

    /// <summary>The host's code of each block, disassembled.</summary>
    OutAsm = 256,

    /// <summary>Accesses to physical addresses at which there is nothing.</summary>
    GuestErrors = 512,

    /// <summary>Steps of a save, a load and a migration.</summary>
    Migration = 1024,
}

/// <summary>The names of the categories, as <c>--trace</c> takes them.</summary>
public static class TraceCategoryNames
{
    private static readonly TraceCategories[] s_all = Enum.GetValues<TraceCategories>()[1..];

    /// <summary>All names, comma-separated.</summary>
    public static string All { get; } = string.Join(',', s_all.Select(NameOf));

    /// <summary>The name of one category in lower case, which is QEMU's name if QEMU has one.</summary>
    public static string NameOf(TraceCategories category) => category switch
    {
        TraceCategories.InAsm => "in_asm",
        TraceCategories.OutAsm => "out_asm",
        TraceCategories.GuestErrors => "guest_errors",
        _ => category.ToString().ToLowerInvariant(),
    };

    /// <summary>Parses a comma-separated list of names.</summary>
    /// <exception cref="FormatException">A name is unknown. The message is one line that lists the known names.</exception>
    public static TraceCategories Parse(string list)
    {
        TraceCategories result = TraceCategories.None;
        foreach (string name in list.Split(','))
        {
            TraceCategories category = Array.Find(s_all, c => NameOf(c) == name);
            result |= category != TraceCategories.None
                ? category
                : throw new FormatException($"unknown trace category '{name}'; there are {All}");
        }

        return result;
    }
}
