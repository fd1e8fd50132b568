using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// SHA-512 (FIPS 180-4, 4.1.3), in XMM registers alone: few hosts have instructions for it. Two rounds are computed one after the other in
/// the low halves of registers. The result is made in XMM0.
/// </summary>
internal static unsafe class Sha512Emitters
{
    // Of PSHUFD: the high half, twice.
    private const int HighTwice = 0xEE;

    /// <summary>SHA512H: the parts of two rounds that need Sigma1 and Ch.</summary>
    public static bool Hash(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        int n = e.Vectors.Read(op->Rn);
        int m = e.Vectors.Read(op->Rm);
        e.Asm.ShuffleWords(1, m, HighTwice);
        e.Asm.ShuffleWords(0, n, HighTwice);
        Choose(e, target: 0, mask: 1, ifSet: n, scratch: 2);
        UpperSigma1(e, target: 2, source: 1, scratch: 3);
        AddHigh(e, op->Rd, sum: 2);

        // The second round takes its first word from the first one.
        e.Asm.Packed(Packed.AddD, 2, 0, m);
        e.Asm.CopyXmm(3, n);
        Choose(e, target: 3, mask: 2, ifSet: 1, scratch: 1);
        JoinRounds(e, op->Rd, second: 3);
        UpperSigma1(e, target: 1, source: 2, scratch: 3);
        return Finish(e, op);
    }

    /// <summary>SHA512H2: the parts of two rounds that need Sigma0 and Maj.</summary>
    public static bool Hash2(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        int m = e.Vectors.Read(op->Rm);
        e.Asm.ShuffleWords(1, m, HighTwice);
        e.Asm.CopyXmm(0, e.Vectors.Read(op->Rn));
        Majority(e, target: 0, m, other: 1, scratch: 2);
        UpperSigma0(e, target: 2, source: m, scratch: 3);
        AddHigh(e, op->Rd, sum: 2);

        e.Asm.CopyXmm(2, 0);
        e.Asm.CopyXmm(3, 0);
        Majority(e, target: 3, m, other: 1, scratch: 1);
        JoinRounds(e, op->Rd, second: 3);
        UpperSigma0(e, target: 1, source: 2, scratch: 3);
        return Finish(e, op);
    }

    /// <summary>SHA512SU0.</summary>
    public static bool Schedule0(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        int d = e.Vectors.Read(op->Rd);
        e.Asm.AlignRight(1, e.Vectors.Read(op->Rn), d, 8);
        e.Asm.PackedShift(PackedShift.Right, 8, 0, 1, 7);
        Mix(e, target: 0, source: 1, count: 1, scratch: 2);
        Mix(e, target: 0, source: 1, count: 8, scratch: 2);
        e.Asm.Packed(Packed.AddD, 0, d);
        SimdSequences.StoreVector(e, op->Rd, 16);
        return true;
    }

    /// <summary>SHA512SU1.</summary>
    public static bool Schedule1(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        int n = e.Vectors.Read(op->Rn);
        e.Asm.PackedShift(PackedShift.Right, 8, 0, n, 6);
        Mix(e, target: 0, source: n, count: 19, scratch: 1);
        Mix(e, target: 0, source: n, count: 61, scratch: 1);
        e.Asm.Packed(Packed.AddD, 0, e.Vectors.Read(op->Rm));
        e.Asm.Packed(Packed.AddD, 0, e.Vectors.Read(op->Rd));
        SimdSequences.StoreVector(e, op->Rd, 16);
        return true;
    }

    // XMM0 += a sum, and the high word of d.
    private static void AddHigh(BlockEmitter e, int d, int sum)
    {
        e.Asm.Packed(Packed.AddD, 0, sum);
        e.Asm.ShuffleWords(sum, e.Vectors.Read(d), HighTwice);
        e.Asm.Packed(Packed.AddD, 0, sum);
    }

    // XMM0, which has the first round: that one above, and below the second one, to which the low word of d is added.
    private static void JoinRounds(BlockEmitter e, int d, int second)
    {
        e.Asm.Packed(Packed.AddD, second, e.Vectors.Read(d));
        e.Asm.Packed(Packed.UnpackLowD, 0, second, 0);
    }

    // Adds the sigma of the second round, in XMM1.
    private static bool Finish(BlockEmitter e, Op* op)
    {
        e.Asm.CopyLow(true, 1, 1);
        e.Asm.Packed(Packed.AddD, 0, 1);
        SimdSequences.StoreVector(e, op->Rd, 16);
        return true;
    }

    // Ch: the target keeps its bits where the mask is clear. The scratch register may be the one that is taken from.
    private static void Choose(BlockEmitter e, int target, int mask, int ifSet, int scratch)
    {
        e.Asm.Packed(Packed.Xor, scratch, ifSet, target);
        e.Asm.Packed(Packed.And, scratch, mask);
        e.Asm.Packed(Packed.Xor, target, scratch);
    }

    // Maj of the target and two others. The scratch register may be the second of these.
    private static void Majority(BlockEmitter e, int target, int one, int other, int scratch)
    {
        e.Asm.Packed(Packed.Xor, scratch, other, one);
        e.Asm.Packed(Packed.Xor, target, one);
        e.Asm.Packed(Packed.And, target, scratch);
        e.Asm.Packed(Packed.Xor, target, one);
    }

    private static void UpperSigma0(BlockEmitter e, int target, int source, int scratch) =>
        Rotations(e, target, source, scratch, 28, 34, 39);

    private static void UpperSigma1(BlockEmitter e, int target, int source, int scratch) =>
        Rotations(e, target, source, scratch, 14, 18, 41);

    private static void Rotations(BlockEmitter e, int target, int source, int scratch, int first, int second, int third)
    {
        SimdSequences.RotateRight(e, 3, target, source, first, scratch);
        Mix(e, target, source, second, scratch);
        Mix(e, target, source, third, scratch);
    }

    // target ^= doublewords rotated right.
    private static void Mix(BlockEmitter e, int target, int source, int count, int scratch)
    {
        if (Assembler.HasRotations)
        {
            e.Asm.RotateRight(true, scratch, source, count);
            e.Asm.Packed(Packed.Xor, target, scratch);
            return;
        }

        e.Asm.PackedShift(PackedShift.Right, 8, scratch, source, count);
        e.Asm.Packed(Packed.Xor, target, scratch);
        e.Asm.PackedShift(PackedShift.Left, 8, scratch, source, 64 - count);
        e.Asm.Packed(Packed.Xor, target, scratch);
    }
}
