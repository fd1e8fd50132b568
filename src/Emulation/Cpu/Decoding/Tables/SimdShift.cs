using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;
using static Vmm.Emulation.Cpu.Decoding.Effects;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>Advanced SIMD shift by immediate, vector and scalar (Arm ARM C4.1.96). immh = 0000 is another group or reserved.</summary>
internal static unsafe class SimdShift
{
    public static readonly EncodingRow[] Rows =
    [
        Vector("SSHR", Operation.Sshr, WriteVd | ReadVn, 0, 0b00000, &Operands.VectorShiftRight, &SimdLanes.Signed<Shift, FromImmediate>),
        Vector("USHR", Operation.Ushr, WriteVd | ReadVn, 1, 0b00000, &Operands.VectorShiftRight,
            &SimdLanes.Unsigned<Shift, FromImmediate>),
        Vector("SSRA", Operation.Ssra, WriteVd | ReadVn | ReadVd, 0, 0b00010, &Operands.VectorShiftRight,
            &SimdLanes.Signed<ShiftAccumulate, FromImmediate>),
        Vector("USRA", Operation.Usra, WriteVd | ReadVn | ReadVd, 1, 0b00010, &Operands.VectorShiftRight,
            &SimdLanes.Unsigned<ShiftAccumulate, FromImmediate>),
        Vector("SRSHR", Operation.Srshr, WriteVd | ReadVn, 0, 0b00100, &Operands.VectorShiftRight,
            &SimdLanes.Signed<RoundingShift, FromImmediate>),
        Vector("URSHR", Operation.Urshr, WriteVd | ReadVn, 1, 0b00100, &Operands.VectorShiftRight,
            &SimdLanes.Unsigned<RoundingShift, FromImmediate>),
        Vector("SRSRA", Operation.Srsra, WriteVd | ReadVn | ReadVd, 0, 0b00110, &Operands.VectorShiftRight,
            &SimdLanes.Signed<RoundingShiftAccumulate, FromImmediate>),
        Vector("URSRA", Operation.Ursra, WriteVd | ReadVn | ReadVd, 1, 0b00110, &Operands.VectorShiftRight,
            &SimdLanes.Unsigned<RoundingShiftAccumulate, FromImmediate>),
        Vector("SRI", Operation.Sri, WriteVd | ReadVn | ReadVd, 1, 0b01000, &Operands.VectorShiftRight,
            &SimdLanes.Unsigned<ShiftRightInsert, FromImmediate>),
        Vector("SHL", Operation.Shl, WriteVd | ReadVn, 0, 0b01010, &Operands.VectorShiftLeft, &SimdLanes.Unsigned<Shift, FromImmediate>),
        Vector("SLI", Operation.Sli, WriteVd | ReadVn | ReadVd, 1, 0b01010, &Operands.VectorShiftLeft,
            &SimdLanes.Unsigned<ShiftLeftInsert, FromImmediate>),
        Vector("SQSHLU", Operation.Sqshlu, WriteVd | ReadVn | WriteFpsr, 1, 0b01100, &Operands.VectorShiftLeft,
            &SimdLanes.Signed<SaturatingShiftUnsigned, FromImmediate>),
        Vector("SQSHL (immediate)", Operation.SqshlImmediate, WriteVd | ReadVn | WriteFpsr, 0, 0b01110, &Operands.VectorShiftLeft,
            &SimdLanes.Signed<SaturatingShift, FromImmediate>),
        Vector("UQSHL (immediate)", Operation.UqshlImmediate, WriteVd | ReadVn | WriteFpsr, 1, 0b01110, &Operands.VectorShiftLeft,
            &SimdLanes.Unsigned<SaturatingShift, FromImmediate>),

        Resize("SHRN", Operation.Shrn, WriteVd | ReadVn | ReadVd, 0, 0b10000, &Operands.VectorShiftRightNarrow,
            &SimdWidening.UnsignedNarrow<ShiftNarrow, FromImmediate>),
        Resize("SQSHRUN", Operation.Sqshrun, WriteVd | ReadVn | ReadVd | WriteFpsr, 1, 0b10000, &Operands.VectorShiftRightNarrow,
            &SimdWidening.SignedToUnsignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        Resize("RSHRN", Operation.Rshrn, WriteVd | ReadVn | ReadVd, 0, 0b10001, &Operands.VectorShiftRightNarrow,
            &SimdWidening.UnsignedNarrow<RoundingShiftNarrow, FromImmediate>),
        Resize("SQRSHRUN", Operation.Sqrshrun, WriteVd | ReadVn | ReadVd | WriteFpsr, 1, 0b10001, &Operands.VectorShiftRightNarrow,
            &SimdWidening.SignedToUnsignedNarrow<SaturatingRoundingShiftNarrow, FromImmediate>),
        Resize("SQSHRN", Operation.Sqshrn, WriteVd | ReadVn | ReadVd | WriteFpsr, 0, 0b10010, &Operands.VectorShiftRightNarrow,
            &SimdWidening.SignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        Resize("UQSHRN", Operation.Uqshrn, WriteVd | ReadVn | ReadVd | WriteFpsr, 1, 0b10010, &Operands.VectorShiftRightNarrow,
            &SimdWidening.UnsignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        Resize("SQRSHRN", Operation.Sqrshrn, WriteVd | ReadVn | ReadVd | WriteFpsr, 0, 0b10011, &Operands.VectorShiftRightNarrow,
            &SimdWidening.SignedNarrow<SaturatingRoundingShiftNarrow, FromImmediate>),
        Resize("UQRSHRN", Operation.Uqrshrn, WriteVd | ReadVn | ReadVd | WriteFpsr, 1, 0b10011, &Operands.VectorShiftRightNarrow,
            &SimdWidening.UnsignedNarrow<SaturatingRoundingShiftNarrow, FromImmediate>),
        Resize("SSHLL", Operation.Sshll, WriteVd | ReadVn, 0, 0b10100, &Operands.VectorShiftLeftLong,
            &SimdWidening.Signed<Shift, FromImmediate>),
        Resize("USHLL", Operation.Ushll, WriteVd | ReadVn, 1, 0b10100, &Operands.VectorShiftLeftLong,
            &SimdWidening.Unsigned<Shift, FromImmediate>),

        Doubleword("SSHR (scalar)", Operation.SshrScalar, WriteVd | ReadVn, 0, 0b00000, &Operands.VectorShiftRightScalar,
            &SimdLanes.Signed<Shift, FromImmediate>),
        Doubleword("USHR (scalar)", Operation.UshrScalar, WriteVd | ReadVn, 1, 0b00000, &Operands.VectorShiftRightScalar,
            &SimdLanes.Unsigned<Shift, FromImmediate>),
        Doubleword("SSRA (scalar)", Operation.SsraScalar, WriteVd | ReadVn | ReadVd, 0, 0b00010, &Operands.VectorShiftRightScalar,
            &SimdLanes.Signed<ShiftAccumulate, FromImmediate>),
        Doubleword("USRA (scalar)", Operation.UsraScalar, WriteVd | ReadVn | ReadVd, 1, 0b00010, &Operands.VectorShiftRightScalar,
            &SimdLanes.Unsigned<ShiftAccumulate, FromImmediate>),
        Doubleword("SRSHR (scalar)", Operation.SrshrScalar, WriteVd | ReadVn, 0, 0b00100, &Operands.VectorShiftRightScalar,
            &SimdLanes.Signed<RoundingShift, FromImmediate>),
        Doubleword("URSHR (scalar)", Operation.UrshrScalar, WriteVd | ReadVn, 1, 0b00100, &Operands.VectorShiftRightScalar,
            &SimdLanes.Unsigned<RoundingShift, FromImmediate>),
        Doubleword("SRSRA (scalar)", Operation.SrsraScalar, WriteVd | ReadVn | ReadVd, 0, 0b00110, &Operands.VectorShiftRightScalar,
            &SimdLanes.Signed<RoundingShiftAccumulate, FromImmediate>),
        Doubleword("URSRA (scalar)", Operation.UrsraScalar, WriteVd | ReadVn | ReadVd, 1, 0b00110, &Operands.VectorShiftRightScalar,
            &SimdLanes.Unsigned<RoundingShiftAccumulate, FromImmediate>),
        Doubleword("SRI (scalar)", Operation.SriScalar, WriteVd | ReadVn | ReadVd, 1, 0b01000, &Operands.VectorShiftRightScalar,
            &SimdLanes.Unsigned<ShiftRightInsert, FromImmediate>),
        Doubleword("SHL (scalar)", Operation.ShlScalar, WriteVd | ReadVn, 0, 0b01010, &Operands.VectorShiftLeftScalar,
            &SimdLanes.Unsigned<Shift, FromImmediate>),
        Doubleword("SLI (scalar)", Operation.SliScalar, WriteVd | ReadVn | ReadVd, 1, 0b01010, &Operands.VectorShiftLeftScalar,
            &SimdLanes.Unsigned<ShiftLeftInsert, FromImmediate>),
        Scalar("SQSHLU (scalar)", Operation.SqshluScalar, WriteVd | ReadVn | WriteFpsr, 1, 0b01100, &Operands.VectorShiftLeftScalar,
            &SimdLanes.Signed<SaturatingShiftUnsigned, FromImmediate>),
        Scalar("SQSHL (immediate, scalar)", Operation.SqshlImmediateScalar, WriteVd | ReadVn | WriteFpsr, 0, 0b01110,
            &Operands.VectorShiftLeftScalar, &SimdLanes.Signed<SaturatingShift, FromImmediate>),
        Scalar("UQSHL (immediate, scalar)", Operation.UqshlImmediateScalar, WriteVd | ReadVn | WriteFpsr, 1, 0b01110,
            &Operands.VectorShiftLeftScalar, &SimdLanes.Unsigned<SaturatingShift, FromImmediate>),
        ScalarNarrow("SQSHRUN (scalar)", Operation.SqshrunScalar, WriteVd | ReadVn | WriteFpsr, 1, 0b10000,
            &SimdWidening.SignedToUnsignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        ScalarNarrow("SQRSHRUN (scalar)", Operation.SqrshrunScalar, WriteVd | ReadVn | WriteFpsr, 1, 0b10001,
            &SimdWidening.SignedToUnsignedNarrow<SaturatingRoundingShiftNarrow, FromImmediate>),
        ScalarNarrow("SQSHRN (scalar)", Operation.SqshrnScalar, WriteVd | ReadVn | WriteFpsr, 0, 0b10010,
            &SimdWidening.SignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        ScalarNarrow("UQSHRN (scalar)", Operation.UqshrnScalar, WriteVd | ReadVn | WriteFpsr, 1, 0b10010,
            &SimdWidening.UnsignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        ScalarNarrow("SQRSHRN (scalar)", Operation.SqrshrnScalar, WriteVd | ReadVn | WriteFpsr, 0, 0b10011,
            &SimdWidening.SignedNarrow<SaturatingRoundingShiftNarrow, FromImmediate>),
        ScalarNarrow("UQRSHRN (scalar)", Operation.UqrshrnScalar, WriteVd | ReadVn | WriteFpsr, 1, 0b10011,
            &SimdWidening.UnsignedNarrow<SaturatingRoundingShiftNarrow, FromImmediate>),
    ];

    // The reserved sizes are written as values of immh in place of "hhhh".
    private static EncodingRow Row(
        string name,
        Operation operation,
        Effects effects,
        string pattern,
        delegate*<Op*, void> form,
        delegate*<VcpuCore, CpuState*, Op*, Op*> handler,
        params string[] reserved) =>
        new(pattern, name, operation, effects, form, handler, Feature.None, reserved);

    private static string Opcode(int opcode) => Convert.ToString(opcode, 2).PadLeft(5, '0');

    private static EncodingRow Vector(
        string name, Operation operation, Effects effects, int u, int opcode, delegate*<Op*, void> form,
        delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(
            name,
            operation,
            effects,
            $"0 q {u} 011110 hhhh iii {Opcode(opcode)} 1 nnnnn ddddd",
            form,
            handler,
            $"0 q {u} 011110 0000 iii {Opcode(opcode)} 1 nnnnn ddddd",
            $"0 0 {u} 011110 1hhh iii {Opcode(opcode)} 1 nnnnn ddddd");

    private static EncodingRow Resize(
        string name, Operation operation, Effects effects, int u, int opcode, delegate*<Op*, void> form,
        delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(
            name,
            operation,
            effects,
            $"0 q {u} 011110 0hhh iii {Opcode(opcode)} 1 nnnnn ddddd",
            form,
            handler,
            $"0 q {u} 011110 0000 iii {Opcode(opcode)} 1 nnnnn ddddd");

    private static EncodingRow Doubleword(
        string name, Operation operation, Effects effects, int u, int opcode, delegate*<Op*, void> form,
        delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, operation, effects, $"01 {u} 111110 1hhh iii {Opcode(opcode)} 1 nnnnn ddddd", form, handler);

    private static EncodingRow Scalar(
        string name, Operation operation, Effects effects, int u, int opcode, delegate*<Op*, void> form,
        delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(
            name,
            operation,
            effects,
            $"01 {u} 111110 hhhh iii {Opcode(opcode)} 1 nnnnn ddddd",
            form,
            handler,
            $"01 {u} 111110 0000 iii {Opcode(opcode)} 1 nnnnn ddddd");

    private static EncodingRow ScalarNarrow(
        string name, Operation operation, Effects effects, int u, int opcode, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(
            name,
            operation,
            effects,
            $"01 {u} 111110 0hhh iii {Opcode(opcode)} 1 nnnnn ddddd",
            &Operands.VectorShiftRightScalar,
            handler,
            $"01 {u} 111110 0000 iii {Opcode(opcode)} 1 nnnnn ddddd");
}
