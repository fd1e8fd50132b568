using Vmm.Emulation.Cpu.Interpreter.Handlers;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;
using static Vmm.Emulation.Cpu.Decoding.Effects;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>Cryptographic AES, SHA, SM3 and SM4 (Arm ARM C4.1.96).</summary>
internal static unsafe class SimdCryptography
{
    public static readonly EncodingRow[] Rows =
    [
        new("01001110 00 10100 00100 10 nnnnn ddddd", "AESE", Operation.Aese, WriteVd | ReadVn | ReadVd, &Operands.Vector,
            &SimdAes.Encrypt, Feature.Aes),
        new("01001110 00 10100 00101 10 nnnnn ddddd", "AESD", Operation.Aesd, WriteVd | ReadVn | ReadVd, &Operands.Vector,
            &SimdAes.Decrypt, Feature.Aes),
        new("01001110 00 10100 00110 10 nnnnn ddddd", "AESMC", Operation.Aesmc, WriteVd | ReadVn, &Operands.Vector, &SimdAes.MixColumns,
            Feature.Aes),
        new("01001110 00 10100 00111 10 nnnnn ddddd", "AESIMC", Operation.Aesimc, WriteVd | ReadVn, &Operands.Vector,
            &SimdAes.InverseMixColumns, Feature.Aes),

        new("01011110 00 0 mmmmm 0 000 00 nnnnn ddddd", "SHA1C", Operation.Sha1c, WriteVd | ReadVn | ReadVm | ReadVd, &Operands.Vector,
            &SimdSha.Sha1Rounds<SimdSha.Choose>, Feature.Sha1),
        new("01011110 00 0 mmmmm 0 001 00 nnnnn ddddd", "SHA1P", Operation.Sha1p, WriteVd | ReadVn | ReadVm | ReadVd, &Operands.Vector,
            &SimdSha.Sha1Rounds<SimdSha.Parity>, Feature.Sha1),
        new("01011110 00 0 mmmmm 0 010 00 nnnnn ddddd", "SHA1M", Operation.Sha1m, WriteVd | ReadVn | ReadVm | ReadVd, &Operands.Vector,
            &SimdSha.Sha1Rounds<SimdSha.Majority>, Feature.Sha1),
        new("01011110 00 0 mmmmm 0 011 00 nnnnn ddddd", "SHA1SU0", Operation.Sha1su0, WriteVd | ReadVn | ReadVm | ReadVd, &Operands.Vector,
            &SimdSha.Sha1Schedule0, Feature.Sha1),
        new("01011110 00 0 mmmmm 0 100 00 nnnnn ddddd", "SHA256H", Operation.Sha256h, WriteVd | ReadVn | ReadVm | ReadVd, &Operands.Vector,
            &SimdSha.Sha256Hash, Feature.Sha256),
        new("01011110 00 0 mmmmm 0 101 00 nnnnn ddddd", "SHA256H2", Operation.Sha256h2, WriteVd | ReadVn | ReadVm | ReadVd,
            &Operands.Vector, &SimdSha.Sha256Hash2, Feature.Sha256),
        new("01011110 00 0 mmmmm 0 110 00 nnnnn ddddd", "SHA256SU1", Operation.Sha256su1, WriteVd | ReadVn | ReadVm | ReadVd,
            &Operands.Vector, &SimdSha.Sha256Schedule1, Feature.Sha256),
        new("01011110 00 10100 00000 10 nnnnn ddddd", "SHA1H", Operation.Sha1h, WriteVd | ReadVn, &Operands.Vector, &SimdSha.Sha1Rotate,
            Feature.Sha1),
        new("01011110 00 10100 00001 10 nnnnn ddddd", "SHA1SU1", Operation.Sha1su1, WriteVd | ReadVn | ReadVd, &Operands.Vector,
            &SimdSha.Sha1Schedule1, Feature.Sha1),
        new("01011110 00 10100 00010 10 nnnnn ddddd", "SHA256SU0", Operation.Sha256su0, WriteVd | ReadVn | ReadVd, &Operands.Vector,
            &SimdSha.Sha256Schedule0, Feature.Sha256),

        new("11001110 011 mmmmm 1 0 00 00 nnnnn ddddd", "SHA512H", Operation.Sha512h, WriteVd | ReadVn | ReadVm | ReadVd,
            &FloatingPointScalar.Fields, &SimdSha3.Hash512, Feature.Sha512),
        new("11001110 011 mmmmm 1 0 00 01 nnnnn ddddd", "SHA512H2", Operation.Sha512h2, WriteVd | ReadVn | ReadVm | ReadVd,
            &FloatingPointScalar.Fields, &SimdSha3.Hash512Second, Feature.Sha512),
        new("11001110 110 00000 1000 00 nnnnn ddddd", "SHA512SU0", Operation.Sha512su0, WriteVd | ReadVn | ReadVd,
            &FloatingPointScalar.Fields, &SimdSha3.Schedule512First, Feature.Sha512),
        new("11001110 011 mmmmm 1 0 00 10 nnnnn ddddd", "SHA512SU1", Operation.Sha512su1, WriteVd | ReadVn | ReadVm | ReadVd,
            &FloatingPointScalar.Fields, &SimdSha3.Schedule512Second, Feature.Sha512),
        new("11001110 000 mmmmm 0 aaaaa nnnnn ddddd", "EOR3", Operation.Eor3, WriteVd | ReadVn | ReadVm | ReadVa,
            &FloatingPointScalar.Fields, &SimdSha3.ExclusiveOrThree, Feature.Sha3),
        new("11001110 001 mmmmm 0 aaaaa nnnnn ddddd", "BCAX", Operation.Bcax, WriteVd | ReadVn | ReadVm | ReadVa,
            &FloatingPointScalar.Fields, &SimdSha3.ClearAndExclusiveOr, Feature.Sha3),
        new("11001110 011 mmmmm 1 0 00 11 nnnnn ddddd", "RAX1", Operation.Rax1, WriteVd | ReadVn | ReadVm, &FloatingPointScalar.Fields,
            &SimdSha3.RotateAndExclusiveOr, Feature.Sha3),
        new("11001110 100 mmmmm iiiiii nnnnn ddddd", "XAR", Operation.Xar, WriteVd | ReadVn | ReadVm, &Operands.VectorRotation,
            &SimdSha3.ExclusiveOrAndRotate, Feature.Sha3),
        new("11001110 010 mmmmm 10 ii 00 nnnnn ddddd", "SM3TT1A", Operation.Sm3tt1a, WriteVd | ReadVn | ReadVm | ReadVd, &SimdSm.Indexed,
            &SimdSm.Sm3First<SimdSha.Parity>, Feature.Sm3),
        new("11001110 010 mmmmm 10 ii 01 nnnnn ddddd", "SM3TT1B", Operation.Sm3tt1b, WriteVd | ReadVn | ReadVm | ReadVd, &SimdSm.Indexed,
            &SimdSm.Sm3First<SimdSha.Majority>, Feature.Sm3),
        new("11001110 010 mmmmm 10 ii 10 nnnnn ddddd", "SM3TT2A", Operation.Sm3tt2a, WriteVd | ReadVn | ReadVm | ReadVd, &SimdSm.Indexed,
            &SimdSm.Sm3Second<SimdSha.Parity>, Feature.Sm3),
        new("11001110 010 mmmmm 10 ii 11 nnnnn ddddd", "SM3TT2B", Operation.Sm3tt2b, WriteVd | ReadVn | ReadVm | ReadVd, &SimdSm.Indexed,
            &SimdSm.Sm3Second<SimdSha.Choose>, Feature.Sm3),
        new("11001110 010 mmmmm 0 aaaaa nnnnn ddddd", "SM3SS1", Operation.Sm3ss1, WriteVd | ReadVn | ReadVm | ReadVa,
            &FloatingPointScalar.Fields, &SimdSm.Sm3Sum, Feature.Sm3),
        new("11001110 011 mmmmm 1 1 00 00 nnnnn ddddd", "SM3PARTW1", Operation.Sm3partw1, WriteVd | ReadVn | ReadVm | ReadVd,
            &FloatingPointScalar.Fields, &SimdSm.Sm3Schedule1, Feature.Sm3),
        new("11001110 011 mmmmm 1 1 00 01 nnnnn ddddd", "SM3PARTW2", Operation.Sm3partw2, WriteVd | ReadVn | ReadVm | ReadVd,
            &FloatingPointScalar.Fields, &SimdSm.Sm3Schedule2, Feature.Sm3),
        new("11001110 110 00000 1000 01 nnnnn ddddd", "SM4E", Operation.Sm4e, WriteVd | ReadVn | ReadVd, &FloatingPointScalar.Fields,
            &SimdSm.Sm4Encrypt, Feature.Sm4),
        new("11001110 011 mmmmm 1 1 00 10 nnnnn ddddd", "SM4EKEY", Operation.Sm4ekey, WriteVd | ReadVn | ReadVm,
            &FloatingPointScalar.Fields, &SimdSm.Sm4ExpandKey, Feature.Sm4),
    ];
}
