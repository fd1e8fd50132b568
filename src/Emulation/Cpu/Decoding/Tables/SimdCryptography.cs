using Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;
using static Vmm.Emulation.Cpu.Decoding.Effects;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>Cryptographic AES, SHA-1 and SHA-256 (Arm ARM C4.1.96).</summary>
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
    ];
}
