using Vmm.Emulation.Tracing;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>The items of <c>-d ITEM,…</c>: QEMU's names, as categories of the trace.</summary>
public static class LogItems
{
    private static readonly (string Name, TraceCategories Category, string Help)[] s_items =
    [
        ("in_asm", TraceCategories.InAsm, "the instructions of each block when it is translated"),
        ("op", TraceCategories.Op, "what each instruction of a block became"),
        ("out_asm", TraceCategories.OutAsm, "the host's code of each block"),
        ("int", TraceCategories.Irq, "interrupt lines, and what CPUs acknowledge, end and send"),
        ("exec", TraceCategories.Insn, "every instruction that is executed"),
        ("nochain", TraceCategories.None, "exec is every instruction anyhow"),
        ("guest_errors", TraceCategories.GuestErrors, "accesses to addresses where there is nothing"),
        ("invalid_mem", TraceCategories.GuestErrors, "the same"),
    ];

    // Items of QEMU for which the trace has no category.
    private static readonly string[] s_refused = ["op_opt", "op_ind", "op_plugin", "cpu", "fpu", "mmu", "pcall", "cpu_reset", "unimp",
        "page", "plugin", "strace", "tid", "vpu", "all"];

    /// <summary>The text of <c>-d help</c>.</summary>
    public static string Describe => "Log items (comma separated):\n" + string.Join('\n', s_items.Select(i => $"{i.Name,-15} {i.Help}"))
        + $"\nand the categories of --trace: {TraceCategoryNames.All}";

    public static IReadOnlyList<string> Names => [.. s_items.Select(i => i.Name)];

    /// <summary>The categories of a list of items. Names of categories are accepted too.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static TraceCategories Parse(string list)
    {
        TraceCategories categories = TraceCategories.None;
        foreach (string name in list.Split(','))
        {
            int item = Array.FindIndex(s_items, i => i.Name == name);
            if (item >= 0)
            {
                categories |= s_items[item].Category;
                continue;
            }

            if (s_refused.Contains(name) || name.StartsWith("trace:", StringComparison.Ordinal))
            {
                throw new OptionException($"'{UserText.Legible(name)}' is not supported; -d help lists what is");
            }

            try
            {
                categories |= TraceCategoryNames.Parse(name);
            }
            catch (FormatException)
            {
                throw new OptionException($"'{UserText.Legible(name)}' is no log item; -d help lists them");
            }
        }

        return categories;
    }
}
