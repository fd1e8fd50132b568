using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.SystemRegisters;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>Why an instruction is executed by the interpreter's handler.</summary>
internal enum ExitReason
{
    /// <summary>It has no emitter, or its emitter declined.</summary>
    NotTranslated,

    /// <summary>It has code, but not for this rare case.</summary>
    RareCase,

    /// <summary>
    /// Its memory access missed the TLB. The address is not translated yet, or is that of a device; or the bytes lie in two pages; or there
    /// is a watchpoint.
    /// </summary>
    TlbMiss,
}

/// <summary>
/// The counters of <see cref="VcpuCounters.Exits"/>: one for each other kind of exit, and for each reason to interpret one for each
/// encoding, with system registers and operations told apart. An exit knows the number of its counter since it was translated.
/// </summary>
internal static unsafe class ExitCounters
{
    public const int Lookup = 0;
    public const int Link = 1;

    /// <summary>Attention, or the end of the budget.</summary>
    public const int Attention = 2;

    /// <summary>The bytes of a cover lie in two pages.</summary>
    public const int Apart = 3;

    /// <summary>Code that was not executed often enough to be translated, up to the next jump that is taken.</summary>
    public const int Cold = 4;

    private const int FirstInterpreted = 5;

    private static readonly List<string> s_names = ["UNDEFINED"];

    // Where the names of a row begin, and whether more follow: one for each value of Imm.
    private static readonly (int First, bool Many)[] s_rows = [.. EncodingTable.Rows.Select(AddNames)];

    /// <summary>What instructions are called here, by position.</summary>
    public static IReadOnlyList<string> Names => s_names;

    public static int Count { get; } = FirstInterpreted + (Enum.GetValues<ExitReason>().Length * s_names.Count);

    /// <summary>The counter of an instruction that is interpreted for a reason.</summary>
    public static int Of(ExitReason reason, Op* op) => First(reason) + NameOf(op);

    /// <summary>The counters of a reason: that of the first name. The others follow.</summary>
    public static int First(ExitReason reason) => FirstInterpreted + ((int)reason * s_names.Count);

    private static int NameOf(Op* op)
    {
        if (!op->IsAllocated)
        {
            return 0;
        }

        (int first, bool many) = s_rows[op->Row];
        return many ? first + 1 + (int)op->Imm : first;
    }

    // Imm of these is a position, or -1 for what does not exist.
    private static (int First, bool Many) AddNames(EncodingRow row)
    {
        int first = s_names.Count;
        s_names.Add(row.Mnemonic);
        switch (row.Operation)
        {
            case Operation.Mrs:
                s_names.AddRange(SystemRegisterTable.Names.Select(name => $"MRS {name}"));
                return (first, true);
            case Operation.MsrRegister:
                s_names.AddRange(SystemRegisterTable.Names.Select(name => $"MSR {name}"));
                return (first, true);
            case Operation.Sys:
                s_names.AddRange(SystemOperations.Names);
                return (first, true);
            default:
                return (first, false);
        }
    }
}
