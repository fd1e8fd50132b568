using System.Numerics;
using System.Runtime.Intrinsics;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;

/// <summary>SHA-512 and SHA-3 instructions (Arm ARM C7.2; FIPS 180-4 and 202).</summary>
internal static unsafe class SimdSha3
{
    /// <summary>EOR3.</summary>
    public static Op* ExclusiveOrThree(VcpuCore core, CpuState* s, Op* op)
    {
        VectorAccess.Write(s, op->Rd,
            VectorAccess.Read<ulong>(s, op->Rn) ^ VectorAccess.Read<ulong>(s, op->Rm) ^ VectorAccess.Read<ulong>(s, op->Ra));
        return op + 1;
    }

    /// <summary>BCAX: n ^ (m and not a).</summary>
    public static Op* ClearAndExclusiveOr(VcpuCore core, CpuState* s, Op* op)
    {
        Vector128<ulong> cleared = Vector128.AndNot(VectorAccess.Read<ulong>(s, op->Rm), VectorAccess.Read<ulong>(s, op->Ra));
        VectorAccess.Write(s, op->Rd, VectorAccess.Read<ulong>(s, op->Rn) ^ cleared);
        return op + 1;
    }

    /// <summary>RAX1: n ^ (m rotated left by one).</summary>
    public static Op* RotateAndExclusiveOr(VcpuCore core, CpuState* s, Op* op)
    {
        VectorAccess.Write(s, op->Rd, VectorAccess.Read<ulong>(s, op->Rn) ^ Rotate(VectorAccess.Read<ulong>(s, op->Rm), 63));
        return op + 1;
    }

    /// <summary>XAR: n ^ m, rotated right by Shift.</summary>
    public static Op* ExclusiveOrAndRotate(VcpuCore core, CpuState* s, Op* op)
    {
        VectorAccess.Write(s, op->Rd, Rotate(VectorAccess.Read<ulong>(s, op->Rn) ^ VectorAccess.Read<ulong>(s, op->Rm), op->Shift));
        return op + 1;
    }

    // A shift by 64 would be one by 0: with a count of 0 both parts are the value.
    private static Vector128<ulong> Rotate(Vector128<ulong> value, int count) => (value >>> count) | (value << ((64 - count) & 63));

    /// <summary>SHA512H: two rounds, the part that needs Sigma1 and Ch.</summary>
    public static Op* Hash512(VcpuCore core, CpuState* s, Op* op)
    {
        ulong* x = VectorAccess.Lanes<ulong>(s, op->Rn);
        ulong* y = VectorAccess.Lanes<ulong>(s, op->Rm);
        ulong* w = VectorAccess.Lanes<ulong>(s, op->Rd);
        ulong high = ((y[1] & x[0]) ^ (~y[1] & x[1])) + UpperSigma1(y[1]) + w[1];
        ulong next = high + y[0];
        ulong low = ((next & y[1]) ^ (~next & x[0])) + UpperSigma1(next) + w[0];
        VectorAccess.Write(s, op->Rd, Vector128.Create(low, high));
        return op + 1;
    }

    /// <summary>SHA512H2: two rounds, the part that needs Sigma0 and Maj.</summary>
    public static Op* Hash512Second(VcpuCore core, CpuState* s, Op* op)
    {
        ulong x = *VectorAccess.Lanes<ulong>(s, op->Rn);
        ulong* y = VectorAccess.Lanes<ulong>(s, op->Rm);
        ulong* w = VectorAccess.Lanes<ulong>(s, op->Rd);
        ulong high = ((x & y[1]) ^ (x & y[0]) ^ (y[1] & y[0])) + UpperSigma0(y[0]) + w[1];
        ulong low = ((high & y[0]) ^ (high & y[1]) ^ (y[1] & y[0])) + UpperSigma0(high) + w[0];
        VectorAccess.Write(s, op->Rd, Vector128.Create(low, high));
        return op + 1;
    }

    /// <summary>SHA512SU0.</summary>
    public static Op* Schedule512First(VcpuCore core, CpuState* s, Op* op)
    {
        ulong* w = VectorAccess.Lanes<ulong>(s, op->Rd);
        ulong x = *VectorAccess.Lanes<ulong>(s, op->Rn);
        VectorAccess.Write(s, op->Rd, Vector128.Create(w[0] + LowerSigma0(w[1]), w[1] + LowerSigma0(x)));
        return op + 1;
    }

    /// <summary>SHA512SU1.</summary>
    public static Op* Schedule512Second(VcpuCore core, CpuState* s, Op* op)
    {
        ulong* w = VectorAccess.Lanes<ulong>(s, op->Rd);
        ulong* x = VectorAccess.Lanes<ulong>(s, op->Rn);
        ulong* y = VectorAccess.Lanes<ulong>(s, op->Rm);
        VectorAccess.Write(s, op->Rd, Vector128.Create(w[0] + LowerSigma1(x[0]) + y[0], w[1] + LowerSigma1(x[1]) + y[1]));
        return op + 1;
    }

    private static ulong UpperSigma0(ulong x) =>
        BitOperations.RotateRight(x, 28) ^ BitOperations.RotateRight(x, 34) ^ BitOperations.RotateRight(x, 39);

    private static ulong UpperSigma1(ulong x) =>
        BitOperations.RotateRight(x, 14) ^ BitOperations.RotateRight(x, 18) ^ BitOperations.RotateRight(x, 41);

    private static ulong LowerSigma0(ulong x) => BitOperations.RotateRight(x, 1) ^ BitOperations.RotateRight(x, 8) ^ (x >> 7);

    private static ulong LowerSigma1(ulong x) => BitOperations.RotateRight(x, 19) ^ BitOperations.RotateRight(x, 61) ^ (x >> 6);
}

/// <summary>SM3 and SM4 instructions (Arm ARM C7.2; GB/T 32905 and 32907). <see cref="Op.Extra"/> is the index of a word of m.</summary>
internal static unsafe class SimdSm
{
    private static readonly byte[] Substitution = BuildSubstitution();

    /// <summary>SM3TT1A to SM3TT2B: the index is in bits 13:12.</summary>
    public static void Indexed(Op* op)
    {
        FloatingPointScalar.Fields(op);
        op->Extra = (byte)((op->Word >> 12) & 3);
    }

    /// <summary>SM3SS1.</summary>
    public static Op* Sm3Sum(VcpuCore core, CpuState* s, Op* op)
    {
        uint n = VectorAccess.Lanes<uint>(s, op->Rn)[3];
        uint sum = BitOperations.RotateLeft(n, 12) + VectorAccess.Lanes<uint>(s, op->Rm)[3] + VectorAccess.Lanes<uint>(s, op->Ra)[3];
        VectorAccess.Write(s, op->Rd, Vector128.Create(0, 0, 0, BitOperations.RotateLeft(sum, 7)));
        return op + 1;
    }

    /// <summary>SM3TT1A, SM3TT1B: a round of the first sum, with parity or the majority.</summary>
    public static Op* Sm3First<TFunction>(VcpuCore core, CpuState* s, Op* op)
        where TFunction : struct, SimdSha.IRoundFunction
    {
        uint* d = VectorAccess.Lanes<uint>(s, op->Rd);
        uint second = VectorAccess.Lanes<uint>(s, op->Rn)[3] ^ BitOperations.RotateLeft(d[3], 12);
        uint sum = TFunction.Apply(d[3], d[1], d[2]) + d[0] + second + VectorAccess.Lanes<uint>(s, op->Rm)[op->Extra];
        VectorAccess.Write(s, op->Rd, Vector128.Create(d[1], BitOperations.RotateLeft(d[2], 9), d[3], sum));
        return op + 1;
    }

    /// <summary>SM3TT2A, SM3TT2B: a round of the second sum, with parity or a choice.</summary>
    public static Op* Sm3Second<TFunction>(VcpuCore core, CpuState* s, Op* op)
        where TFunction : struct, SimdSha.IRoundFunction
    {
        uint* d = VectorAccess.Lanes<uint>(s, op->Rd);
        uint sum = TFunction.Apply(d[3], d[2], d[1]) + d[0] + VectorAccess.Lanes<uint>(s, op->Rn)[3]
            + VectorAccess.Lanes<uint>(s, op->Rm)[op->Extra];
        sum = sum ^ BitOperations.RotateLeft(sum, 9) ^ BitOperations.RotateLeft(sum, 17);
        VectorAccess.Write(s, op->Rd, Vector128.Create(d[1], BitOperations.RotateLeft(d[2], 19), d[3], sum));
        return op + 1;
    }

    /// <summary>SM3PARTW1: the last word depends on the first of the result.</summary>
    public static Op* Sm3Schedule1(VcpuCore core, CpuState* s, Op* op)
    {
        Vector128<uint> x = VectorAccess.Read<uint>(s, op->Rd) ^ VectorAccess.Read<uint>(s, op->Rn);
        uint* m = VectorAccess.Lanes<uint>(s, op->Rm);
        uint first = Permute(x[0] ^ BitOperations.RotateLeft(m[1], 15));
        uint second = Permute(x[1] ^ BitOperations.RotateLeft(m[2], 15));
        uint third = Permute(x[2] ^ BitOperations.RotateLeft(m[3], 15));
        uint fourth = Permute(x[3] ^ BitOperations.RotateLeft(first, 15));
        VectorAccess.Write(s, op->Rd, Vector128.Create(first, second, third, fourth));
        return op + 1;
    }

    /// <summary>SM3PARTW2.</summary>
    public static Op* Sm3Schedule2(VcpuCore core, CpuState* s, Op* op)
    {
        Vector128<uint> m = VectorAccess.Read<uint>(s, op->Rm);
        Vector128<uint> part = VectorAccess.Read<uint>(s, op->Rn) ^ ((m << 7) | (m >>> 25));
        uint last = Permute(BitOperations.RotateLeft(part[0], 15));
        VectorAccess.Write(s, op->Rd, VectorAccess.Read<uint>(s, op->Rd) ^ part ^ Vector128.Create(0, 0, 0, last));
        return op + 1;
    }

    private static uint Permute(uint x) => x ^ BitOperations.RotateLeft(x, 15) ^ BitOperations.RotateLeft(x, 23);

    /// <summary>SM4E: four rounds of the state d with the keys n.</summary>
    public static Op* Sm4Encrypt(VcpuCore core, CpuState* s, Op* op)
    {
        VectorAccess.Write(s, op->Rd, Sm4(VectorAccess.Read<uint>(s, op->Rd), VectorAccess.Read<uint>(s, op->Rn), isKey: false));
        return op + 1;
    }

    /// <summary>SM4EKEY: four rounds of the key n with the constants m.</summary>
    public static Op* Sm4ExpandKey(VcpuCore core, CpuState* s, Op* op)
    {
        VectorAccess.Write(s, op->Rd, Sm4(VectorAccess.Read<uint>(s, op->Rn), VectorAccess.Read<uint>(s, op->Rm), isKey: true));
        return op + 1;
    }

    private static Vector128<uint> Sm4(Vector128<uint> state, Vector128<uint> keys, bool isKey)
    {
        (uint a, uint b, uint c, uint d) = (state[0], state[1], state[2], state[3]);
        for (int i = 0; i < 4; i++)
        {
            uint x = b ^ c ^ d ^ keys[i];
            x = Substitution[(byte)x] | ((uint)Substitution[(byte)(x >> 8)] << 8) | ((uint)Substitution[(byte)(x >> 16)] << 16)
                | ((uint)Substitution[x >> 24] << 24);
            x ^= isKey
                ? BitOperations.RotateLeft(x, 13) ^ BitOperations.RotateLeft(x, 23)
                : BitOperations.RotateLeft(x, 2) ^ BitOperations.RotateLeft(x, 10) ^ BitOperations.RotateLeft(x, 18)
                    ^ BitOperations.RotateLeft(x, 24);
            (a, b, c, d) = (b, c, d, a ^ x);
        }

        return Vector128.Create(a, b, c, d);
    }

    // S(x) = A(inverse of (A(x) + C)) + C in GF(2^8) modulo x^8 + x^7 + x^6 + x^5 + x^4 + x^2 + 1, where bit i of A(x) is the parity of x
    // and a constant rotated left by i.
    private static byte[] BuildSubstitution()
    {
        const int constant = 0xD3;
        var inverse = new byte[256];
        for (int x = 1; x < 256; x++)
        {
            for (int y = 1; y < 256 && inverse[x] == 0; y++)
            {
                inverse[x] = Product(x, y) == 1 ? (byte)y : (byte)0;
            }
        }

        var table = new byte[256];
        for (int x = 0; x < 256; x++)
        {
            table[x] = (byte)(Affine(inverse[Affine(x) ^ constant]) ^ constant);
        }

        return table;
    }

    private static int Affine(int x)
    {
        int result = 0;
        for (int i = 0; i < 8; i++)
        {
            int row = ((0xA7 << i) | (0xA7 >> (8 - i))) & 0xFF;
            result |= (BitOperations.PopCount((uint)(row & x)) & 1) << i;
        }

        return result;
    }

    private static int Product(int x, int y)
    {
        int result = 0;
        for (; y != 0; y >>= 1)
        {
            result ^= (y & 1) != 0 ? x : 0;
            x = (x << 1) ^ ((x & 0x80) != 0 ? 0x1F5 : 0);
        }

        return result;
    }
}
