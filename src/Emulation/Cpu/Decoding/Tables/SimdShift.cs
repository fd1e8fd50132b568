using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>Advanced SIMD shift by immediate, vector and scalar (Arm ARM C4.1.96). immh = 0000 is another group or reserved.</summary>
internal static unsafe class SimdShift
{
    public static readonly EncodingRow[] Rows =
    [
        Vector("SSHR", 0, 0b00000, &Operands.VectorShiftRight, &SimdLanes.Signed<Shift, FromImmediate>),
        Vector("USHR", 1, 0b00000, &Operands.VectorShiftRight, &SimdLanes.Unsigned<Shift, FromImmediate>),
        Vector("SSRA", 0, 0b00010, &Operands.VectorShiftRight, &SimdLanes.Signed<ShiftAccumulate, FromImmediate>),
        Vector("USRA", 1, 0b00010, &Operands.VectorShiftRight, &SimdLanes.Unsigned<ShiftAccumulate, FromImmediate>),
        Vector("SRSHR", 0, 0b00100, &Operands.VectorShiftRight, &SimdLanes.Signed<RoundingShift, FromImmediate>),
        Vector("URSHR", 1, 0b00100, &Operands.VectorShiftRight, &SimdLanes.Unsigned<RoundingShift, FromImmediate>),
        Vector("SRSRA", 0, 0b00110, &Operands.VectorShiftRight, &SimdLanes.Signed<RoundingShiftAccumulate, FromImmediate>),
        Vector("URSRA", 1, 0b00110, &Operands.VectorShiftRight, &SimdLanes.Unsigned<RoundingShiftAccumulate, FromImmediate>),
        Vector("SRI", 1, 0b01000, &Operands.VectorShiftRight, &SimdLanes.Unsigned<ShiftRightInsert, FromImmediate>),
        Vector("SHL", 0, 0b01010, &Operands.VectorShiftLeft, &SimdLanes.Unsigned<Shift, FromImmediate>),
        Vector("SLI", 1, 0b01010, &Operands.VectorShiftLeft, &SimdLanes.Unsigned<ShiftLeftInsert, FromImmediate>),
        Vector("SQSHLU", 1, 0b01100, &Operands.VectorShiftLeft, &SimdLanes.Signed<SaturatingShiftUnsigned, FromImmediate>),
        Vector("SQSHL (immediate)", 0, 0b01110, &Operands.VectorShiftLeft, &SimdLanes.Signed<SaturatingShift, FromImmediate>),
        Vector("UQSHL (immediate)", 1, 0b01110, &Operands.VectorShiftLeft, &SimdLanes.Unsigned<SaturatingShift, FromImmediate>),

        Resize("SHRN", 0, 0b10000, &Operands.VectorShiftRightNarrow, &SimdWidening.UnsignedNarrow<ShiftNarrow, FromImmediate>),
        Resize("SQSHRUN", 1, 0b10000, &Operands.VectorShiftRightNarrow,
            &SimdWidening.SignedToUnsignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        Resize("RSHRN", 0, 0b10001, &Operands.VectorShiftRightNarrow, &SimdWidening.UnsignedNarrow<RoundingShiftNarrow, FromImmediate>),
        Resize("SQRSHRUN", 1, 0b10001, &Operands.VectorShiftRightNarrow,
            &SimdWidening.SignedToUnsignedNarrow<SaturatingRoundingShiftNarrow, FromImmediate>),
        Resize("SQSHRN", 0, 0b10010, &Operands.VectorShiftRightNarrow, &SimdWidening.SignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        Resize("UQSHRN", 1, 0b10010, &Operands.VectorShiftRightNarrow, &SimdWidening.UnsignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        Resize("SQRSHRN", 0, 0b10011, &Operands.VectorShiftRightNarrow,
            &SimdWidening.SignedNarrow<SaturatingRoundingShiftNarrow, FromImmediate>),
        Resize("UQRSHRN", 1, 0b10011, &Operands.VectorShiftRightNarrow,
            &SimdWidening.UnsignedNarrow<SaturatingRoundingShiftNarrow, FromImmediate>),
        Resize("SSHLL", 0, 0b10100, &Operands.VectorShiftLeftLong, &SimdWidening.Signed<Shift, FromImmediate>),
        Resize("USHLL", 1, 0b10100, &Operands.VectorShiftLeftLong, &SimdWidening.Unsigned<Shift, FromImmediate>),

        Doubleword("SSHR (scalar)", 0, 0b00000, &Operands.VectorShiftRightScalar, &SimdLanes.Signed<Shift, FromImmediate>),
        Doubleword("USHR (scalar)", 1, 0b00000, &Operands.VectorShiftRightScalar, &SimdLanes.Unsigned<Shift, FromImmediate>),
        Doubleword("SSRA (scalar)", 0, 0b00010, &Operands.VectorShiftRightScalar, &SimdLanes.Signed<ShiftAccumulate, FromImmediate>),
        Doubleword("USRA (scalar)", 1, 0b00010, &Operands.VectorShiftRightScalar, &SimdLanes.Unsigned<ShiftAccumulate, FromImmediate>),
        Doubleword("SRSHR (scalar)", 0, 0b00100, &Operands.VectorShiftRightScalar, &SimdLanes.Signed<RoundingShift, FromImmediate>),
        Doubleword("URSHR (scalar)", 1, 0b00100, &Operands.VectorShiftRightScalar, &SimdLanes.Unsigned<RoundingShift, FromImmediate>),
        Doubleword("SRSRA (scalar)", 0, 0b00110, &Operands.VectorShiftRightScalar,
            &SimdLanes.Signed<RoundingShiftAccumulate, FromImmediate>),
        Doubleword("URSRA (scalar)", 1, 0b00110, &Operands.VectorShiftRightScalar,
            &SimdLanes.Unsigned<RoundingShiftAccumulate, FromImmediate>),
        Doubleword("SRI (scalar)", 1, 0b01000, &Operands.VectorShiftRightScalar, &SimdLanes.Unsigned<ShiftRightInsert, FromImmediate>),
        Doubleword("SHL (scalar)", 0, 0b01010, &Operands.VectorShiftLeftScalar, &SimdLanes.Unsigned<Shift, FromImmediate>),
        Doubleword("SLI (scalar)", 1, 0b01010, &Operands.VectorShiftLeftScalar, &SimdLanes.Unsigned<ShiftLeftInsert, FromImmediate>),
        Scalar("SQSHLU (scalar)", 1, 0b01100, &Operands.VectorShiftLeftScalar, &SimdLanes.Signed<SaturatingShiftUnsigned, FromImmediate>),
        Scalar("SQSHL (immediate, scalar)", 0, 0b01110, &Operands.VectorShiftLeftScalar,
            &SimdLanes.Signed<SaturatingShift, FromImmediate>),
        Scalar("UQSHL (immediate, scalar)", 1, 0b01110, &Operands.VectorShiftLeftScalar,
            &SimdLanes.Unsigned<SaturatingShift, FromImmediate>),
        ScalarNarrow("SQSHRUN (scalar)", 1, 0b10000, &SimdWidening.SignedToUnsignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        ScalarNarrow("SQRSHRUN (scalar)", 1, 0b10001, &SimdWidening.SignedToUnsignedNarrow<SaturatingRoundingShiftNarrow, FromImmediate>),
        ScalarNarrow("SQSHRN (scalar)", 0, 0b10010, &SimdWidening.SignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        ScalarNarrow("UQSHRN (scalar)", 1, 0b10010, &SimdWidening.UnsignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        ScalarNarrow("SQRSHRN (scalar)", 0, 0b10011, &SimdWidening.SignedNarrow<SaturatingRoundingShiftNarrow, FromImmediate>),
        ScalarNarrow("UQRSHRN (scalar)", 1, 0b10011, &SimdWidening.UnsignedNarrow<SaturatingRoundingShiftNarrow, FromImmediate>),
    ];

    // The reserved sizes are written as values of immh in place of "hhhh".
    private static EncodingRow Row(
        string name,
        string pattern,
        delegate*<Op*, void> form,
        delegate*<VcpuCore, CpuState*, Op*, Op*> handler,
        params string[] reserved) =>
        new(pattern, name, form, handler, Feature.None, RowFlags.FpSimd, reserved);

    private static string Opcode(int opcode) => Convert.ToString(opcode, 2).PadLeft(5, '0');

    private static EncodingRow Vector(
        string name, int u, int opcode, delegate*<Op*, void> form, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(
            name,
            $"0 q {u} 011110 hhhh iii {Opcode(opcode)} 1 nnnnn ddddd",
            form,
            handler,
            $"0 q {u} 011110 0000 iii {Opcode(opcode)} 1 nnnnn ddddd",
            $"0 0 {u} 011110 1hhh iii {Opcode(opcode)} 1 nnnnn ddddd");

    private static EncodingRow Resize(
        string name, int u, int opcode, delegate*<Op*, void> form, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(
            name,
            $"0 q {u} 011110 0hhh iii {Opcode(opcode)} 1 nnnnn ddddd",
            form,
            handler,
            $"0 q {u} 011110 0000 iii {Opcode(opcode)} 1 nnnnn ddddd");

    private static EncodingRow Doubleword(
        string name, int u, int opcode, delegate*<Op*, void> form, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, $"01 {u} 111110 1hhh iii {Opcode(opcode)} 1 nnnnn ddddd", form, handler);

    private static EncodingRow Scalar(
        string name, int u, int opcode, delegate*<Op*, void> form, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(
            name,
            $"01 {u} 111110 hhhh iii {Opcode(opcode)} 1 nnnnn ddddd",
            form,
            handler,
            $"01 {u} 111110 0000 iii {Opcode(opcode)} 1 nnnnn ddddd");

    private static EncodingRow ScalarNarrow(string name, int u, int opcode, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(
            name,
            $"01 {u} 111110 0hhh iii {Opcode(opcode)} 1 nnnnn ddddd",
            &Operands.VectorShiftRightScalar,
            handler,
            $"01 {u} 111110 0000 iii {Opcode(opcode)} 1 nnnnn ddddd");
}
