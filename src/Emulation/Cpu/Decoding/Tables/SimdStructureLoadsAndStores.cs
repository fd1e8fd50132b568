using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;
using static Vmm.Emulation.Cpu.Decoding.Effects;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>Advanced SIMD loads and stores of structures, multiple and single (Arm ARM C4.1.94).</summary>
internal static unsafe class SimdStructureLoadsAndStores
{
    // The addressing of LD1 and its kin: bits 23 and 20:16, which are Rm when post-indexed, and what that reads and writes beside the rest.
    private static readonly (string Index, string Rm, string Name, Effects Effects)[] StructureAddressing =
        [("0", "00000", "", None), ("1", "mmmmm", " post-index", ReadRm | WriteRn)];

    public static readonly EncodingRow[] Rows =
    [
        .. Multiple("0000", Operation.St4Multiple, Operation.Ld4Multiple, "4"),
        .. Multiple("0010", Operation.St1Multiple, Operation.Ld1Multiple, "1, four registers"),
        .. Multiple("0100", Operation.St3Multiple, Operation.Ld3Multiple, "3"),
        .. Multiple("0110", Operation.St1Multiple, Operation.Ld1Multiple, "1, three registers"),
        .. Multiple("0111", Operation.St1Multiple, Operation.Ld1Multiple, "1, one register"),
        .. Multiple("1000", Operation.St2Multiple, Operation.Ld2Multiple, "2"),
        .. Multiple("1010", Operation.St1Multiple, Operation.Ld1Multiple, "1, two registers"),

        .. Lane<byte>("00 o", "s zz", "8"),
        .. Lane<ushort>("01 o", "s z0", "16"),
        .. Lane<uint>("10 o", "s 00", "32"),
        .. Lane<ulong>("10 o", "0 01", "64"),

        .. Replicate<byte>("00", "8"),
        .. Replicate<ushort>("01", "16"),
        .. Replicate<uint>("10", "32"),
        .. Replicate<ulong>("11", "64"),
    ];

    private static EncodingRow Row(
        string name,
        string pattern,
        Operation operation,
        Effects effects,
        delegate*<Op*, void> form,
        delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        new(pattern, name, operation, effects | ReadRn | List, form, handler);

    private static EncodingRow[] Multiple(string opcode, Operation store, Operation load, string name)
    {
        var rows = new List<EncodingRow>();
        foreach ((string index, string rm, string indexName, Effects addressing) in StructureAddressing)
        {
            AddMultiple<byte>(rows, "00", "8");
            AddMultiple<ushort>(rows, "01", "16");
            AddMultiple<uint>(rows, "10", "32");
            AddMultiple<ulong>(rows, "11", "64");

            void AddMultiple<T>(List<EncodingRow> to, string size, string bits)
                where T : unmanaged
            {
                // A structure of several elements with one doubleword in a register is reserved: Q is 1 there.
                string q = size == "11" && opcode is ("0000" or "0100" or "1000") ? "1" : "q";
                to.Add(Row($"ST{name} (multiple structures{indexName}) {bits}",
                    $"0 {q} 001100 {index} 0 0 {rm} {opcode} {size} nnnnn ttttt",
                    store, Store | ReadVd | addressing, &Operands.SimdMultipleStructures, &SimdStructures.StoreMultiple<T>));
                to.Add(Row($"LD{name} (multiple structures{indexName}) {bits}",
                    $"0 {q} 001100 {index} 1 0 {rm} {opcode} {size} nnnnn ttttt",
                    load, Load | WriteVd | addressing, &Operands.SimdMultipleStructures, &SimdStructures.LoadMultiple<T>));
            }
        }

        return [.. rows];
    }

    private static EncodingRow[] Lane<T>(string opcode, string index, string bits)
        where T : unmanaged
    {
        var rows = new List<EncodingRow>();
        foreach ((string indexed, string rm, string name, Effects addressing) in StructureAddressing)
        {
            rows.Add(Row($"ST1–ST4 (single structure{name}) {bits}", $"0 q 001101 {indexed} 0 r {rm} {opcode} {index} nnnnn ttttt",
                Operation.StSingle, Store | ReadVd | addressing, &Operands.SimdSingleStructure, &SimdStructures.StoreLane<T>));
            rows.Add(Row($"LD1–LD4 (single structure{name}) {bits}", $"0 q 001101 {indexed} 1 r {rm} {opcode} {index} nnnnn ttttt",
                Operation.LdSingle, Load | ReadVd | WriteVd | addressing, &Operands.SimdSingleStructure, &SimdStructures.LoadLane<T>));
        }

        return [.. rows];
    }

    private static EncodingRow[] Replicate<T>(string size, string bits)
        where T : unmanaged
    {
        var rows = new List<EncodingRow>();
        foreach ((string indexed, string rm, string name, Effects addressing) in StructureAddressing)
        {
            rows.Add(Row($"LD1R–LD4R{name} {bits}", $"0 q 001101 {indexed} 1 r {rm} 11 o 0 {size} nnnnn ttttt",
                Operation.LdReplicate, Load | WriteVd | addressing, &Operands.SimdReplicate, &SimdStructures.LoadReplicate<T>));
        }

        return [.. rows];
    }
}
