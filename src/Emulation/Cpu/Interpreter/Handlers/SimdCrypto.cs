using System.Numerics;
using System.Runtime.Intrinsics;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;

/// <summary>
/// AES single-round instructions (Arm ARM C7.2, AESE and following; FIPS 197), by tables that are computed from the field.
/// </summary>
internal static unsafe class SimdAes
{
    private static readonly byte[] SubstitutionTable = BuildSubstitution();
    private static readonly byte[] InverseSubstitution = Invert(SubstitutionTable);

    // The bytes of the state are columns of four: byte i of a shifted state comes from this one.
    private static ReadOnlySpan<byte> ShiftRows => [0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11];

    private static ReadOnlySpan<byte> InverseShiftRows => [0, 13, 10, 7, 4, 1, 14, 11, 8, 5, 2, 15, 12, 9, 6, 3];

    /// <summary>AESE: ShiftRows and SubBytes of the sum of state and key.</summary>
    public static Op* Encrypt(VcpuCore core, CpuState* s, Op* op) => Round(s, op, SubstitutionTable, ShiftRows);

    /// <summary>AESD.</summary>
    public static Op* Decrypt(VcpuCore core, CpuState* s, Op* op) => Round(s, op, InverseSubstitution, InverseShiftRows);

    /// <summary>AESMC.</summary>
    public static Op* MixColumns(VcpuCore core, CpuState* s, Op* op)
    {
        Vector128<uint> state = VectorAccess.Read<uint>(s, op->Rn);
        VectorAccess.Write(s, op->Rd, Mix(state));
        return op + 1;
    }

    /// <summary>AESIMC: the inverse matrix is the forward one times {05, 00, 04, 00}.</summary>
    public static Op* InverseMixColumns(VcpuCore core, CpuState* s, Op* op)
    {
        Vector128<uint> state = VectorAccess.Read<uint>(s, op->Rn);
        Vector128<uint> times4 = Double(Double(state));
        Vector128<uint> crossed = times4 ^ (times4 << 16) ^ (times4 >>> 16);
        VectorAccess.Write(s, op->Rd, Mix(state ^ crossed));
        return op + 1;
    }

    /// <summary>A round of encryption without its key: AESE with a key of zero, and AESMC.</summary>
    public static Vector128<byte> EncryptRound(Vector128<byte> state) =>
        Mix(Substitute(state, SubstitutionTable, ShiftRows).AsUInt32()).AsByte();

    private static Op* Round(CpuState* s, Op* op, byte[] table, ReadOnlySpan<byte> order)
    {
        Vector128<byte> state = VectorAccess.Read<byte>(s, op->Rd) ^ VectorAccess.Read<byte>(s, op->Rn);
        VectorAccess.Write(s, op->Rd, Substitute(state, table, order));
        return op + 1;
    }

    private static Vector128<byte> Substitute(Vector128<byte> state, byte[] table, ReadOnlySpan<byte> order)
    {
        Vector128<byte> result = default;
        byte* from = (byte*)&state;
        byte* to = (byte*)&result;
        for (int i = 0; i < 16; i++)
        {
            to[i] = table[from[order[i]]];
        }

        return result;
    }

    // Each column times {02, 03, 01, 01}: 2a ^ 3b ^ c ^ d, where b, c, d are the following bytes of the column.
    private static Vector128<uint> Mix(Vector128<uint> a)
    {
        Vector128<uint> next = (a >>> 8) | (a << 24);
        Vector128<uint> both = a ^ next;
        return Double(both) ^ next ^ ((both >>> 16) | (both << 16));
    }

    // Each byte times 2 in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1.
    private static Vector128<uint> Double(Vector128<uint> a)
    {
        Vector128<uint> carry = (a >>> 7) & Vector128.Create(0x0101_0101u);
        return ((a & Vector128.Create(0x7F7F_7F7Fu)) << 1) ^ (carry * 0x1B);
    }

    // S-box: the inverse in GF(2^8), walked by powers of the generator 3 and its inverse, then the affine map.
    private static byte[] BuildSubstitution()
    {
        var table = new byte[256];
        byte p = 1;
        byte q = 1;
        do
        {
            p = (byte)(p ^ (p << 1) ^ ((p & 0x80) != 0 ? 0x1B : 0));
            q ^= (byte)(q << 1);
            q ^= (byte)(q << 2);
            q ^= (byte)(q << 4);
            q ^= (byte)((q & 0x80) != 0 ? 0x09 : 0);
            table[p] = (byte)(q ^ Rotate(q, 1) ^ Rotate(q, 2) ^ Rotate(q, 3) ^ Rotate(q, 4) ^ 0x63);
        }
        while (p != 1);
        table[0] = 0x63;
        return table;
    }

    private static int Rotate(byte value, int count) => (byte)((value << count) | (value >> (8 - count)));

    private static byte[] Invert(byte[] table)
    {
        var inverse = new byte[256];
        for (int i = 0; i < 256; i++)
        {
            inverse[table[i]] = (byte)i;
        }

        return inverse;
    }
}

/// <summary>SHA-1 and SHA-256 instructions (Arm ARM C7.2; FIPS 180-4).</summary>
internal static unsafe class SimdSha
{
    /// <summary>A function of three words of a SHA-1 round.</summary>
    internal interface IRoundFunction
    {
        static abstract uint Apply(uint x, uint y, uint z);
    }

    internal readonly struct Choose : IRoundFunction
    {
        public static uint Apply(uint x, uint y, uint z) => ((y ^ z) & x) ^ z;
    }

    internal readonly struct Parity : IRoundFunction
    {
        public static uint Apply(uint x, uint y, uint z) => x ^ y ^ z;
    }

    internal readonly struct Majority : IRoundFunction
    {
        public static uint Apply(uint x, uint y, uint z) => (x & y) | ((x | y) & z);
    }

    /// <summary>SHA1C, SHA1P, SHA1M: four rounds.</summary>
    public static Op* Sha1Rounds<TFunction>(VcpuCore core, CpuState* s, Op* op)
        where TFunction : struct, IRoundFunction
    {
        Vector128<uint> w = VectorAccess.Read<uint>(s, op->Rm);
        uint y = *VectorAccess.Lanes<uint>(s, op->Rn);
        uint* x = VectorAccess.Lanes<uint>(s, op->Rd);
        (uint a, uint b, uint c, uint d) = (x[0], x[1], x[2], x[3]);
        for (int i = 0; i < 4; i++)
        {
            uint t = y + BitOperations.RotateLeft(a, 5) + TFunction.Apply(b, c, d) + w[i];
            (y, d, c, b, a) = (d, c, BitOperations.RotateLeft(b, 30), a, t);
        }

        VectorAccess.Write(s, op->Rd, Vector128.Create(a, b, c, d));
        return op + 1;
    }

    /// <summary>SHA1H: rotates a word by 30.</summary>
    public static Op* Sha1Rotate(VcpuCore core, CpuState* s, Op* op)
    {
        VectorAccess.WriteScalar(s, op->Rd, BitOperations.RotateLeft(*VectorAccess.Lanes<uint>(s, op->Rn), 30));
        return op + 1;
    }

    /// <summary>SHA1SU0.</summary>
    public static Op* Sha1Schedule0(VcpuCore core, CpuState* s, Op* op)
    {
        ulong* d = VectorAccess.Lanes<ulong>(s, op->Rd);
        ulong* n = VectorAccess.Lanes<ulong>(s, op->Rn);
        Vector128<ulong> m = VectorAccess.Read<ulong>(s, op->Rm);
        VectorAccess.Write(s, op->Rd, Vector128.Create(d[1], n[0]) ^ VectorAccess.Read<ulong>(s, op->Rd) ^ m);
        return op + 1;
    }

    /// <summary>SHA1SU1: the last word depends on the first of the result.</summary>
    public static Op* Sha1Schedule1(VcpuCore core, CpuState* s, Op* op)
    {
        uint* d = VectorAccess.Lanes<uint>(s, op->Rd);
        uint* n = VectorAccess.Lanes<uint>(s, op->Rn);
        uint first = BitOperations.RotateLeft(d[0] ^ n[1], 1);
        uint second = BitOperations.RotateLeft(d[1] ^ n[2], 1);
        uint third = BitOperations.RotateLeft(d[2] ^ n[3], 1);
        uint fourth = BitOperations.RotateLeft(d[3] ^ first, 1);
        VectorAccess.Write(s, op->Rd, Vector128.Create(first, second, third, fourth));
        return op + 1;
    }

    /// <summary>SHA256H: four rounds, the part ABCD.</summary>
    public static Op* Sha256Hash(VcpuCore core, CpuState* s, Op* op)
    {
        Sha256(s, VectorAccess.Read<uint>(s, op->Rd), VectorAccess.Read<uint>(s, op->Rn), op, out Vector128<uint> abcd, out _);
        VectorAccess.Write(s, op->Rd, abcd);
        return op + 1;
    }

    /// <summary>SHA256H2: the part EFGH.</summary>
    public static Op* Sha256Hash2(VcpuCore core, CpuState* s, Op* op)
    {
        Sha256(s, VectorAccess.Read<uint>(s, op->Rn), VectorAccess.Read<uint>(s, op->Rd), op, out _, out Vector128<uint> efgh);
        VectorAccess.Write(s, op->Rd, efgh);
        return op + 1;
    }

    /// <summary>SHA256SU0.</summary>
    public static Op* Sha256Schedule0(VcpuCore core, CpuState* s, Op* op)
    {
        Vector128<uint> d = VectorAccess.Read<uint>(s, op->Rd);
        Vector128<uint> next = Vector128.Create(d[1], d[2], d[3], *VectorAccess.Lanes<uint>(s, op->Rn));
        VectorAccess.Write(s, op->Rd, d + (Rotate(next, 7) ^ Rotate(next, 18) ^ (next >>> 3)));
        return op + 1;
    }

    /// <summary>SHA256SU1: the upper two words depend on the lower two of the result.</summary>
    public static Op* Sha256Schedule1(VcpuCore core, CpuState* s, Op* op)
    {
        Vector128<uint> d = VectorAccess.Read<uint>(s, op->Rd);
        Vector128<uint> n = VectorAccess.Read<uint>(s, op->Rn);
        Vector128<uint> m = VectorAccess.Read<uint>(s, op->Rm);
        uint r0 = d[0] + n[1] + LowerSigma1(m[2]);
        uint r1 = d[1] + n[2] + LowerSigma1(m[3]);
        uint r2 = d[2] + n[3] + LowerSigma1(r0);
        uint r3 = d[3] + m[0] + LowerSigma1(r1);
        VectorAccess.Write(s, op->Rd, Vector128.Create(r0, r1, r2, r3));
        return op + 1;
    }

    private static void Sha256(CpuState* s, Vector128<uint> x, Vector128<uint> y, Op* op,
        out Vector128<uint> abcd, out Vector128<uint> efgh)
    {
        Vector128<uint> w = VectorAccess.Read<uint>(s, op->Rm);
        (uint a, uint b, uint c, uint d) = (x[0], x[1], x[2], x[3]);
        (uint e, uint f, uint g, uint h) = (y[0], y[1], y[2], y[3]);
        for (int i = 0; i < 4; i++)
        {
            uint sigma1 = BitOperations.RotateRight(e, 6) ^ BitOperations.RotateRight(e, 11) ^ BitOperations.RotateRight(e, 25);
            uint sigma0 = BitOperations.RotateRight(a, 2) ^ BitOperations.RotateRight(a, 13) ^ BitOperations.RotateRight(a, 22);
            uint t = h + sigma1 + Choose.Apply(e, f, g) + w[i];
            (h, g, f, e, d, c, b, a) = (g, f, e, d + t, c, b, a, t + sigma0 + Majority.Apply(a, b, c));
        }

        abcd = Vector128.Create(a, b, c, d);
        efgh = Vector128.Create(e, f, g, h);
    }

    private static Vector128<uint> Rotate(Vector128<uint> value, int count) => (value >>> count) | (value << (32 - count));

    private static uint LowerSigma1(uint x) => BitOperations.RotateRight(x, 17) ^ BitOperations.RotateRight(x, 19) ^ (x >> 10);
}
