using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit.Plan;

/// <summary>What a load or store moves: Arm ARM, C4.1.94 "Loads and Stores".</summary>
internal enum AccessForm : byte
{
    /// <summary>No load or store, or none of the common ones.</summary>
    None,

    /// <summary>One general register.</summary>
    General,

    /// <summary>Two general registers.</summary>
    Pair,

    /// <summary>One V register, or the low part of it.</summary>
    Vector,

    /// <summary>Two V registers, or the low parts of them.</summary>
    VectorPair,
}

/// <summary>How a load or store makes its address from its base register: Arm ARM, C1.3.3 "Load/store addressing modes".</summary>
internal enum AddressMode : byte
{
    /// <summary>Base and a constant.</summary>
    Offset,

    /// <summary>Base and a constant, which the base register then holds.</summary>
    PreIndex,

    /// <summary>Base, to which a constant is added afterwards.</summary>
    PostIndex,

    /// <summary>Base and another register.</summary>
    Register,
}

/// <summary>Which bytes the common loads and stores access, and which instructions move a base register by a constant.</summary>
internal static unsafe class BaseAccess
{
    private static readonly (AccessForm Form, AddressMode Mode)[] s_forms = [.. EncodingTable.Rows.Select(row => Of(row.Operation))];

    // 1 and -1 for what adds or subtracts its immediate.
    private static readonly int[] s_additions = [.. EncodingTable.Rows.Select(row => row.Operation switch
    {
        Operation.AddImmediate or Operation.AddsImmediate => 1,
        Operation.SubImmediate or Operation.SubsImmediate => -1,
        _ => 0,
    })];

    /// <summary>What a decoded instruction moves, and how it makes its address. The instruction is allocated.</summary>
    public static (AccessForm Form, AddressMode Mode) Of(Op* op) => s_forms[op->Row];

    /// <summary>Bytes that a load or store of a form moves in all.</summary>
    public static int SizeOf(Op* op, AccessForm form) => form switch
    {
        AccessForm.General => 1 << (int)(op->Word >> 30),
        AccessForm.Pair => op->Word >> 31 != 0 ? 16 : 8,
        AccessForm.Vector => 1 << (int)((op->Word >> 30) | ((op->Word >> 21) & 4)),
        _ => 8 << (int)(op->Word >> 30),
    };

    /// <summary>Whether an instruction of a form stores; otherwise it loads.</summary>
    public static bool IsStore(Op* op, AccessForm form) => ((op->Word >> 22) & (form == AccessForm.General ? 3u : 1u)) == 0;

    /// <summary>
    /// Bytes from what the base register holds to the first byte that is accessed, in every mode but <see cref="AddressMode.Register"/>.
    /// </summary>
    public static int OffsetOf(Op* op, AddressMode mode) => mode == AddressMode.PostIndex ? 0 : (int)op->Imm;

    /// <summary>Whether an instruction adds a constant to a register, and whatever else it writes is another register.</summary>
    /// <param name="op">The decoded instruction, which is allocated.</param>
    /// <param name="slot">The register's slot of <see cref="CpuState.X"/>.</param>
    /// <param name="by">The constant, if it does.</param>
    public static bool Moves(Op* op, int slot, out int by)
    {
        by = 0;
        if (op->Rn != slot)
        {
            return false;
        }

        (AccessForm form, AddressMode mode) = s_forms[op->Row];
        if (form != AccessForm.None)
        {
            by = (int)op->Imm;
            bool loads = form is AccessForm.General or AccessForm.Pair
                && (op->Rd == slot || (form == AccessForm.Pair && op->Ra == slot));
            return mode is AddressMode.PreIndex or AddressMode.PostIndex && !loads;
        }

        int sign = s_additions[op->Row];
        by = sign * (int)op->Imm;
        return sign != 0 && op->Rd == slot && op->Word >> 31 != 0;
    }

    /// <summary>What the instructions of an operation move, and how they make their addresses.</summary>
    public static (AccessForm Form, AddressMode Mode) Of(Operation operation) => operation switch
    {
        Operation.StrbUnsignedOffset or Operation.LdrbUnsignedOffset or Operation.StrhUnsignedOffset or Operation.LdrhUnsignedOffset
            or Operation.StrUnsignedOffset or Operation.LdrUnsignedOffset or Operation.LdrsbUnsignedOffset
            or Operation.LdrshUnsignedOffset or Operation.LdrswUnsignedOffset or Operation.Sturb or Operation.Ldurb or Operation.Sturh
            or Operation.Ldurh or Operation.Stur or Operation.Ldur or Operation.Ldursb or Operation.Ldursh or Operation.Ldursw
            => (AccessForm.General, AddressMode.Offset),
        Operation.StrbPostIndex or Operation.LdrbPostIndex or Operation.StrhPostIndex or Operation.LdrhPostIndex
            or Operation.StrPostIndex or Operation.LdrPostIndex or Operation.LdrsbPostIndex or Operation.LdrshPostIndex
            or Operation.LdrswPostIndex
            => (AccessForm.General, AddressMode.PostIndex),
        Operation.StrbPreIndex or Operation.LdrbPreIndex or Operation.StrhPreIndex or Operation.LdrhPreIndex or Operation.StrPreIndex
            or Operation.LdrPreIndex or Operation.LdrsbPreIndex or Operation.LdrshPreIndex or Operation.LdrswPreIndex
            => (AccessForm.General, AddressMode.PreIndex),
        Operation.StrbRegisterOffset or Operation.LdrbRegisterOffset or Operation.StrhRegisterOffset or Operation.LdrhRegisterOffset
            or Operation.StrRegisterOffset or Operation.LdrRegisterOffset or Operation.LdrsbRegisterOffset
            or Operation.LdrshRegisterOffset or Operation.LdrswRegisterOffset
            => (AccessForm.General, AddressMode.Register),
        Operation.Stnp or Operation.Ldnp or Operation.StpSignedOffset or Operation.LdpSignedOffset or Operation.LdpswSignedOffset
            => (AccessForm.Pair, AddressMode.Offset),
        Operation.StpPostIndex or Operation.LdpPostIndex or Operation.LdpswPostIndex
            => (AccessForm.Pair, AddressMode.PostIndex),
        Operation.StpPreIndex or Operation.LdpPreIndex or Operation.LdpswPreIndex
            => (AccessForm.Pair, AddressMode.PreIndex),
        Operation.StrUnsignedOffsetVector or Operation.SturVector or Operation.LdrUnsignedOffsetVector or Operation.LdurVector
            => (AccessForm.Vector, AddressMode.Offset),
        Operation.StrPostIndexVector or Operation.LdrPostIndexVector
            => (AccessForm.Vector, AddressMode.PostIndex),
        Operation.StrPreIndexVector or Operation.LdrPreIndexVector
            => (AccessForm.Vector, AddressMode.PreIndex),
        Operation.StrRegisterOffsetVector or Operation.LdrRegisterOffsetVector
            => (AccessForm.Vector, AddressMode.Register),
        Operation.StnpVector or Operation.LdnpVector or Operation.StpSignedOffsetVector or Operation.LdpSignedOffsetVector
            => (AccessForm.VectorPair, AddressMode.Offset),
        Operation.StpPostIndexVector or Operation.LdpPostIndexVector
            => (AccessForm.VectorPair, AddressMode.PostIndex),
        Operation.StpPreIndexVector or Operation.LdpPreIndexVector
            => (AccessForm.VectorPair, AddressMode.PreIndex),
        _ => default,
    };
}
