using Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>Cryptographic AES, SHA-1 and SHA-256 (Arm ARM C4.1.96).</summary>
internal static unsafe class SimdCryptography
{
    private const RowFlags Simd = RowFlags.FpSimd;

    public static readonly EncodingRow[] Rows =
    [
        new("01001110 00 10100 00100 10 nnnnn ddddd", "AESE", &Operands.Vector, &SimdAes.Encrypt, Feature.Aes, Simd),
        new("01001110 00 10100 00101 10 nnnnn ddddd", "AESD", &Operands.Vector, &SimdAes.Decrypt, Feature.Aes, Simd),
        new("01001110 00 10100 00110 10 nnnnn ddddd", "AESMC", &Operands.Vector, &SimdAes.MixColumns, Feature.Aes, Simd),
        new("01001110 00 10100 00111 10 nnnnn ddddd", "AESIMC", &Operands.Vector, &SimdAes.InverseMixColumns, Feature.Aes, Simd),

        new("01011110 00 0 mmmmm 0 000 00 nnnnn ddddd", "SHA1C", &Operands.Vector, &SimdSha.Sha1Rounds<SimdSha.Choose>, Feature.Sha1, Simd),
        new("01011110 00 0 mmmmm 0 001 00 nnnnn ddddd", "SHA1P", &Operands.Vector, &SimdSha.Sha1Rounds<SimdSha.Parity>, Feature.Sha1, Simd),
        new("01011110 00 0 mmmmm 0 010 00 nnnnn ddddd", "SHA1M", &Operands.Vector, &SimdSha.Sha1Rounds<SimdSha.Majority>, Feature.Sha1, Simd),
        new("01011110 00 0 mmmmm 0 011 00 nnnnn ddddd", "SHA1SU0", &Operands.Vector, &SimdSha.Sha1Schedule0, Feature.Sha1, Simd),
        new("01011110 00 0 mmmmm 0 100 00 nnnnn ddddd", "SHA256H", &Operands.Vector, &SimdSha.Sha256Hash, Feature.Sha256, Simd),
        new("01011110 00 0 mmmmm 0 101 00 nnnnn ddddd", "SHA256H2", &Operands.Vector, &SimdSha.Sha256Hash2, Feature.Sha256, Simd),
        new("01011110 00 0 mmmmm 0 110 00 nnnnn ddddd", "SHA256SU1", &Operands.Vector, &SimdSha.Sha256Schedule1, Feature.Sha256, Simd),
        new("01011110 00 10100 00000 10 nnnnn ddddd", "SHA1H", &Operands.Vector, &SimdSha.Sha1Rotate, Feature.Sha1, Simd),
        new("01011110 00 10100 00001 10 nnnnn ddddd", "SHA1SU1", &Operands.Vector, &SimdSha.Sha1Schedule1, Feature.Sha1, Simd),
        new("01011110 00 10100 00010 10 nnnnn ddddd", "SHA256SU0", &Operands.Vector, &SimdSha.Sha256Schedule0, Feature.Sha256, Simd),
    ];
}
