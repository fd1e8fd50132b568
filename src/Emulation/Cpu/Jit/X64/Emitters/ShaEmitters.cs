using System.Runtime.Intrinsics.X86;
using Vmm.Emulation.Cpu.Interpreter;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// SHA-1 and SHA-256 by the host's own instructions for them (Intel SDM volume 1, 12.9), where it has them. Both sides have four rounds of
/// the state in two registers, in another order of its words. The result is made in XMM0.
/// </summary>
internal static unsafe class ShaEmitters
{
    // The constants that the host adds in a round by itself (FIPS 180-4, 4.2.1), and those that are added for a guest.
    private const uint ChooseConstant = 0x5A82_7999;
    private const uint ParityConstant = 0x6ED9_EBA1;
    private const uint MajorityConstant = 0x8F1B_BCDC;

    // Orders of SHUFPS and PSHUFD.
    private const int LowReversed = 0x11;
    private const int HighReversed = 0xBB;
    private const int AllReversed = 0x1B;
    private const int HighFirst = 0x0E;

    // CPUID, leaf 7: EBX bit 29.
    private static readonly bool s_isSupported = X86Base.IsSupported && X86Base.CpuId(0, 0).Eax >= 7
        && ((X86Base.CpuId(7, 0).Ebx >> 29) & 1) != 0;

    public static bool Sha1Choose(BlockEmitter e, Op* op) => Sha1Rounds(e, op, ShaFunction.Choose, ChooseConstant);

    public static bool Sha1Parity(BlockEmitter e, Op* op) => Sha1Rounds(e, op, ShaFunction.Parity, ParityConstant);

    public static bool Sha1Majority(BlockEmitter e, Op* op) => Sha1Rounds(e, op, ShaFunction.Majority, MajorityConstant);

    // The guest's words have the constant of the round in them already, and the fifth word of the state is apart.
    private static bool Sha1Rounds(BlockEmitter e, Op* op, ShaFunction function, uint constant)
    {
        if (!s_isSupported)
        {
            return false;
        }

        e.Floats.CheckEnabled(op);
        e.Asm.LoadImmediate(Rax, 0 - constant);
        e.Asm.LoadXmmGeneral(false, 1, Rax);
        e.Asm.ShuffleWords(1, 1, 0);
        e.Asm.Packed(Packed.AddS, 1, e.Vectors.Read(op->Rm));
        e.Asm.CopyLow(false, 2, e.Vectors.Read(op->Rn));
        e.Asm.Packed(Packed.AddS, 1, 2);
        e.Asm.ShuffleWords(1, 1, AllReversed);
        e.Asm.ShuffleWords(0, e.Vectors.Read(op->Rd), AllReversed);
        e.Asm.Sha1Rounds(0, 1, function);
        e.Asm.ShuffleWords(0, 0, AllReversed);
        SimdSequences.StoreVector(e, op->Rd, 16);
        return true;
    }

    /// <summary>SHA1H.</summary>
    public static bool Sha1Rotate(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        RotateLeft(e, 0, e.Vectors.Read(op->Rn), 30);
        SimdSequences.StoreVector(e, op->Rd, 4);
        return true;
    }

    public static bool Sha1Schedule0(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        e.Asm.AlignRight(0, e.Vectors.Read(op->Rn), e.Vectors.Read(op->Rd), 8);
        e.Asm.Packed(Packed.Xor, 0, e.Vectors.Read(op->Rd));
        e.Asm.Packed(Packed.Xor, 0, e.Vectors.Read(op->Rm));
        SimdSequences.StoreVector(e, op->Rd, 16);
        return true;
    }

    // The last word depends on the first of the result.
    public static bool Sha1Schedule1(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        e.Asm.ShiftBytesRight(3, e.Vectors.Read(op->Rn), 4);
        e.Asm.Packed(Packed.Xor, 3, e.Vectors.Read(op->Rd));
        RotateLeft(e, 0, 3, 1);
        RotateLeft(e, 2, 0, 1);
        e.Asm.Packed(Packed.Xor, 3, 3);
        e.Asm.AlignRight(2, 2, 3, 4);
        e.Asm.Packed(Packed.Xor, 0, 2);
        SimdSequences.StoreVector(e, op->Rd, 16);
        return true;
    }

    public static bool Sha256Hash(BlockEmitter e, Op* op) => Sha256Rounds(e, op, op->Rd, op->Rn, HighReversed);

    public static bool Sha256Hash2(BlockEmitter e, Op* op) => Sha256Rounds(e, op, op->Rn, op->Rd, LowReversed);

    // The host has A, B, E and F in one register, and C, D, G and H in another. After two rounds the first is what the second will be.
    private static bool Sha256Rounds(BlockEmitter e, Op* op, int abcd, int efgh, int wanted)
    {
        if (!s_isSupported)
        {
            return false;
        }

        e.Floats.CheckEnabled(op);
        int first = e.Vectors.Read(abcd);
        int second = e.Vectors.Read(efgh);
        e.Asm.CopyXmm(0, e.Vectors.Read(op->Rm));
        e.Asm.ShuffleTwo(1, second, first, LowReversed);
        e.Asm.ShuffleTwo(2, second, first, HighReversed);
        e.Asm.Sha256(ShaStep.Rounds, 2, 1);
        e.Asm.ShuffleWords(0, 0, HighFirst);
        e.Asm.Sha256(ShaStep.Rounds, 1, 2);
        e.Asm.ShuffleTwo(0, 1, 2, wanted);
        SimdSequences.StoreVector(e, op->Rd, 16);
        return true;
    }

    public static bool Sha256Schedule0(BlockEmitter e, Op* op)
    {
        if (!s_isSupported)
        {
            return false;
        }

        e.Floats.CheckEnabled(op);
        e.Asm.CopyXmm(0, e.Vectors.Read(op->Rd));
        e.Asm.CopyXmm(1, e.Vectors.Read(op->Rn));
        e.Asm.Sha256(ShaStep.Schedule0, 0, 1);
        SimdSequences.StoreVector(e, op->Rd, 16);
        return true;
    }

    public static bool Sha256Schedule1(BlockEmitter e, Op* op)
    {
        if (!s_isSupported)
        {
            return false;
        }

        e.Floats.CheckEnabled(op);
        e.Asm.CopyXmm(1, e.Vectors.Read(op->Rm));
        e.Asm.AlignRight(0, 1, e.Vectors.Read(op->Rn), 4);
        e.Asm.Packed(Packed.AddS, 0, e.Vectors.Read(op->Rd));
        e.Asm.Sha256(ShaStep.Schedule1, 0, 1);
        SimdSequences.StoreVector(e, op->Rd, 16);
        return true;
    }

    // Words rotated left. Uses XMM1.
    private static void RotateLeft(BlockEmitter e, int destination, int source, int count)
    {
        e.Asm.PackedShift(PackedShift.Right, 4, 1, source, 32 - count);
        e.Asm.PackedShift(PackedShift.Left, 4, destination, source, count);
        e.Asm.Packed(Packed.Or, destination, 1);
    }
}
