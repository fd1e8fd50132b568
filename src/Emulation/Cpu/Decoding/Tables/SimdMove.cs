using Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;
using static Vmm.Emulation.Cpu.Decoding.Effects;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>Advanced SIMD copy, modified immediate, permute, extract and table look-up (Arm ARM C4.1.96).</summary>
internal static unsafe class SimdMove
{
    public static readonly EncodingRow[] Rows =
    [
        new("0 q 0 01110000 iiiii 0 0000 1 nnnnn ddddd", "DUP (element)", Operation.DupElement, WriteVd | ReadVn, &Operands.VectorCopy,
            &SimdPermute.DuplicateElement,
            except: ["0 q 0 01110000 i0000 0 0000 1 nnnnn ddddd", "0 0 0 01110000 i1000 0 0000 1 nnnnn ddddd"]),
        new("01 0 11110000 iiiii 0 0000 1 nnnnn ddddd", "DUP (element, scalar)", Operation.DupElementScalar, WriteVd | ReadVn,
            &Operands.VectorCopyScalar, &SimdPermute.DuplicateElement, except: "01 0 11110000 i0000 0 0000 1 nnnnn ddddd"),
        new("0 q 0 01110000 iiiii 0 0001 1 nnnnn ddddd", "DUP (general)", Operation.DupGeneral, WriteVd | ReadRn,
            &Operands.VectorCopyFromGeneral, &SimdPermute.DuplicateGeneral,
            except: ["0 q 0 01110000 i0000 0 0001 1 nnnnn ddddd", "0 0 0 01110000 i1000 0 0001 1 nnnnn ddddd"]),
        new("0 0 0 01110000 iiiii 0 0101 1 nnnnn ddddd", "SMOV 32", Operation.Smov32, WriteRd | ReadVn, &Operands.VectorCopyToGeneral,
            &SimdPermute.MoveSigned32, except: "0 0 0 01110000 iii00 0 0101 1 nnnnn ddddd"),
        new("0 1 0 01110000 iiiii 0 0101 1 nnnnn ddddd", "SMOV 64", Operation.Smov64, WriteRd | ReadVn, &Operands.VectorCopyToGeneral,
            &SimdPermute.MoveSigned64, except: "0 1 0 01110000 ii000 0 0101 1 nnnnn ddddd"),
        new("0 0 0 01110000 iiiii 0 0111 1 nnnnn ddddd", "UMOV 32", Operation.Umov32, WriteRd | ReadVn, &Operands.VectorCopyToGeneral,
            &SimdPermute.MoveUnsigned, except: "0 0 0 01110000 ii000 0 0111 1 nnnnn ddddd"),
        new("0 1 0 01110000 i1000 0 0111 1 nnnnn ddddd", "UMOV 64", Operation.Umov64, WriteRd | ReadVn, &Operands.VectorCopyToGeneral,
            &SimdPermute.MoveUnsigned),
        new("0 1 0 01110000 iiiii 0 0011 1 nnnnn ddddd", "INS (general)", Operation.InsGeneral, ReadVd | WriteVd | ReadRn,
            &Operands.VectorCopyFromGeneral, &SimdPermute.InsertGeneral, except: "0 1 0 01110000 i0000 0 0011 1 nnnnn ddddd"),
        new("0 1 1 01110000 iiiii 0 jjjj 1 nnnnn ddddd", "INS (element)", Operation.InsElement, WriteVd | ReadVn | ReadVd,
            &Operands.VectorInsertElement, &SimdPermute.InsertElement, except: "0 1 1 01110000 i0000 0 jjjj 1 nnnnn ddddd"),

        Immediate("MOVI, MVNI 32", Operation.MoviMvni32, WriteVd, "0 q o", "0xx0", &SimdLanes.Bitwise<MoveBits, FromImmediate>),
        Immediate("ORR (vector, immediate) 32", Operation.OrrVectorImmediate32, ReadVd | WriteVd, "0 q 0", "0xx1",
            &SimdLanes.Bitwise<OrrDestination, FromImmediate>),
        Immediate("BIC (vector, immediate) 32", Operation.BicVectorImmediate32, ReadVd | WriteVd, "0 q 1", "0xx1",
            &SimdLanes.Bitwise<BicDestination, FromImmediate>),
        Immediate("MOVI, MVNI 16", Operation.MoviMvni16, WriteVd, "0 q o", "10x0", &SimdLanes.Bitwise<MoveBits, FromImmediate>),
        Immediate("ORR (vector, immediate) 16", Operation.OrrVectorImmediate16, ReadVd | WriteVd, "0 q 0", "10x1",
            &SimdLanes.Bitwise<OrrDestination, FromImmediate>),
        Immediate("BIC (vector, immediate) 16", Operation.BicVectorImmediate16, ReadVd | WriteVd, "0 q 1", "10x1",
            &SimdLanes.Bitwise<BicDestination, FromImmediate>),
        Immediate("MOVI, MVNI shifting ones", Operation.MoviMvniShiftingOnes, WriteVd, "0 q o", "110x",
            &SimdLanes.Bitwise<MoveBits, FromImmediate>),
        Immediate("MOVI 8 and 64", Operation.Movi8And64, WriteVd, "0 q o", "1110", &SimdLanes.Bitwise<MoveBits, FromImmediate>),

        Permutation("UZP1", Operation.Uzp1, WriteVd | ReadVn | ReadVm, "001", &SimdPermute.Permute<Unzip1>),
        Permutation("TRN1", Operation.Trn1, WriteVd | ReadVn | ReadVm, "010", &SimdPermute.Permute<Transpose1>),
        Permutation("ZIP1", Operation.Zip1, WriteVd | ReadVn | ReadVm, "011", &SimdPermute.Permute<Zip1>),
        Permutation("UZP2", Operation.Uzp2, WriteVd | ReadVn | ReadVm, "101", &SimdPermute.Permute<Unzip2>),
        Permutation("TRN2", Operation.Trn2, WriteVd | ReadVn | ReadVm, "110", &SimdPermute.Permute<Transpose2>),
        Permutation("ZIP2", Operation.Zip2, WriteVd | ReadVn | ReadVm, "111", &SimdPermute.Permute<Zip2>),

        new("0 q 101110 00 0 mmmmm 0 iiii 0 nnnnn ddddd", "EXT", Operation.Ext, WriteVd | ReadVn | ReadVm, &Operands.VectorExtract,
            &SimdPermute.Extract, except: "0 0 101110 00 0 mmmmm 0 1iii 0 nnnnn ddddd"),
        new("0 q 001110 00 0 mmmmm 0 ll 0 00 nnnnn ddddd", "TBL", Operation.Tbl, WriteVd | ReadVn | ReadVm | List, &Operands.VectorTable,
            &SimdPermute.TableLookup),
        new("0 q 001110 00 0 mmmmm 0 ll 1 00 nnnnn ddddd", "TBX", Operation.Tbx, WriteVd | ReadVn | ReadVm | ReadVd | List,
            &Operands.VectorTable, &SimdPermute.TableExtension),
    ];

    private static EncodingRow Immediate(
        string name, Operation operation, Effects effects, string top, string cmode,
        delegate*<VcpuCore, CpuState*, Interpreter.Op*, Interpreter.Op*> handler) =>
        new($"{top} 0111100000 aaa {cmode} 01 bbbbb ddddd", name, operation, effects, &Operands.VectorModifiedImmediate, handler);

    private static EncodingRow Permutation(
        string name, Operation operation, Effects effects, string opcode,
        delegate*<VcpuCore, CpuState*, Interpreter.Op*, Interpreter.Op*> handler) =>
        new(
            $"0 q 001110 zz 0 mmmmm 0 {opcode} 10 nnnnn ddddd",
            name,
            operation,
            effects,
            &Operands.Vector,
            handler,
            Feature.None,
            $"0 0 001110 11 0 mmmmm 0 {opcode} 10 nnnnn ddddd");
}
