using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>FEAT_SHA3, all on 16 bytes. The result is made in XMM0.</summary>
internal static unsafe class SimdHashEmitters
{
    public static bool ExclusiveOrThree(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        e.Asm.Packed(Packed.Xor, 0, e.Vectors.Read(op->Rn), e.Vectors.Read(op->Rm));
        e.Asm.Packed(Packed.Xor, 0, e.Vectors.Read(op->Ra));
        SimdSequences.StoreVector(e, op->Rd, 16);
        return true;
    }

    public static bool ClearAndExclusiveOr(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        e.Asm.Packed(Packed.AndNot, 0, e.Vectors.Read(op->Ra), e.Vectors.Read(op->Rm));
        e.Asm.Packed(Packed.Xor, 0, e.Vectors.Read(op->Rn));
        SimdSequences.StoreVector(e, op->Rd, 16);
        return true;
    }

    public static bool RotateAndExclusiveOr(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        Rotate(e, e.Vectors.Read(op->Rm), 63);
        e.Asm.Packed(Packed.Xor, 0, e.Vectors.Read(op->Rn));
        SimdSequences.StoreVector(e, op->Rd, 16);
        return true;
    }

    public static bool ExclusiveOrAndRotate(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        e.Asm.Packed(Packed.Xor, 0, e.Vectors.Read(op->Rn), e.Vectors.Read(op->Rm));
        if (op->Shift != 0)
        {
            Rotate(e, 0, op->Shift);
        }

        SimdSequences.StoreVector(e, op->Rd, 16);
        return true;
    }

    // XMM0 = doublewords rotated right. Uses XMM1.
    private static void Rotate(BlockEmitter e, int source, int count)
    {
        e.Asm.PackedShift(PackedShift.Left, 8, 1, source, 64 - count);
        e.Asm.PackedShift(PackedShift.Right, 8, 0, source, count);
        e.Asm.Packed(Packed.Or, 0, 1);
    }
}
