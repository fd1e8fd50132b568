using Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;
using static Vmm.Emulation.Cpu.Decoding.Effects;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>Matrices of bytes and mixed sums of products, FEAT_I8MM (Arm ARM C4.1.96).</summary>
internal static unsafe class SimdMatrices
{
    public static readonly EncodingRow[] Rows =
    [
        new("01001110 10 0 mmmmm 10100 1 nnnnn ddddd", "SMMLA", Operation.Smmla, WriteVd | ReadVn | ReadVm | ReadVd, &Operands.Vector,
            &SimdMatrix.SignedMultiply, Feature.I8mm),
        new("01101110 10 0 mmmmm 10100 1 nnnnn ddddd", "UMMLA", Operation.Ummla, WriteVd | ReadVn | ReadVm | ReadVd, &Operands.Vector,
            &SimdMatrix.UnsignedMultiply, Feature.I8mm),
        new("01001110 10 0 mmmmm 10101 1 nnnnn ddddd", "USMMLA", Operation.Usmmla, WriteVd | ReadVn | ReadVm | ReadVd, &Operands.Vector,
            &SimdMatrix.MixedMultiply, Feature.I8mm),
        new("0 q 0 01110 10 0 mmmmm 10011 1 nnnnn ddddd", "USDOT (vector)", Operation.Usdot, WriteVd | ReadVn | ReadVm | ReadVd,
            &Operands.Vector, &SimdMatrix.UnsignedSignedDot<FromRegister>, Feature.I8mm),
        new("0 q 0 01111 10 l mmmmm 1111 h 0 nnnnn ddddd", "USDOT (by element)", Operation.UsdotByElement,
            WriteVd | ReadVn | ReadVm | ReadVd, &Operands.VectorElement, &SimdMatrix.UnsignedSignedDot<FromElement>, Feature.I8mm),
        new("0 q 0 01111 00 l mmmmm 1111 h 0 nnnnn ddddd", "SUDOT (by element)", Operation.SudotByElement,
            WriteVd | ReadVn | ReadVm | ReadVd, &Operands.VectorElement, &SimdMatrix.SignedUnsignedDot<FromElement>, Feature.I8mm),
    ];
}
