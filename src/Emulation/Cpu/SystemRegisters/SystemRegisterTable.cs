using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu.SystemRegisters;

/// <summary>All system registers, by encoding (Arm ARM D23). Those without a row are UNDEFINED.</summary>
internal static unsafe class SystemRegisterTable
{
    private static readonly List<SystemRegister> Rows = [];
    private static readonly Dictionary<int, int> Index = Build();

    /// <summary>The row of op0 to op2, as bits 20:5 of the instruction, or -1.</summary>
    public static int Find(int key) => Index.GetValueOrDefault(key, -1);

    public static SystemRegister? At(int index) => index < 0 ? null : Rows[index];

    /// <summary>The names of all rows.</summary>
    public static IEnumerable<string> Names => Rows.Select(row => row.Name);

    /// <summary>bits 20:5 of MRS and MSR: op0 op1 CRn CRm op2.</summary>
    public static int Key(int op0, int op1, int crn, int crm, int op2) => (op0 << 14) | (op1 << 11) | (crn << 7) | (crm << 3) | op2;

    private static Dictionary<int, int> Build()
    {
        var index = new Dictionary<int, int>();
        void Row(int op0, int op1, int crn, int crm, int op2, SystemRegister register)
        {
            index.Add(Key(op0, op1, crn, crm, op2), Rows.Count);
            Rows.Add(register);
        }

        IdentificationRegisters.Add(Row);
        ControlRegisters.Add(Row);
        TaggingRegisters.Add(Row);
        DebugRegisters.Add(Row);
        TimerRegisters.Add(Row);
        PmuRegisters.Add(Row);
        GicRegisters.Add(Row);
        return index;
    }
}

/// <summary>Adds a row: op0, op1, CRn, CRm, op2, and the register.</summary>
internal delegate void AddRow(int op0, int op1, int crn, int crm, int op2, SystemRegister register);
