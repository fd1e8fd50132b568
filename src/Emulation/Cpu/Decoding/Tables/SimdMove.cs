using Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>Advanced SIMD copy, modified immediate, permute, extract and table look-up (Arm ARM C4.1.96).</summary>
internal static unsafe class SimdMove
{
    private const RowFlags Simd = RowFlags.FpSimd;

    public static readonly EncodingRow[] Rows =
    [
        new("0 q 0 01110000 iiiii 0 0000 1 nnnnn ddddd", "DUP (element)", &Operands.VectorCopy, &SimdPermute.DuplicateElement,
            Feature.None, Simd, "0 q 0 01110000 i0000 0 0000 1 nnnnn ddddd", "0 0 0 01110000 i1000 0 0000 1 nnnnn ddddd"),
        new("01 0 11110000 iiiii 0 0000 1 nnnnn ddddd", "DUP (element, scalar)", &Operands.VectorCopyScalar,
            &SimdPermute.DuplicateElement, Feature.None, Simd, "01 0 11110000 i0000 0 0000 1 nnnnn ddddd"),
        new("0 q 0 01110000 iiiii 0 0001 1 nnnnn ddddd", "DUP (general)", &Operands.VectorCopyFromGeneral,
            &SimdPermute.DuplicateGeneral, Feature.None, Simd,
            "0 q 0 01110000 i0000 0 0001 1 nnnnn ddddd", "0 0 0 01110000 i1000 0 0001 1 nnnnn ddddd"),
        new("0 0 0 01110000 iiiii 0 0101 1 nnnnn ddddd", "SMOV 32", &Operands.VectorCopyToGeneral, &SimdPermute.MoveSigned32,
            Feature.None, Simd, "0 0 0 01110000 iii00 0 0101 1 nnnnn ddddd"),
        new("0 1 0 01110000 iiiii 0 0101 1 nnnnn ddddd", "SMOV 64", &Operands.VectorCopyToGeneral, &SimdPermute.MoveSigned64,
            Feature.None, Simd, "0 1 0 01110000 ii000 0 0101 1 nnnnn ddddd"),
        new("0 0 0 01110000 iiiii 0 0111 1 nnnnn ddddd", "UMOV 32", &Operands.VectorCopyToGeneral, &SimdPermute.MoveUnsigned,
            Feature.None, Simd, "0 0 0 01110000 ii000 0 0111 1 nnnnn ddddd"),
        new("0 1 0 01110000 i1000 0 0111 1 nnnnn ddddd", "UMOV 64", &Operands.VectorCopyToGeneral, &SimdPermute.MoveUnsigned,
            Feature.None, Simd),
        new("0 1 0 01110000 iiiii 0 0011 1 nnnnn ddddd", "INS (general)", &Operands.VectorCopyFromGeneral, &SimdPermute.InsertGeneral,
            Feature.None, Simd, "0 1 0 01110000 i0000 0 0011 1 nnnnn ddddd"),
        new("0 1 1 01110000 iiiii 0 jjjj 1 nnnnn ddddd", "INS (element)", &Operands.VectorInsertElement, &SimdPermute.InsertElement,
            Feature.None, Simd, "0 1 1 01110000 i0000 0 jjjj 1 nnnnn ddddd"),

        Immediate("MOVI, MVNI 32", "0 q o", "0xx0", &SimdLanes.Bitwise<MoveBits, FromImmediate>),
        Immediate("ORR (vector, immediate) 32", "0 q 0", "0xx1", &SimdLanes.Bitwise<OrrDestination, FromImmediate>),
        Immediate("BIC (vector, immediate) 32", "0 q 1", "0xx1", &SimdLanes.Bitwise<BicDestination, FromImmediate>),
        Immediate("MOVI, MVNI 16", "0 q o", "10x0", &SimdLanes.Bitwise<MoveBits, FromImmediate>),
        Immediate("ORR (vector, immediate) 16", "0 q 0", "10x1", &SimdLanes.Bitwise<OrrDestination, FromImmediate>),
        Immediate("BIC (vector, immediate) 16", "0 q 1", "10x1", &SimdLanes.Bitwise<BicDestination, FromImmediate>),
        Immediate("MOVI, MVNI shifting ones", "0 q o", "110x", &SimdLanes.Bitwise<MoveBits, FromImmediate>),
        Immediate("MOVI 8 and 64", "0 q o", "1110", &SimdLanes.Bitwise<MoveBits, FromImmediate>),

        Permutation("UZP1", "001", &SimdPermute.Permute<Unzip1>),
        Permutation("TRN1", "010", &SimdPermute.Permute<Transpose1>),
        Permutation("ZIP1", "011", &SimdPermute.Permute<Zip1>),
        Permutation("UZP2", "101", &SimdPermute.Permute<Unzip2>),
        Permutation("TRN2", "110", &SimdPermute.Permute<Transpose2>),
        Permutation("ZIP2", "111", &SimdPermute.Permute<Zip2>),

        new("0 q 101110 00 0 mmmmm 0 iiii 0 nnnnn ddddd", "EXT", &Operands.VectorExtract, &SimdPermute.Extract,
            Feature.None, Simd, "0 0 101110 00 0 mmmmm 0 1iii 0 nnnnn ddddd"),
        new("0 q 001110 00 0 mmmmm 0 ll 0 00 nnnnn ddddd", "TBL", &Operands.VectorTable, &SimdPermute.TableLookup, Feature.None, Simd),
        new("0 q 001110 00 0 mmmmm 0 ll 1 00 nnnnn ddddd", "TBX", &Operands.VectorTable, &SimdPermute.TableExtension, Feature.None, Simd),
    ];

    private static EncodingRow Immediate(
        string name, string top, string cmode, delegate*<VcpuCore, CpuState*, Interpreter.Op*, Interpreter.Op*> handler) =>
        new($"{top} 0111100000 aaa {cmode} 01 bbbbb ddddd", name, &Operands.VectorModifiedImmediate, handler, Feature.None, Simd);

    private static EncodingRow Permutation(
        string name, string opcode, delegate*<VcpuCore, CpuState*, Interpreter.Op*, Interpreter.Op*> handler) =>
        new(
            $"0 q 001110 zz 0 mmmmm 0 {opcode} 10 nnnnn ddddd",
            name,
            &Operands.Vector,
            handler,
            Feature.None,
            Simd,
            $"0 0 001110 11 0 mmmmm 0 {opcode} 10 nnnnn ddddd");
}
